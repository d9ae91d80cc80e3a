package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

func readCases() []testCase {
	return []testCase{
		{"TellsUnknownFromPurged", readTellsUnknownFromPurged},
		{"TombstoneOfAKeptTenantIsAPrecondition", func(e *env) {
			e.disabled("acme", "")
			_, err := e.s.Tombstone(e.ctx(), "acme")
			e.wantCode(err, store.Precondition, "Tombstone of a disabled tenant")
			e.claim("acme", due10)
			_, err = e.s.Tombstone(e.ctx(), "acme")
			e.wantCode(err, store.Precondition, "Tombstone of a purging tenant")
		}},
		{"TenantsInTheOrderOfTheirIDs", func(e *env) {
			e.createAll("b", "a", "a.b<a", "a-b<a", "B", "a0<a", "0", "c<b")
			e.wantIDs(store.Filter{}, "0", "B", "a", "a-b", "a.b", "a0", "b", "c")
		}},
		{"TenantsByStatus", func(e *env) {
			e.createAll("active", "parent", "below<parent")
			e.disabled("disabled", "")
			e.deactivate("parent", t0, 10)
			e.disabled("failed", "")
			e.claim("parent", due10)
			e.postpone(e.claim("failed", due10).Token, due10, time.Time{})
			e.wantIDs(store.Filter{Status: store.StatusActive}, "active")
			e.wantIDs(store.Filter{Status: store.StatusDisabled}, "disabled")
			e.wantIDs(store.Filter{Status: store.StatusPurging}, "below", "parent")
			e.wantIDs(store.Filter{Status: store.StatusFailed}, "failed")
		}},
		{"TenantsByParent", func(e *env) {
			e.createAll("a", "b", "a.y<a", "a.x<a", "a.x.z<a.x", "b.x<b")
			root, a, leaf, unknown := "", "a", "a.y", "nobody"
			e.wantIDs(store.Filter{ParentID: &root}, "a", "b")
			e.wantIDs(store.Filter{ParentID: &a}, "a.x", "a.y")
			e.wantIDs(store.Filter{ParentID: &a, Limit: 1}, "a.x")
			e.wantIDs(store.Filter{ParentID: &a, Limit: 1, After: "a.x"}, "a.y")
			e.wantIDs(store.Filter{ParentID: &a, Limit: 1, After: "a.y"})
			e.wantIDs(store.Filter{ParentID: &leaf})
			e.wantIDs(store.Filter{ParentID: &unknown})
			e.deactivate("a.y", t0, 10)
			e.wantIDs(store.Filter{ParentID: &a, Status: store.StatusDisabled}, "a.y")
			e.wantIDs(store.Filter{ParentID: &a, After: "a.x", Limit: 5}, "a.y")
		}},
		{"TenantsByDate_G1", func(e *env) {
			e.createAll("active", "a", "b", "c")
			for i, id := range []string{"c", "b", "a"} {
				e.deactivate(id, t0.Add(time.Duration(i)*time.Millisecond), 10)
			}
			e.wantIDs(store.Filter{DueBy: due10.Add(-time.Millisecond)})
			e.wantIDs(store.Filter{DueBy: due10}, "c")
			e.wantIDs(store.Filter{DueBy: due10.Add(time.Millisecond)}, "b", "c")
			e.wantIDs(store.Filter{DueBy: due10.Add(day)}, "a", "b", "c")
			e.wantIDs(store.Filter{DueBy: due10.Add(day), After: "a", Limit: 1}, "b")
			e.claim("b", due10.Add(day))
			e.wantIDs(store.Filter{DueBy: due10.Add(day)}, "a", "c")
		}},
		{"TenantsPageByPage", readTenantsPages},
		{"TenantsNeverMoreThanAPage", readTenantsMaxPage},
	}
}

// wantIDs fails the case unless the filter selects exactly these.
func (e *env) wantIDs(f store.Filter, want ...string) {
	e.t.Helper()
	tenants, err := e.s.Tenants(e.ctx(), f)
	if err != nil {
		e.t.Fatalf("Tenants(%+v): %v", f, err)
	}
	got := []string{}
	for _, tn := range tenants {
		got = append(got, tn.ID)
	}
	if !slices.Equal(got, want) {
		e.t.Errorf("Tenants(%+v) = %q; want %q", f, got, want)
	}
}

