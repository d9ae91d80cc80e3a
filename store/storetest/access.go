package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

func accessCases() []testCase {
	return []testCase{
		{"FollowsEveryChangeOfStatus_G7", accessFollows},
		{"OfADeactivatedRootEndsForItsWholeTree", func(e *env) {
			e.createAll("root", "child<root", "grandchild<child", "root2", "child2<root2")
			e.deactivate("root", t0, 10)
			e.wantDenied(store.StatusDisabled, "root", "root", "child", "grandchild")
			e.wantAllowed("root2", "child2")
			e.deactivate("child", t0, 10)
			e.wantDenied(store.StatusDisabled, "child", "child", "grandchild")
			e.update("root", t0, store.Reactivate())
			e.wantAllowed("root")
			e.wantDenied(store.StatusDisabled, "child", "child", "grandchild")
			e.update("child", t0, store.Reactivate())
			e.wantAllowed("root", "child", "grandchild")
		}},
		{"OfAFailedPurgeStaysDenied", func(e *env) {
			e.createAll("root", "top<root", "child<top")
			e.deactivate("top", t0, 10)
			e.postpone(e.claim("top", due10).Token, due10, time.Time{})
			e.wantAllowed("root")
			e.wantDenied(store.StatusFailed, "top", "top")
			e.wantDenied(store.StatusPurging, "child", "child")
			e.update("top", due10, store.Retry())
			e.wantDenied(store.StatusPurging, "top", "top")
			e.reopen()
			e.wantDenied(store.StatusPurging, "top", "top")
		}},
		{"OfAPurgedTenantIsDeniedForEver", func(e *env) {
			e.createAll("root", "inline<root", "child<inline", "steps<root", "deep<steps")
			for _, id := range []string{"inline", "steps"} {
				e.deactivate(id, t0, 10)
			}
			e.purge("inline", due10, inline)
			e.purge("steps", due10)
			for range 2 {
				for _, id := range []string{"inline", "child", "steps", "deep"} {
					e.wantDenied(store.StatusDeleted, id, id)
					e.wantHost(store.Access{Known: true, Status: store.StatusDeleted}, id2host(id))
				}
				e.wantAllowed("root")
				e.reopen()
			}
		}},
		{"OfWhatNobodyKnowsIsNotKnown", func(e *env) {
			e.create("acme", "")
			for _, id := range []string{"", "nobody", "ACME", "acme ", "acme\x00", strings.Repeat("a", 4096)} {
				e.wantAccess(store.Access{}, id)
			}
			for _, host := range []string{"", ".", "..", "acme", "example", id2host("acme") + "..", id2host("acme") + ":443", "x" + id2host("acme"), strings.Repeat("a", 4096)} {
				e.wantHost(store.Access{}, host)
			}
		}},
		{"ByHostFollowsEditsInAnyCase", func(e *env) {
			e.createAll("acme", "beta")
			host, other := "Shop.ACME.example", "acme2.example"
			allowed := store.Access{Known: true, Allowed: true, Status: store.StatusActive, By: "acme"}
			e.update("acme", t0, store.Edit(nil, &host, nil))
			e.wantHost(store.Access{}, id2host("acme"))
			for _, h := range []string{host, "shop.acme.example", "SHOP.ACME.EXAMPLE.", "shop.acme.example."} {
				e.wantHost(allowed, h)
			}
			e.update("acme", t0, store.Edit(nil, &other, nil))
			e.update("beta", t0, store.Edit(nil, &host, nil))
			e.deactivate("beta", t0, 10)
			e.wantHost(allowed, other)
			e.wantHost(store.Access{Known: true, Status: store.StatusDisabled, By: "beta"}, host)
			none := ""
			e.update("beta", t0, store.Edit(nil, &none, nil))
			e.wantHost(store.Access{}, host)
		}},
		{"OfASharedHostIsThatOfAll", accessShared},
		{"OfThePurgedTenantsHostIsDenied_G13", accessOfPurgedHost},
		{"OfWhatIsImported", func(e *env) {
			e.importAll(importBatch())
			for range 2 {
				e.wantDenied(store.StatusDisabled, "acme", "acme", "acme.held", "acme.deep")
				e.wantHost(store.Access{Known: true, Status: store.StatusDisabled, By: "acme"}, "secret.acme.example")
				e.wantAllowed("beta")
				e.reopen()
			}
		}},
		{"OutlivesACompaction", func(e *env) {
			e.createAll("active", "gone")
			e.deactivate("gone", t0, 10)
			e.purge("gone", due10)
			c, ok := e.s.(store.Compacter)
			if !ok {
				e.t.Skip("the store is never compacted")
			}
			if _, err := c.Compact(e.ctx()); err != nil {
				e.t.Fatalf("Compact: %v", err)
			}
			e.wantAllowed("active")
			e.wantDenied(store.StatusDeleted, "gone", "gone")
			e.deactivate("active", due10, 10)
			e.wantDenied(store.StatusDisabled, "active", "active")
		}},
		{"OfARefusedChangeIsThatBefore", func(e *env) {
			e.createAll("root", "child<root")
			e.deactivate("child", t0, 10)
			e.deactivate("root", t0, 10)
			_, err := e.tryUpdate("child", t0, store.Reactivate())
			e.wantCode(err, store.Precondition, "Reactivate below a disabled tenant")
			e.wantDenied(store.StatusDisabled, "child", "child")
			_, err = e.s.Create(e.ctx(), store.Tenant{ID: "late", ParentID: "root"}, by(t0))
			e.wantCode(err, store.Precondition, "Create below a disabled tenant")
			e.wantAccess(store.Access{}, "late")
		}},
		{"IsUnavailableBeforeLoadingAndAfterClosing", func(e *env) {
			e.gatekeeper()
			e.create("acme", "")
			e.close()
			s := e.h.Open(e.t, e.dir)
			g := s.(store.Gatekeeper)
			cancelled, cancel := context.WithCancel(e.ctx())
			cancel()
			e.wantContextError(g.LoadAccess(cancelled), context.Canceled, "LoadAccess")
			e.wantNoAnswer(g)
			for range 2 {
				if err := g.LoadAccess(e.ctx()); err != nil {
					e.t.Fatalf("LoadAccess: %v", err)
				}
			}
			if a, err := g.Access("acme"); err != nil || !a.Allowed {
				e.t.Errorf("Access once it is loaded: %+v, %v", a, err)
			}
			if err := s.Close(); err != nil {
				e.t.Fatalf("Close: %v", err)
			}
			e.wantNoAnswer(g)
			e.wantCode(g.LoadAccess(e.ctx()), store.Unavailable, "LoadAccess of a closed store")
		}},
		{"NoStaleAnswerOnceAcknowledged_G7", accessRace},
	}
}

