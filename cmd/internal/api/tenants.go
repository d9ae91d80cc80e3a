package api

import (
	"net/http"
	"net/url"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// wireTenant renders a tenant.
func wireTenant(t store.Tenant) client.Tenant {
	w := client.Tenant{
		ID: t.ID, ParentID: t.ParentID, Name: t.Name, Hostname: t.Hostname, Status: t.Status, Version: t.Version,
		CreatedAt: store.Timestamp{Time: t.CreatedAt}, UpdatedAt: store.Timestamp{Time: t.UpdatedAt},
		DisabledAt: store.Timestamp{Time: t.DisabledAt}, PurgeAfterDays: t.PurgeAfterDays,
		EstimatedPurgeDate:  store.Timestamp{Time: t.EstimatedPurgeDate},
		ActiveSubscriptions: t.ActiveSubscriptions, Block: t.Block, Purge: t.Purge,
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
	}
}

// createTenant answers POST /tenants.
func (s *server) createTenant(w http.ResponseWriter, r *request) error {
	var in client.NewTenant
	if err := readBody(w, r, members{
		"id": &in.ID, "parentId": &in.ParentID, "name": &in.Name, "hostname": &in.Hostname,
		"activeSubscriptions": &in.ActiveSubscriptions,
	}); err != nil {
		return err
	}
	t, err := s.Store.Create(r.Context(), store.Tenant{
		ID: in.ID, ParentID: in.ParentID, Name: in.Name, Hostname: in.Hostname,
		ActiveSubscriptions: in.ActiveSubscriptions,
	}, r.origin())
	if err != nil {
		return err
	}
	w.Header().Set("Location", client.Prefix+"/tenants/"+url.PathEscape(t.ID))
	return reply(w, http.StatusCreated, wireTenant(t))
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
		return reply(w, http.StatusOK, wireTombstone(stone))
	}
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, wireTenant(t))
}

// listTenants answers GET /tenants.
func (s *server) listTenants(w http.ResponseWriter, r *request) error {
	f, err := filterOf(r)
	if err != nil {
		return err
	}
	list, err := s.Store.Tenants(r.Context(), f)
	if err != nil {
		return err
	}
	page := client.TenantPage{Data: make([]client.Tenant, 0, len(list))}
	for _, t := range list {
		page.Data = append(page.Data, wireTenant(t))
	}
	if len(list) == f.Limit {
		page.Next = list[len(list)-1].ID
	}
	return reply(w, http.StatusOK, page)
}

// filterOf reads the query of GET /tenants.
func filterOf(r *request) (store.Filter, error) {
	var f store.Filter
	if v, ok := r.query["status"]; ok {
		status, err := store.ParseStatus(v)
		if err != nil {
			return f, inParameter(err)
		}
		if status == store.StatusDeleted {
			return f, parameterf("status", "status %q: tombstones are not listed; read one by its id, with allow_deleted=true", v)
		}
		f.Status = status
	}
	due, err := r.query.flag("due")
	if err != nil {
		return f, err
	}
	if due {
		f.DueBy = r.origin().At
	}
	if v, ok := r.query["parentId"]; ok {
		if err := checkOptionalID("parentId", v); err != nil {
			return f, err
		}
		f.ParentID = &v
	}
	if f.After = r.query["after"]; f.After != "" {
		if err := checkOptionalID("after", f.After); err != nil {
			return f, err
		}
	}
	limit, err := r.query.number("limit", 1, store.MaxPage, client.DefaultPage)
	f.Limit = int(limit)
	return f, err
}

// checkOptionalID refuses a parameter that is neither empty nor an id.
func checkOptionalID(name, v string) error {
	if v == "" {
		return nil
	}
	if err := store.CheckID(name, v); err != nil {
		return inParameter(err)
	}
	return nil
}