// Every method that takes an id, with an id that was never used and with those
// of purged tenants, the top of a claim and a descendant.
func readTellsUnknownFromPurged(e *env) {
	e.createAll("top", "below<top")
	e.deactivate("top", t0, 10)
	tok := e.claim("top", due10).Token
	e.finish(tok, due10)

	methods := map[string]func(id string) error{
		"Tenant": func(id string) error { _, err := e.s.Tenant(e.ctx(), id); return err },
		"Update": func(id string) error { _, err := e.tryUpdate(id, due10, store.Reactivate()); return err },
		"Update with a version": func(id string) error {
			_, err := e.s.Update(e.ctx(), id, store.Update{Origin: by(due10), Version: 1, Change: store.Release()})
			return err
		},
		"Assess": func(id string) error { _, err := e.s.Assess(e.ctx(), id, request(due10)); return err },
		"Claim":  func(id string) error { _, err := e.tryClaim(id, due10); return err },
		"Resume": func(id string) error { _, err := e.tryResume(id, due10); return err },
	}
	if d, ok := e.s.(store.Directory); ok {
		methods["Put"] = func(id string) error {
			return d.Put(e.ctx(), []store.Resource{resource(id, store.KindUser, "u")})
		}
		methods["List"] = func(id string) error { _, err := d.List(e.ctx(), id, store.KindUser, "", 10); return err }
		methods["Count"] = func(id string) error { _, err := d.Count(e.ctx(), id); return err }
	}
	e.changesNothing("a method with an id that is not kept", func() {
		for name, method := range methods {
			for id, want := range map[string]store.Code{"nobody": store.NotFound, "to": store.NotFound, "top.": store.NotFound, "top": store.Gone, "below": store.Gone} {
				e.wantCode(method(id), want, fmt.Sprintf("%s(%q)", name, id))
			}
		}
		_, err := e.s.Tombstone(e.ctx(), "nobody")
		e.wantCode(err, store.NotFound, "Tombstone of an unknown id")
		_, err = e.s.Receipt(e.ctx(), "nobody")
		e.wantCode(err, store.NotFound, "Receipt of an unknown id")
	})
	e.wantGone("top", "below")
}

func readTenantsPages(e *env) {
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("t-%02d", i)
		e.create(id, "")
		want = append(want, id)
	}
	for _, limit := range []int{1, 7, 24, 25, 26} {
		var got []string
		after := ""
		for {
			page, err := e.s.Tenants(e.ctx(), store.Filter{After: after, Limit: limit})
			if err != nil {
				e.t.Fatalf("Tenants: %v", err)
			}
			if len(page) > limit {
				e.t.Fatalf("a page of %d; want at most %d", len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			for _, tn := range page {
				got = append(got, tn.ID)
			}
			after = got[len(got)-1]
		}
		if !slices.Equal(got, want) {
			e.t.Errorf("in pages of %d: %q; want %q", limit, got, want)
		}
	}
	// The last id of a page may be one that is gone, or was never there.
	e.wantIDs(store.Filter{After: "t-23x"}, "t-24")
	e.wantIDs(store.Filter{After: "t-24"})
}

func readTenantsMaxPage(e *env) {
	const n = store.MaxPage + 3
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				if _, err := e.s.Create(e.ctx(), store.Tenant{ID: fmt.Sprintf("t-%05d", i)}, by(t0)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		e.t.Fatalf("Create: %v", <-errs)
	}
	for _, limit := range []int{0, store.MaxPage, store.MaxPage + 1, 1 << 30} {
		got, err := e.s.Tenants(e.ctx(), store.Filter{Limit: limit})
		if err != nil || len(got) != store.MaxPage {
			e.t.Errorf("with limit %d: %d tenants, %v; want %d", limit, len(got), err, store.MaxPage)
		}
	}
	rest, err := e.s.Tenants(e.ctx(), store.Filter{After: fmt.Sprintf("t-%05d", store.MaxPage-1)})
	if err != nil || len(rest) != 3 {
		e.t.Errorf("on the second page %d tenants, %v; want 3", len(rest), err)
	}
}
