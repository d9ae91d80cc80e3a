package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// lease is how long the claims of the cases are their owner's.
const lease = 5 * time.Minute

// request returns what a pass asks for at the given time.
func request(at time.Time, edits ...func(*store.ClaimRequest)) store.ClaimRequest {
	req := store.ClaimRequest{Origin: store.Origin{Actor: system, At: at}, Owner: "owner-1", Lease: lease, Trigger: "schedule"}
	for _, edit := range edits {
		edit(&req)
	}
	return req
}

// Edits of a request.
func inline(r *store.ClaimRequest)    { r.Inline = true }
func immediate(r *store.ClaimRequest) { r.Immediate = true }
func version(v int64) func(*store.ClaimRequest) {
	return func(r *store.ClaimRequest) { r.Version = v }
}
func owner(name string) func(*store.ClaimRequest) {
	return func(r *store.ClaimRequest) { r.Owner = name }
}
func quota(q *store.Quota) func(*store.ClaimRequest) {
	return func(r *store.ClaimRequest) { r.Quota = q }
}
func limits(l store.Limits) func(*store.ClaimRequest) {
	return func(r *store.ClaimRequest) { r.Limits = l }
}
func protected(ids ...string) func(*store.ClaimRequest) {
	return func(r *store.ClaimRequest) {
		r.Protected = func(id string) bool {
			for _, p := range ids {
				if p == id {
					return true
				}
			}
			return false
		}
	}
}

// tryClaim claims a tenant at the given time.
func (e *env) tryClaim(id string, at time.Time, edits ...func(*store.ClaimRequest)) (store.Claim, error) {
	return e.s.Claim(e.ctx(), id, request(at, edits...))
}

func (e *env) claim(id string, at time.Time, edits ...func(*store.ClaimRequest)) store.Claim {
	e.t.Helper()
	c, err := e.tryClaim(id, at, edits...)
	if err != nil {
		e.t.Fatalf("Claim(%q at %s): %v", id, store.FormatTime(at), err)
	}
	return c
}

// tryResume takes over a claimed tenant.
func (e *env) tryResume(id string, at time.Time, edits ...func(*store.ClaimRequest)) (store.Claim, error) {
	return e.s.Resume(e.ctx(), id, request(at, edits...))
}

func (e *env) resume(id string, at time.Time, edits ...func(*store.ClaimRequest)) store.Claim {
	e.t.Helper()
	c, err := e.tryResume(id, at, edits...)
	if err != nil {
		e.t.Fatalf("Resume(%q at %s): %v", id, store.FormatTime(at), err)
	}
	return c
}

// record adds to the progress of a claim.
func (e *env) record(tok store.Token, a store.Advance) {
	e.t.Helper()
	if err := e.s.Record(e.ctx(), tok, a); err != nil {
		e.t.Fatalf("Record(%v): %v", tok, err)
	}
}

// postpone ends an attempt with an error; a zero next fails the tenant.
func (e *env) postpone(tok store.Token, at, next time.Time) store.Tenant {
	e.t.Helper()
	tn, err := e.s.Postpone(e.ctx(), tok, store.Failure{At: at, Err: errors.New("ldap: connection refused"), Next: next})
	if err != nil {
		e.t.Fatalf("Postpone(%v): %v", tok, err)
	}
	return tn
}

// eraseAll erases until there is no more than fits Finish.
func (e *env) eraseAll(tok store.Token, at time.Time) store.Counts {
	e.t.Helper()
	var sum store.Counts
	for range 1_000_000 {
		got, err := e.s.Erase(e.ctx(), tok, at, lease)
		if err != nil {
			e.t.Fatalf("Erase(%v): %v", tok, err)
		}
		sum = sum.Plus(got.Deleted)
		if !got.More {
			return sum
		}
	}
	e.t.Fatalf("Erase(%v) never ends", tok)
	return sum
}

// finish erases and finishes a claim.
func (e *env) finish(tok store.Token, at time.Time) store.Receipt {
	e.t.Helper()
	e.eraseAll(tok, at)
	r, err := e.s.Finish(e.ctx(), tok, store.Verification{At: at})
	if err != nil {
		e.t.Fatalf("Finish(%v): %v", tok, err)
	}
	return r
}

// purge purges a tenant at the given time, step by step unless the edits
// allow the store to do it inline and it does.
func (e *env) purge(id string, at time.Time, edits ...func(*store.ClaimRequest)) store.Receipt {
	e.t.Helper()
	c := e.claim(id, at, edits...)
	if c.Receipt != nil {
		return *c.Receipt
	}
	return e.finish(c.Token, at)
}

// directory returns the store's directory, or skips the case.
func (e *env) directory() store.Directory {
	e.t.Helper()
	d, ok := e.s.(store.Directory)
	if !ok {
		e.t.Skip("the store holds no resources itself")
	}
	return d
}

// resource returns a resource with data that must not outlive it.
func resource(tenantID string, k store.Kind, id string) store.Resource {
	data := fmt.Sprintf(`{"email":"%s@secret.example","of":"%s"}`, id, tenantID)
	return store.Resource{TenantID: tenantID, Kind: k, ID: id, Data: json.RawMessage(data)}
}

// put adds resources.
func (e *env) put(rs ...store.Resource) {
	e.t.Helper()
	if err := e.directory().Put(e.ctx(), rs); err != nil {
		e.t.Fatalf("Put: %v", err)
	}
}

// fill gives a tenant resources: n of the first kind, n+1 of the second and so
// on, so that no two counts are equal. It returns how many.
func (e *env) fill(tenantID string, n int) store.Counts {
	e.t.Helper()
	var counts store.Counts
	var rs []store.Resource
	for i, k := range store.Kinds() {
		for j := range n + i {
			rs = append(rs, resource(tenantID, k, fmt.Sprintf("%s-%d", k, j)))
		}
		counts.Add(k, int64(n+i))
	}
	const batch = 1000
	for len(rs) > 0 {
		m := min(batch, len(rs))
		e.put(rs[:m]...)
		rs = rs[m:]
	}
	return counts
}
