package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tenantpurge/purger/store"
)

// tenantPath returns the path of a tenant and what follows it.
func tenantPath(id string, rest ...string) string {
	p := "/tenants/" + url.PathEscape(id)
	for _, r := range rest {
		p += "/" + r
	}
	return p
}

// Create registers a tenant.
func (c *Client) Create(ctx context.Context, t NewTenant) (Tenant, error) {
	return call[Tenant](ctx, c, http.MethodPost, "/tenants", nil, t)
}

// Tenant returns one tenant. With allowDeleted a purged one is answered with
// what its tombstone keeps; else it is Gone.
func (c *Client) Tenant(ctx context.Context, id string, allowDeleted bool) (Tenant, error) {
	q := url.Values{}
	if allowDeleted {
		q.Set("allow_deleted", "true")
	}
	return call[Tenant](ctx, c, http.MethodGet, tenantPath(id), q, nil)
}

// Tenants returns one page of tenants.
func (c *Client) Tenants(ctx context.Context, q TenantQuery) (TenantPage, error) {
	v := url.Values{}
	if q.Status != "" {
		v.Set("status", string(q.Status))
	}
	if q.Due {
		v.Set("due", "true")
	}
	if q.ParentID != nil {
		v.Set("parentId", *q.ParentID)
	}
	if q.Sort != "" {
		v.Set("sort", q.Sort)
	}
	if q.Page != "" {
		v.Set("page", q.Page)
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return call[TenantPage](ctx, c, http.MethodGet, "/tenants", v, nil)
}

// Me returns the caller's own tenant. Errors: NotFound for a caller that has none.
func (c *Client) Me(ctx context.Context) (Tenant, error) {
	return call[Tenant](ctx, c, http.MethodGet, "/tenants/me", nil, nil)
}

// Put makes a tenant what is asked for, if it still has the version.
func (c *Client) Put(ctx context.Context, id string, t TenantState, options ...CallOption) (Tenant, error) {
	return call[Tenant](ctx, c, http.MethodPut, tenantPath(id), nil, t, options...)
}

// Patch changes members of a tenant, all or none.
func (c *Client) Patch(ctx context.Context, id string, patch []PatchOperation, options ...CallOption) error {
	if patch == nil {
		patch = []PatchOperation{}
	}
	res, err := c.exchange(ctx, http.MethodPatch, tenantPath(id), nil, patch, options...)
	if err != nil {
		return err
	}
	return decode(ctx, http.MethodPatch, tenantPath(id), res, nil)
}

// Deactivate begins the grace period, or begins it anew.
func (c *Client) Deactivate(ctx context.Context, id string, r DeactivateRequest, options ...CallOption) (Deactivated, error) {
	return call[Deactivated](ctx, c, http.MethodPost, tenantPath(id, "actions", "deactivate"), nil, r, options...)
}

// Reactivate cancels the grace period.
func (c *Client) Reactivate(ctx context.Context, id string, options ...CallOption) (Reactivated, error) {
	return call[Reactivated](ctx, c, http.MethodPost, tenantPath(id, "actions", "reactivate"), nil, nil, options...)
}

// Retry gives a failed purge its attempts anew.
func (c *Client) Retry(ctx context.Context, id string) (Tenant, error) {
	return call[Tenant](ctx, c, http.MethodPost, tenantPath(id, "actions", "retry"), nil, nil)
}

// Hold puts a tenant on hold.
func (c *Client) Hold(ctx context.Context, id string, r HoldRequest) (Tenant, error) {
	return call[Tenant](ctx, c, http.MethodPost, tenantPath(id, "hold"), nil, r)
}

// Release ends a hold. Without one it changes nothing.
func (c *Client) Release(ctx context.Context, id string) (Tenant, error) {
	return call[Tenant](ctx, c, http.MethodDelete, tenantPath(id, "hold"), nil, nil)
}

// Receipt returns the receipt with which a tenant was purged.
func (c *Client) Receipt(ctx context.Context, id string) (store.Receipt, error) {
	return call[store.Receipt](ctx, c, http.MethodGet, "/receipts/"+url.PathEscape(id), nil, nil)
}