// accessFollows takes one tenant through every status there is.
func accessFollows(e *env) {
	e.create("acme", "")
	e.wantAllowed("acme")
	e.deactivate("acme", t0, 10)
	e.wantDenied(store.StatusDisabled, "acme", "acme")
	e.update("acme", t0, store.Reactivate())
	e.wantAllowed("acme")
	e.deactivate("acme", t0, 10)
	tok := e.claim("acme", due10).Token
	e.wantDenied(store.StatusPurging, "acme", "acme")
	e.postpone(tok, due10, time.Time{})
	e.wantDenied(store.StatusFailed, "acme", "acme")
	e.update("acme", due10, store.Retry())
	e.wantDenied(store.StatusPurging, "acme", "acme")
	c, err := e.s.Resume(e.ctx(), "acme", request(due10))
	if err != nil {
		e.t.Fatalf("Resume: %v", err)
	}
	e.finish(c.Token, due10)
	e.wantDenied(store.StatusDeleted, "acme", "acme")
}

// accessShared gives several tenants one host name: as long as one of them may
// not be served, none is by that name.
func accessShared(e *env) {
	host := "shared.example"
	ids := []string{"a", "b", "c", "d"}
	for _, id := range ids {
		e.create(id, "")
		e.update(id, t0, store.Edit(nil, &host, nil))
	}
	allowed := func(want bool) {
		e.t.Helper()
		if a, err := e.gatekeeper().AccessByHost(host); err != nil || a.Allowed != want || !a.Known {
			e.t.Errorf("AccessByHost: %+v, %v; want it known and allowed: %v", a, err, want)
		}
	}
	for range 2 {
		allowed(true)
		for _, id := range ids {
			e.deactivate(id, t0, 10)
			e.wantHost(store.Access{Known: true, Status: store.StatusDisabled, By: id}, host)
			e.update(id, t0, store.Reactivate())
			allowed(true)
		}
		e.reopen()
	}
	// They leave it one by one, from the middle, the front and the end.
	for i, id := range []string{"c", "a", "d"} {
		e.deactivate(id, t0, 10)
		allowed(false)
		if i == 1 {
			e.update(id, t0, store.Edit(nil, new(string), nil))
		} else {
			e.purge(id, due10)
		}
		allowed(true)
	}
	e.deactivate("b", t0, 10)
	e.purge("b", due10)
	e.wantHost(store.Access{Known: true, Status: store.StatusDeleted}, host)
}

