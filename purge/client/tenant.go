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
	if q.After != "" {
		v.Set("after", q.After)
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return call[TenantPage](ctx, c, http.MethodGet, "/tenants", v, nil)
}

// Deactivate begins the grace period, or begins it anew.
func (c *Client) Deactivate(ctx context.Context, id string, r DeactivateRequest) (Deactivated, error) {
	return call[Deactivated](ctx, c, http.MethodPost, tenantPath(id, "actions", "deactivate"), nil, r)
}

// Reactivate cancels the grace period.
func (c *Client) Reactivate(ctx context.Context, id string) (Reactivated, error) {
	return call[Reactivated](ctx, c, http.MethodPost, tenantPath(id, "actions", "reactivate"), nil, nil)
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

// Delete purges a tenant and its subtree now. version, when not 0, must be the
// record's.
func (c *Client) Delete(ctx context.Context, id string, version int64) (Deletion, error) {
	q := url.Values{}
	if version != 0 {
		q.Set("version", strconv.FormatInt(version, 10))
	}
	return call[Deletion](ctx, c, http.MethodDelete, "/admin"+tenantPath(id), q, nil)
}

// Receipt returns the receipt with which a tenant was purged.
func (c *Client) Receipt(ctx context.Context, id string) (store.Receipt, error) {
	return call[store.Receipt](ctx, c, http.MethodGet, "/receipts/"+url.PathEscape(id), nil, nil)
}
