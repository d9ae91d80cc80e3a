package client

import (
	"slices"

	"github.com/tenantpurge/purger/store"
)

// Role is what a caller may do. The zero value may do nothing.
type Role string

// The roles. Each may do what the one before may, but for RoleTenant, which
// sees one tenant and no other.
const (
	// RoleTenant reads the status of its own tenant.
	RoleTenant Role = "tenant"
	// RoleViewer reads everything but the contents of the store.
	RoleViewer Role = "viewer"
	// RoleOperator registers, changes, deactivates, reactivates and holds
	// tenants, and begins passes.
	RoleOperator Role = "operator"
	// RoleSuperAdmin deletes tenants at once, pauses and resumes purging, imports,
	// exports and backs up.
	RoleSuperAdmin Role = "super_admin"
)

// Roles returns every role, the one that may do least first.
func Roles() []Role { return []Role{RoleTenant, RoleViewer, RoleOperator, RoleSuperAdmin} }

// ParseRole returns the role of that name, and [store.Invalid] for another one.
func ParseRole(name string) (Role, error) {
	if r := Role(name); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", store.Errorf(store.Invalid, "role %q: want tenant, viewer, operator or super_admin", name).At("role")
}

// AtLeast reports whether r may do everything that least may.
func (r Role) AtLeast(least Role) bool {
	return slices.Index(Roles(), r) >= slices.Index(Roles(), least) && r != ""
}
