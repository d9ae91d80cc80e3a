package storetest

import (
	"fmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tenantpurge/purger/store"
)

func finishCases() []testCase {
	return []testCase{
		{"RefusedUnlessCountedEmpty_G6", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			e.eraseAll(tok, due10)
			e.changesNothing("a refused Finish", func() {
				for _, remaining := range []store.Counts{{Users: 1}, {Credentials: 1}, {APIKeys: 1}, {OAuthClients: 1}, {SubTenants: 1}} {
					_, err := e.s.Finish(e.ctx(), tok, store.Verification{At: due10, Remaining: remaining, Targets: []string{"ldap"}})
					e.wantCode(err, store.Precondition, fmt.Sprintf("Finish with %+v remaining", remaining))
				}
			})
			e.finish(tok, due10)
		}},
		{"LeavesNothingInAnyIndex_G6", func(e *env) {
			e.createAll("root", "top<root", "child<top")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			e.fillIfHeld("child", 3)
			root := e.tenant("root")
			head := e.head()
			e.purge("top", due10)
			e.wantGone("top", "child")
			e.wantIDs(store.Filter{}, "root")
			parent := "top"
			e.wantIDs(store.Filter{ParentID: &parent})
			e.wantDue(farFuture)
			e.wantResumable(farFuture)
			e.equal(root, e.tenant("root"), "the parent of what was purged")
			st := e.stats(farFuture)
			if st.Resources != (store.Counts{}) || st.Tenants[store.StatusDeleted] != 2 || st.Tenants[store.StatusActive] != 1 || st.Due != 0 {
				e.t.Errorf("stats %+v", st)
			}
			if d, ok := e.s.(store.Directory); ok {
				if got, err := d.Count(e.ctx(), "root"); err != nil || got != (store.Counts{}) {
					e.t.Errorf("counters of the parent: %+v, %v; want no sub-tenant any more", got, err)
				}
			}
			if entries := e.entries(head); len(entries) != 2 || entries[0].Action != store.ActionClaim || entries[1].Action != store.ActionPurge {
				e.t.Errorf("claim and finish wrote %+v; want claim, purge (G8)", entries)
			}
		}},
		{"OfALeafWithoutAnything", func(e *env) {
			e.disabled("acme", "")
			r := e.purge("acme", due10)
			e.equal(store.Counts{}, r.Deleted, "deleted")
			e.equal([]string{"acme"}, r.Tenants, "the subtree")
		}},
		{"InlineGivesTheSameEvidence_G5", finishInline},
		{"InlineIsRefusedLikeAnyClaim", func(e *env) {
			e.disabled("acme", "")
			e.update("acme", t0, store.SetHold("r", due10.Add(1e9)))
			_, err := e.tryClaim("acme", due10, inline)
			e.wantBlocked(err, "acme", store.BlockHold, "acme")
			e.wantStatus(store.StatusDisabled, "acme")
		}},
		{"InlineOfALargeTreeIsExact_G5", func(e *env) {
			e.directory()
			e.createAll("top", "child<top")
			want := e.fill("top", large/4).Plus(e.fill("child", large/4))
			want.SubTenants = 1
			e.deactivate("top", t0, 10)
			r := e.purge("top", due10, inline)
			e.equal(want, r.Deleted, "deleted")
			e.equal(want, r.Planned, "planned")
			e.wantGone("top", "child")
		}},
		{"InlineAbsorbsWhatFailedBelow_G5", func(e *env) {
			e.createAll("top", "child<top")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			want := e.fillIfHeld("top", 2).Plus(e.fillIfHeld("child", 3))
			tok := e.claim("child", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Deleted: store.Counts{Users: 5}})
			e.postpone(tok, due10, due10)
			r := e.purge("top", due10, inline)
			want.Users, want.SubTenants = want.Users+5, 1
			e.equal(want, r.Deleted, "deleted")
			e.equal(map[string]store.Counts{"ldap": {Users: 5}}, r.Targets, "by target")
		}},
	}
}

// finishInline purges the same tree in two stores, once in the transaction of
// the claim and once step by step.
func finishInline(e *env) {
	other := e.another()
	build := func(e *env) {
		e.createAll("root", "top<root", "z<top", "a<top", "below<z")
		e.deactivate("z", t0, 10)
		e.deactivate("top", t0, 10)
		for i, id := range []string{"top", "z", "below"} {
			e.fillIfHeld(id, i+1)
		}
	}
	build(e)
	build(other)
	at := due10.Add(1e9)
	c := e.claim("top", at, inline, version(2))
	if c.Receipt == nil {
		e.t.Skip("the store does not finish inline")
	}
	if c.Tenants != nil {
		e.t.Errorf("a claim that is finished lists the tenants %q", c.Tenants)
	}
	step := other.purge("top", at, version(2))

	ignore := cmpopts.IgnoreFields(store.Receipt{}, "ID", "Audit")
	if diff := cmp.Diff(step, *c.Receipt, ignore, cmpopts.EquateEmpty()); diff != "" {
		e.t.Errorf("receipts (step by step -, inline +):\n%s", diff)
	}
	for _, id := range step.Tenants {
		want, err := other.s.Tombstone(e.ctx(), id)
		if err != nil {
			e.t.Fatalf("Tombstone(%q): %v", id, err)
		}
		got, err := e.s.Tombstone(e.ctx(), id)
		if err != nil {
			e.t.Fatalf("Tombstone(%q): %v", id, err)
		}
		e.equal(want, got, fmt.Sprintf("tombstone of %q (step by step -, inline +)", id))
	}
	kept, err := e.s.Receipt(e.ctx(), "below")
	if err != nil {
		e.t.Fatalf("Receipt: %v", err)
	}
	e.equal(*c.Receipt, kept, "the receipt as read again")
	e.equal(other.tenant("root"), e.tenant("root"), "the parent")
	a, b := other.stats(at), e.stats(at)
	a.AuditHead, b.AuditHead = store.AuditRef{}, store.AuditRef{}
	a.Size, b.Size = store.FileStats{}, store.FileStats{}
	e.equal(a, b, "stats (step by step -, inline +)")
	e.wantGone(step.Tenants...)
}
