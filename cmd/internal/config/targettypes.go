package config

import (
	"reflect"

	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/restsource"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/purge/scimtarget"
)

// typePostgres is the type of target, and of source, that is a database.
const typePostgres = "postgres"

// targetTypes returns the configuration of each type of target.
func targetTypes() map[string]reflect.Type {
	return map[string]reflect.Type{
		"command":    reflect.TypeFor[commandtarget.Config](),
		"oauth":      reflect.TypeFor[oauthtarget.Config](),
		typePostgres: reflect.TypeFor[postgrestarget.Config](),
		"rest":       reflect.TypeFor[resttarget.Config](),
		"scim":       reflect.TypeFor[scimtarget.Config](),
	}
}

// sourceTypes returns the configuration of each type of source.
func sourceTypes() map[string]reflect.Type {
	return map[string]reflect.Type{
		typePostgres: reflect.TypeFor[postgressource.Config](),
		"rest":       reflect.TypeFor[restsource.Config](),
	}
}
