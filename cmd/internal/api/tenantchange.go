package api

import (
	"net/http"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// putTenant answers PUT /tenants/{id}.
func (s *server) putTenant(w http.ResponseWriter, r *request) error {
	var in client.TenantState
	var enabled *bool
	if err := readBody(w, r, members{
		"enabled": &enabled, "version": &in.Version,
		"name": &in.Name, "hostname": &in.Hostname, "activeSubscriptions": &in.ActiveSubscriptions,
	}); err != nil {
		return err
	}
	switch {
	case enabled == nil:
		return store.Errorf(store.Invalid, "enabled: want true or false").At("enabled")
	case in.Version < 1:
		return store.Errorf(store.Invalid, "version: want that of the tenant, as it was read").At("version")
	}
	set := s.Engine.Settings()
	before, t, err := s.update(r, in.Version, confirmationOf(r), store.Set(*enabled,
		store.Edit(in.Name, in.Hostname, in.ActiveSubscriptions), set.Grace, isProtected(set)))
	if err != nil {
		return err
	}
	switch {
	case before.Status == t.Status:
	case *enabled:
		s.Metrics.Reactivated()
	default:
		s.Metrics.Deactivated()
	}
	return reply(w, http.StatusOK, wireTenant(t))
}

// patchTenant answers PATCH /tenants/{id}.
func (s *server) patchTenant(w http.ResponseWriter, r *request) error {
	edit, err := readPatch(w, r)
	if err != nil {
		return err
	}
	if _, _, err := s.update(r, 0, confirmationOf(r), edit); err != nil {
		return err
	}
	return noContent(w)
}
