package api

import (
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// wireTenant renders a tenant.
func wireTenant(t store.Tenant) client.Tenant {
	w := client.Tenant{
		ID: t.ID, ParentID: t.ParentID, Name: t.Name, Hostname: t.Hostname,
		Status: t.Status, Enabled: t.Status == store.StatusActive, Version: t.Version,
		CreatedAt: store.Timestamp{Time: t.CreatedAt}, UpdatedAt: store.Timestamp{Time: t.UpdatedAt},
		DisabledAt: store.Timestamp{Time: t.DisabledAt}, PurgeAfterDays: t.PurgeAfterDays,
		EstimatedPurgeDate:  store.Timestamp{Time: t.EstimatedPurgeDate},
		ReactivatedAt:       store.Timestamp{Time: t.ReactivatedAt},
		ActiveSubscriptions: t.ActiveSubscriptions, Block: t.Block, Purge: t.Purge,
		Created: store.Timestamp{Time: t.CreatedAt}, LastUpdated: store.Timestamp{Time: t.UpdatedAt}, Links: linksOf(t.ID),
	}
	if t.Hostname != "" {
		w.Hostnames = []string{t.Hostname}
	}
	switch {
	case t.Status == store.StatusDisabled:
		w.StatusLastUpdatedAt = w.DisabledAt
	case t.Status == store.StatusPurging && t.Purge != nil:
		w.StatusLastUpdatedAt = t.Purge.ClaimedAt
	}
	if t.DisabledBy != (store.Actor{}) {
		w.DisabledBy = &t.DisabledBy
	}
	if h := t.Hold; h != nil {
		w.Hold = &client.Hold{Reason: h.Reason, Actor: h.Actor, Since: store.Timestamp{Time: h.Since}, Until: store.Timestamp{Time: h.Until}}
	}
	return w
}

// wireTombstone renders what remains of a purged tenant.
func wireTombstone(t store.Tombstone) client.Tenant {
	return client.Tenant{
		ID: t.ID, ParentID: t.ParentID, Status: store.StatusDeleted, Version: t.Version,
		CreatedAt: t.CreatedAt, DisabledAt: t.DisabledAt,
		DeletedAt: t.DeletedAt, PurgedWith: t.PurgedWith, ResourcesDeleted: &t.Deleted,
		Created: t.CreatedAt, LastUpdated: t.DeletedAt, StatusLastUpdatedAt: t.DeletedAt, Links: linksOf(t.ID),
	}
}

// ownView returns what a tenant's own caller is told of its tenant, or of the
// tombstone: neither who among its operators did what, nor why, nor with whom it was
// purged.
func ownView(t client.Tenant) client.Tenant {
	return client.Tenant{
		ID: t.ID, Name: t.Name, Hostname: t.Hostname, Hostnames: t.Hostnames,
		Status: t.Status, Enabled: t.Enabled, Version: t.Version,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, DisabledAt: t.DisabledAt,
		EstimatedPurgeDate: t.EstimatedPurgeDate, DeletedAt: t.DeletedAt,
		Created: t.Created, LastUpdated: t.LastUpdated, StatusLastUpdatedAt: t.StatusLastUpdatedAt,
		Links: t.Links,
	}
}

// viewFor returns what a caller is told of a tenant.
func (c Caller) viewFor(t client.Tenant) client.Tenant {
	if c.Role == client.RoleTenant {
		return ownView(t)
	}
	return t
}

// tenantURL returns the path of a tenant.
func tenantURL(id string) string { return client.Prefix + "/tenants/" + url.PathEscape(id) }

// linksOf returns the references of a tenant.
func linksOf(id string) *client.Links { return &client.Links{Self: client.Link{Href: tenantURL(id)}} }

// ownTenant is the id by which a caller means its own tenant, and so of none.
const ownTenant = "me"

// checkNewID refuses an id that a tenant could have elsewhere, and not here.
func checkNewID(id string) error {
	if id == ownTenant {
		return store.Errorf(store.Invalid, "id %q: it stands for the tenant of the caller; want another one", id).At("id")
	}
	return nil
}

// createTenant answers POST /tenants.
func (s *server) createTenant(w http.ResponseWriter, r *request) error {
	var in client.NewTenant
	if err := readBody(w, r, members{
		"id": &in.ID, "parentId": &in.ParentID, "name": &in.Name, "hostname": &in.Hostname,
		"activeSubscriptions": &in.ActiveSubscriptions,
		// Of a platform that places tenants and sells licenses.
		"datacenter": notKept{}, "licenseKey": notKept{},
	}); err != nil {
		return err
	}
	if err := checkNewID(in.ID); err != nil {
		return err
	}
	if in.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return store.Errorf(store.Internal, "make an id: %w", err)
		}
		in.ID = id.String()
	}
	t, err := s.Store.Create(r.Context(), store.Tenant{
		ID: in.ID, ParentID: in.ParentID, Name: in.Name, Hostname: in.Hostname,
		ActiveSubscriptions: in.ActiveSubscriptions,
	}, r.origin())
	if err != nil {
		return err
	}
	w.Header().Set("Location", tenantURL(t.ID))
	return reply(w, http.StatusCreated, wireTenant(t))
}

// getMyTenant answers GET /tenants/me.
func (s *server) getMyTenant(w http.ResponseWriter, r *request) error {
	if r.caller.TenantID == "" {
		return store.Errorf(store.NotFound, "the caller has no tenant of its own")
	}
	t, err := s.Store.Tenant(r.Context(), r.caller.TenantID)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, r.caller.viewFor(wireTenant(t)))
}

// getTenant answers GET /tenants/{id}.
func (s *server) getTenant(w http.ResponseWriter, r *request) error {
	deleted, err := r.query.flag("allow_deleted")
	if err != nil {
		return err
	}
	t, err := s.Store.Tenant(r.Context(), r.id)
	if deleted && store.CodeOf(err) == store.Gone {
		stone, err := s.Store.Tombstone(r.Context(), r.id)
		if err != nil {
			return err
		}
		return reply(w, http.StatusOK, r.caller.viewFor(wireTombstone(stone)))
	}
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, r.caller.viewFor(wireTenant(t)))
}
