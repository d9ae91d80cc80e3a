package storetest

import (
	"time"

	"github.com/tenantpurge/purger/store"
)

func absorbCases() []testCase {
	return []testCase{
		{"AFailedDescendantGoesWithItsCounts_G5", func(e *env) { absorb(e, absorbFailed) }},
		{"AWaitingDescendantGoesWithItsCounts_G5", func(e *env) { absorb(e, absorbWaiting) }},
		{"AYieldedDescendantGoesWithItsCounts_G5", func(e *env) { absorb(e, absorbYielded) }},
		{"ADescendantWhoseLeaseEndedGoesWithItsCounts_G5", func(e *env) { absorb(e, absorbLeaseEnded) }},
		{"InexactCountsStayInexact_G5", func(e *env) {
			e.createAll("top", "child<top")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			tok := e.claim("child", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Deleted: store.Counts{Users: 1}, Inexact: true})
			e.postpone(tok, due10, time.Time{})
			if r := e.purge("top", due10); r.CountsExact {
				e.t.Error("the receipt calls counts exact that were a lower bound")
			}
		}},
		{"ABlockOfAnAbsorbableDescendantStillCounts", func(e *env) {
			e.createAll("top", "child<top", "leaf<child")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			e.postpone(e.claim("child", due10).Token, due10, time.Time{})
			_, err := e.tryClaim("top", due10, protected("leaf"))
			e.wantBlocked(err, "top", store.BlockProtected, "leaf")
			e.wantStatus(store.StatusFailed, "child")
			e.purge("top", due10)
		}},
		{"SeveralClaimsAtSeveralDepths", func(e *env) {
			e.createAll("top", "a<top", "b<top", "c<b", "d<c")
			for _, id := range []string{"a", "c", "b", "top"} {
				e.deactivate(id, t0, 10)
			}
			counts := e.fillIfHeld("a", 1).Plus(e.fillIfHeld("c", 2)).Plus(e.fillIfHeld("d", 1)).Plus(e.fillIfHeld("top", 3))
			for _, id := range []string{"a", "c"} {
				tok := e.claim(id, due10).Token
				e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Deleted: store.Counts{Users: 10}})
				e.postpone(tok, due10, time.Time{})
			}
			// b takes c, fails too, and goes with the top in its turn.
			tok := e.claim("b", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim", Deleted: store.Counts{APIKeys: 5}})
			e.postpone(tok, due10, time.Time{})
			r := e.purge("top", due10)
			counts.Users, counts.APIKeys, counts.SubTenants = counts.Users+20, counts.APIKeys+5, 4
			e.equal(counts, r.Deleted, "deleted")
			e.equal(map[string]store.Counts{"ldap": {Users: 20}, "scim": {APIKeys: 5}}, r.Targets, "by target")
			e.equal([]string{"d", "c", "a", "b", "top"}, r.Tenants, "the subtree")
			e.wantGone("top", "a", "b", "c", "d")
		}},
		{"APurgedDescendantDoesNotComeBack", func(e *env) {
			e.createAll("top", "gone<top", "kept<top", "below<gone")
			e.deactivate("gone", t0, 10)
			e.deactivate("top", t0, 11)
			e.fillIfHeld("below", 4)
			counts := e.fillIfHeld("kept", 2)
			first := e.purge("gone", due10)
			r := e.purge("top", t0.Add(11*day))
			counts.SubTenants = 1
			e.equal(counts, r.Deleted, "deleted with the top")
			e.equal([]string{"kept", "top"}, r.Tenants, "the subtree of the top")
			got, err := e.s.Receipt(e.ctx(), "below")
			if err != nil {
				e.t.Fatal(err)
			}
			e.equal(first, got, "the receipt of what was purged before")
		}},
	}
}

// How a claimed descendant is left idle. Each returns the time from which
// nobody works on it.
func absorbFailed(e *env, tok store.Token) time.Time {
	e.postpone(tok, due10, time.Time{})
	e.wantStatus(store.StatusFailed, tok.TenantID)
	return due10
}

func absorbWaiting(e *env, tok store.Token) time.Time {
	e.postpone(tok, due10, due10.Add(day))
	return due10
}

func absorbYielded(e *env, tok store.Token) time.Time {
	if err := e.s.Yield(e.ctx(), tok, due10); err != nil {
		e.t.Fatalf("Yield: %v", err)
	}
	return due10
}

func absorbLeaseEnded(_ *env, _ store.Token) time.Time { return due10.Add(lease) }

// absorb claims a descendant, works on it, leaves it idle and purges its
// ancestor: what was deleted before must be on the one receipt.
func absorb(e *env, idle func(*env, store.Token) time.Time) {
	e.createAll("top", "child<top", "leaf<child", "other<top")
	e.deactivate("child", t0, 10)
	e.deactivate("top", t0, 10)
	counts := e.fillIfHeld("top", 1).Plus(e.fillIfHeld("child", 2)).Plus(e.fillIfHeld("leaf", 3)).Plus(e.fillIfHeld("other", 4))
	tok := e.claim("child", due10).Token
	if _, err := e.s.Erase(e.ctx(), tok, due10, lease); err != nil {
		e.t.Fatalf("Erase: %v", err)
	}
	external := store.Counts{Users: 7, OAuthClients: 2}
	e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Planned: external, Deleted: external})
	at := idle(e, tok)

	c := e.claim("top", at, owner("owner-2"))
	if !at.Equal(due10) && !c.Resumed {
		// The owner of the descendant vanished: it may have been in the midst
		// of a call, as with any resumption after a lease that ended.
		e.t.Error("the claim does not say that an earlier owner may have been in the midst of a call")
	}
	if c.Tenant.Purge.Tenants != 4 {
		e.t.Errorf("the claim has %d tenants; want 4", c.Tenant.Purge.Tenants)
	}
	if p := e.tenant("child").Purge; p != nil {
		e.t.Errorf("the absorbed tenant still carries a progress: %+v", p)
	}
	e.wantStatus(store.StatusPurging, "top", "child", "leaf", "other")
	e.wantFenced(tok, at)
	_, err := e.tryResume("child", at.Add(10*lease))
	if code := store.CodeOf(err); code != store.Precondition && code != store.Conflict {
		e.t.Errorf("Resume of an absorbed tenant: %v; want it refused", err)
	}
	if _, err = e.tryUpdate("child", at, store.Retry()); store.CodeOf(err) != store.Precondition {
		e.t.Errorf("Retry of an absorbed tenant: %v; want a precondition error", err)
	}
	e.equal([]string{"top"}, idsOf(e.resumable(at.Add(day), 10)), "what can be resumed later")

	r := e.finish(c.Token, at)
	want := counts.Plus(external)
	want.SubTenants = 3
	e.equal(want, r.Deleted, "deleted")
	e.equal(want, r.Planned, "planned")
	e.equal(map[string]store.Counts{"ldap": external}, r.Targets, "by target")
	e.equal([]string{"leaf", "child", "other", "top"}, r.Tenants, "the subtree")
	for _, id := range r.Tenants {
		ts, err := e.s.Tombstone(e.ctx(), id)
		if err != nil || ts.PurgedWith != "top" {
			e.t.Errorf("tombstone of %q: purged with %q, %v; want top", id, ts.PurgedWith, err)
		}
	}
}
