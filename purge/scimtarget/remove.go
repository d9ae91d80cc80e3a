package scimtarget

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// outcome is what became of one resource.
type outcome int

const (
	remains outcome = iota // nobody knows, or it is still there
	deleted                // by this request
	gone                   // before it
)

// step is what one step did at an endpoint.
type step struct {
	*httpcall.Step

	mu            sync.Mutex
	deleted, gone int64
}

// settle takes note of what became of a resource. id is "" when the server did not
// say which one it was.
func (s *step) settle(id string, did outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case did == deleted && (id == "" || s.Removed(id)):
		s.deleted++
	case did == gone && (id == "" || s.Gone(id)):
		s.gone++
	}
}

// remove removes resources, and takes note of it in s.
func (t *Target) remove(ctx context.Context, p *capabilities, e *endpoint, tenantID string, items []item, s *step) error {
	if p.bulk && len(items) > 1 {
		return t.removeBulk(ctx, p, e, tenantID, items, s)
	}
	return t.removeEach(ctx, e, tenantID, items, s)
}

// removeEach removes one by one, several at a time. After an error it begins
// nothing more, and waits for what is under way.
func (t *Target) removeEach(ctx context.Context, e *endpoint, tenantID string, items []item, s *step) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		fail error
		next int
	)
	take := func() (item, bool) {
		mu.Lock()
		defer mu.Unlock()
		if fail != nil || next == len(items) {
			return item{}, false
		}
		next++
		return items[next-1], true
	}
	for range min(t.cfg.Parallel, len(items)) {
		wg.Go(func() {
			for {
				it, ok := take()
				if !ok {
					return
				}
				did, err := t.removeOne(ctx, e, tenantID, it.id)
				if err == nil {
					s.settle(it.id, did)
					continue
				}
				mu.Lock()
				fail = httpcall.Graver(fail, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return fail
}

// removeOne removes one resource. A server that insists on a version (412, 428)
// gets the one of a resource that still is the tenant's.
func (t *Target) removeOne(ctx context.Context, e *endpoint, tenantID, id string) (outcome, error) {
	segment, err := httpcall.PathSegment(id)
	if err != nil {
		return remains, store.Errorf(store.Unavailable, "%s: the id of a resource: %w", e.path, err)
	}
	path := e.path + "/" + segment
	did, status, err := t.delete(ctx, e, id, path, "")
	if status != http.StatusPreconditionFailed && status != http.StatusPreconditionRequired {
		return did, err
	}
	r, a, getErr := t.getOf(ctx, e, id, path+"?attributes="+httpcall.Escape("schemas,id,meta,"+e.attr.String()))
	switch {
	case getErr != nil:
		return remains, getErr
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		return gone, nil
	case a.Status != http.StatusOK:
		return remains, httpcall.StatusError(r, a)
	}
	body, jsonErr := httpcall.JSON(r, a)
	if jsonErr != nil {
		return remains, jsonErr
	}
	var resource map[string]json.RawMessage
	var meta struct {
		Meta struct{ Version string }
	}
	if json.Unmarshal(body, &resource) != nil || json.Unmarshal(body, &meta) != nil {
		return remains, httpcall.Unusable(r, a, "the answer is not a resource")
	}
	found, ours, ownErr := e.owned(resource, tenantID)
	switch {
	case ownErr != nil || !ours || found != id:
		// It changed hands: the next list does not have it.
		return remains, store.Errorf(store.Conflict, "%s: a resource changed while it was to be removed", e.path)
	case meta.Meta.Version == "":
		return remains, err
	}
	did, _, err = t.delete(ctx, e, id, path, meta.Meta.Version)
	return did, err
}

// delete sends one DELETE; version "" sends no condition.
func (t *Target) delete(ctx context.Context, e *endpoint, id, path, version string) (outcome, int, error) {
	r := httpcall.Request{Method: http.MethodDelete, URL: path, Shown: e.path + "/{id}", Of: id, Header: accept()}
	if version != "" {
		r.Header.Set("If-Match", version)
	}
	a, err := t.http.Do(ctx, r)
	switch {
	case err != nil:
		return remains, 0, err
	case a.Status == http.StatusNoContent, (a.Status == http.StatusOK || a.Status == http.StatusAccepted) && len(a.Body) == 0:
		return deleted, a.Status, nil
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		return gone, a.Status, nil
	case a.OK():
		// The page of a proxy is no proof.
		return remains, a.Status, httpcall.Unusable(r, a, "status %d with a body, want 204 without", a.Status)
	}
	return remains, a.Status, httpcall.StatusError(r, a)
}