// accessOfPurgedHost follows a host name after its tenant is purged.
func accessOfPurgedHost(e *env) {
	e.createAll("acme", "beta", "renamed")
	host, other := "Secret.Purged.example", "other.example"
	e.update("acme", t0, store.Edit(nil, &host, nil))
	e.update("renamed", t0, store.Edit(nil, &other, nil))
	e.deactivate("acme", t0, 10)
	e.purge("acme", due10)
	denied := store.Access{Known: true, Status: store.StatusDeleted}
	check := func(want store.Access) {
		e.t.Helper()
		for range 2 {
			e.wantHost(want, "SECRET.purged.example.")
			e.wantHost(store.Access{}, id2host("renamed")) // nobody was purged with that one
			e.wantHost(store.Access{}, "x"+host)
			e.reopen()
		}
	}
	check(denied)
	if c, ok := e.s.(store.Compacter); ok {
		if _, err := c.Compact(e.ctx()); err != nil {
			e.t.Fatalf("Compact: %v", err)
		}
		check(denied)
	}
	e.update("beta", due10, store.Edit(nil, &host, nil))
	check(store.Access{Known: true, Allowed: true, Status: store.StatusActive, By: "beta"})
	e.update("beta", due10, store.Edit(nil, &other, nil))
	check(denied)
	e.wantNoTrace("Secret.Purged.example", "secret.purged.example")
}

// open opens a store and, where it can, has it answer for the gate.
func open(t testing.TB, h Harness, dir string) store.Store {
	t.Helper()
	s := h.Open(t, dir)
	if g, ok := s.(store.Gatekeeper); ok {
		if err := g.LoadAccess(context.WithoutCancel(t.Context())); err != nil {
			t.Fatalf("LoadAccess: %v", err)
		}
	}
	return s
}

// gatekeeper returns the store's gatekeeper, or skips the case.
func (e *env) gatekeeper() store.Gatekeeper {
	e.t.Helper()
	g, ok := e.s.(store.Gatekeeper)
	if !ok {
		e.t.Skip("the store does not answer for the gate")
	}
	return g
}

func (e *env) wantAccess(want store.Access, id string) {
	e.t.Helper()
	if a, err := e.gatekeeper().Access(id); err != nil || a != want {
		e.t.Errorf("Access(%q): %+v, %v; want %+v", id, a, err, want)
	}
}

func (e *env) wantHost(want store.Access, host string) {
	e.t.Helper()
	if a, err := e.gatekeeper().AccessByHost(host); err != nil || a != want {
		e.t.Errorf("AccessByHost(%q): %+v, %v; want %+v", host, a, err, want)
	}
}

// wantAllowed fails the case unless the tenants may be served.
func (e *env) wantAllowed(ids ...string) {
	e.t.Helper()
	for _, id := range ids {
		e.wantAccess(store.Access{Known: true, Allowed: true, Status: store.StatusActive, By: id}, id)
	}
}

// wantDenied fails the case unless the status of one tenant denies the others.
func (e *env) wantDenied(status store.Status, causedBy string, ids ...string) {
	e.t.Helper()
	for _, id := range ids {
		e.wantAccess(store.Access{Known: true, Status: status, By: causedBy}, id)
	}
}

// wantNoAnswer fails the case when the gate answers.
func (e *env) wantNoAnswer(g store.Gatekeeper) {
	e.t.Helper()
	a, err := g.Access("acme")
	e.wantCode(err, store.Unavailable, fmt.Sprintf("Access: %+v", a))
	a, err = g.AccessByHost(id2host("acme"))
	e.wantCode(err, store.Unavailable, fmt.Sprintf("AccessByHost: %+v", a))
}
