package scimtarget

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// What marks Bulk messages (RFC 7644, section 3.7).
const (
	bulkRequest  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	bulkResponse = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

type operation struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// result is what became of one operation. Its status is a string by the RFC, and
// a number with some servers.
type result struct {
	Location string          `json:"location"`
	Status   json.RawMessage `json:"status"`
}

func (r result) status() int {
	n, err := strconv.Atoi(strings.Trim(string(r.Status), `"`))
	if err != nil {
		return 0
	}
	return n
}

// removeBulk removes in requests of as many operations as the server takes. It
// halves them when one is too large all the same (413), and does without Bulk
// when the server has none after all.
func (t *Target) removeBulk(ctx context.Context, p *capabilities, e *endpoint, tenantID string, items []item, s *step) error {
	operations := p.operations
	for len(items) > 0 {
		body, took, err := pack(e, items, min(operations, len(items)), p.payload)
		if err != nil {
			return err
		}
		if took < 2 {
			if err := t.removeEach(ctx, e, tenantID, items[:1], s); err != nil {
				return err
			}
			items = items[1:]
			continue
		}
		r := httpcall.Request{Method: http.MethodPost, URL: "/Bulk", Header: accept(), Body: body}
		r.Header.Set("Content-Type", "application/scim+json")
		a, err := t.http.Do(ctx, r)
		if err != nil {
			return err
		}
		switch a.Status {
		case http.StatusOK:
		case http.StatusRequestEntityTooLarge:
			operations = took / 2
			continue
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
			return t.removeEach(ctx, e, tenantID, items, s)
		default:
			return httpcall.StatusError(r, a)
		}
		if err := t.settle(ctx, e, tenantID, items[:took], r, a, s); err != nil {
			return err
		}
		items = items[took:]
	}
	return nil
}

// pack makes a request of up to most operations and payload bytes, and says how
// many are in it; 0 when not even one fits.
func pack(e *endpoint, items []item, most, payload int) ([]byte, int, error) {
	var operations []operation
	encode := func() ([]byte, error) {
		return json.Marshal(map[string]any{"schemas": []string{bulkRequest}, "Operations": operations})
	}
	empty, err := encode()
	if err != nil {
		return nil, 0, err
	}
	size := len(empty)
	for _, it := range items[:most] {
		segment, err := httpcall.PathSegment(it.id)
		if err != nil {
			return nil, 0, store.Errorf(store.Unavailable, "%s: the id of a resource: %w", e.path, err)
		}
		op := operation{http.MethodDelete, e.path + "/" + segment}
		one, err := json.Marshal(op)
		if err != nil {
			return nil, 0, err
		}
		if size += len(one) + len(","); size > payload {
			break
		}
		operations = append(operations, op)
	}
	body, err := encode()
	return body, len(operations), err
}

// settle reads what became of the operations of one request. What the server did
// not get to is not settled, and is listed again.
func (t *Target) settle(ctx context.Context, e *endpoint, tenantID string, items []item, r httpcall.Request, a *httpcall.Response, s *step) error {
	body, err := httpcall.JSON(r, a)
	if err != nil {
		return err
	}
	var answer struct {
		Schemas    []string
		Operations []result
	}
	if err := json.Unmarshal(body, &answer); err != nil || !slices.Contains(answer.Schemas, bulkResponse) || len(answer.Operations) > len(items) {
		return httpcall.Unusable(r, a, "the answer is not a BulkResponse to %d operations", len(items))
	}
	if len(answer.Operations) == 0 {
		return httpcall.Unusable(r, a, "the answer to %d operations has no result", len(items))
	}
	var (
		fail     error
		insisted []item
	)
	for i, result := range answer.Operations {
		it, known := resultOf(items, len(answer.Operations), i, result)
		switch status := result.status(); {
		case status >= 200 && status < 300:
			s.settle(it.id, deleted)
		case status == http.StatusNotFound || status == http.StatusGone:
			s.settle(it.id, gone)
		case known && (status == http.StatusPreconditionFailed || status == http.StatusPreconditionRequired):
			insisted = append(insisted, it)
		default:
			fail = httpcall.Graver(fail, failed(r, it, status))
		}
	}
	if fail != nil {
		return fail
	}
	return t.removeEach(ctx, e, tenantID, insisted, s)
}

// resultOf returns the item that a result is about: by its location, or by its
// place when there is a result for each.
func resultOf(items []item, results, i int, r result) (item, bool) {
	if at := strings.LastIndexByte(r.Location, '/'); at >= 0 {
		id := r.Location[at+1:]
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
		if j := slices.IndexFunc(items, func(it item) bool { return it.id == id }); j >= 0 {
			return items[j], true
		}
	}
	if results == len(items) && r.Location == "" {
		return items[i], true
	}
	return item{}, false
}

// failed returns the error of one operation that failed. A status that is none
// leaves open what happened.
func failed(r httpcall.Request, it item, status int) error {
	r.Shown, r.Of = "/Bulk", it.id
	if status < 400 || status > 599 {
		return httpcall.Unusable(r, &httpcall.Response{Status: status}, "an operation with status %d, which is none", status)
	}
	return httpcall.StatusError(r, &httpcall.Response{Status: status})
}
