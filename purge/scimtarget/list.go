package scimtarget

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// listSchema marks the answer to a query.
const listSchema = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// recounts is how often a count begins again because the list changed.
const recounts = 5

// item is one resource that belongs to the tenant.
type item struct{ id string }

// page is a part of a list.
type page struct {
	total int // of the whole list
	size  int // of this page
	ours  []item
}

// list reads the part of a tenant's resources that begins at start, from 1. An
// answer that shows a resource of someone else is an error; one whose tenant
// differs in case alone is passed over. A server that has enough in the midst of a
// call is waited for.
func (t *Target) list(ctx context.Context, v *visit, e *endpoint, tenantID string, start int) (*page, error) {
	filter, err := e.attr.filter(tenantID)
	if err != nil {
		return nil, err
	}
	count := t.cfg.PageSize
	if v.maxResults > 0 {
		count = min(count, v.maxResults)
	}
	// schemas is returned anyway; some servers fail when it is not asked for.
	r := get(e.path + "?filter=" + httpcall.Escape(filter) +
		"&attributes=" + httpcall.Escape("schemas,id,"+e.attr.String()) +
		"&startIndex=" + strconv.Itoa(start) + "&count=" + strconv.Itoa(count))
	a, err := v.patience.Do(ctx, t.http, r)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, httpcall.StatusError(r, a)
	}
	body, err := httpcall.JSON(r, a)
	if err != nil {
		return nil, err
	}
	list, err := listOf(r, a, body)
	if err != nil {
		return nil, err
	}
	got := &page{total: *list.TotalResults, size: len(list.Resources)}
	switch {
	case got.total < 0 || start+got.size-1 > got.total && got.size > 0:
		return nil, httpcall.Unusable(r, a, "totalResults is %d with %d resources from %d on", got.total, got.size, start)
	case got.size == 0 && start <= got.total:
		return nil, httpcall.Unusable(r, a, "totalResults is %d, and there is none from %d on", got.total, start)
	case start > 1 && got.size > 0 && (list.StartIndex == nil || *list.StartIndex != start):
		return nil, httpcall.Unusable(r, a, "startIndex %d was asked for and is not what was answered", start)
	}
	for _, resource := range list.Resources {
		id, ours, err := e.owned(resource, tenantID)
		if err != nil {
			return nil, httpcall.Unusable(r, a, "%w", err)
		}
		if ours {
			got.ours = append(got.ours, item{id})
		}
	}
	return got, nil
}

// listResponse is the answer to a query.
type listResponse struct {
	Schemas      []string                     `json:"schemas"`
	TotalResults *int                         `json:"totalResults"`
	StartIndex   *int                         `json:"startIndex"`
	Resources    []map[string]json.RawMessage `json:"Resources"`
}

// listOf reads the answer to a query, which says how many resources there are.
func listOf(r httpcall.Request, a *httpcall.Response, body []byte) (*listResponse, error) {
	var list listResponse
	if err := json.Unmarshal(body, &list); err != nil || !slices.Contains(list.Schemas, listSchema) || list.TotalResults == nil {
		return nil, httpcall.Unusable(r, a, "the answer is not a ListResponse")
	}
	return &list, nil
}

// owned returns the id of a listed resource, and whether it is the tenant's.
func (e *endpoint) owned(resource map[string]json.RawMessage, tenantID string) (string, bool, error) {
	var id string
	raw, err := member(resource, "id")
	if err != nil {
		return "", false, err
	}
	if json.Unmarshal(raw, &id) != nil || id == "" {
		return "", false, store.Errorf(store.Unavailable, "a resource without an id")
	}
	values, err := e.attr.values(resource)
	if err != nil {
		return "", false, store.Errorf(store.Unavailable, "%s: %w", e.attr, err)
	}
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	if len(values) == 0 {
		return "", false, store.Errorf(store.Unavailable, "a resource is listed without %s: the filter was not applied, or the attribute is not returned", e.attr)
	}
	e.shown.Store(true)
	switch {
	case len(values) == 1 && values[0] == tenantID:
		return id, true, nil
	case slices.Contains(values, tenantID):
		return "", false, store.Errorf(store.Unavailable, "a resource has several values of %s: it belongs to more than this tenant", e.attr)
	case slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, tenantID) }):
		return id, false, nil
	}
	return "", false, store.Errorf(store.Unavailable, "a resource of another tenant is listed: the filter on %s was not applied", e.attr)
}

// count returns how many resources a tenant has at an endpoint: totalResults,
// where the server minds case. Where it does not, or does not say, and there is
// more than one page, the pages are gone through.
func (t *Target) count(ctx context.Context, v *visit, e *endpoint, tenantID string) (int64, error) {
	for range recounts {
		first, err := t.list(ctx, v, e, tenantID, 1)
		if err != nil {
			return 0, err
		}
		if v.exact[e.path] && len(first.ours) == first.size {
			return int64(first.total), nil
		}
		n, whole, err := t.countOn(ctx, v, e, tenantID, first)
		if err != nil || whole {
			return n, err
		}
	}
	return 0, store.Errorf(store.Unavailable, "%s: the list changed %d times while it was counted", e.path, recounts)
}

// countOn counts from the first page on. whole is false when the list changed on
// the way, and something may have moved up past the place that was read.
func (t *Target) countOn(ctx context.Context, v *visit, e *endpoint, tenantID string, first *page) (n int64, whole bool, err error) {
	n = int64(len(first.ours))
	for start := 1 + first.size; start <= first.total; {
		next, err := t.list(ctx, v, e, tenantID, start)
		if err != nil {
			return 0, false, err
		}
		if next.total != first.total {
			return 0, false, nil
		}
		n += int64(len(next.ours))
		start += next.size
	}
	return n, true, nil
}
