package storetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tenantpurge/purger/store"
)

func claimCases() []testCase {
	return []testCase{
		{"NotAMillisecondBeforeTheDate_G1", func(e *env) {
			e.disabled("acme", "")
			e.changesNothing("a refused claim", func() {
				for _, at := range []time.Time{t0, due10.Add(-time.Millisecond), due10.Add(-time.Nanosecond)} {
					for _, edits := range [][]func(*store.ClaimRequest){nil, {inline}} {
						_, err := e.tryClaim("acme", at, edits...)
						e.wantCode(err, store.Precondition, fmt.Sprintf("claim at %v", at))
					}
				}
			})
			e.claim("acme", due10)
			e.wantStatus(store.StatusPurging, "acme")
		}},
		{"TakesTheWholeSubtreeWithIt", claimTakesSubtree},
		{"ListsTheSubtreeDeepestFirst_G3", func(e *env) {
			e.createAll("root", "z<root", "a<root", "m<a", "b<z", "k<b", "y<root")
			e.deactivate("root", t0, 10)
			c := e.claim("root", due10)
			e.equal([]string{"k", "m", "b", "z", "a", "y", "root"}, c.Tenants, "deepest first, then in the order of creation")
		}},
		{"OfASubTenantAlone_G4", func(e *env) {
			e.createAll("root", "child<root", "grandchild<child", "sibling<root")
			e.deactivate("child", t0, 10)
			root, sibling := e.tenant("root"), e.tenant("sibling")
			c := e.claim("child", due10)
			e.equal([]string{"grandchild", "child"}, c.Tenants, "the subtree")
			e.equal(root, e.tenant("root"), "the parent of the claimed")
			e.equal(sibling, e.tenant("sibling"), "the sibling of the claimed")
		}},
		{"OfASubTenantBeforeItsAncestorsDate", func(e *env) {
			e.createAll("root", "child<root")
			e.deactivate("child", t0, 10)
			e.deactivate("root", t0, 90)
			e.purge("child", due10)
			e.wantStatus(store.StatusDisabled, "root")
			e.wantGone("child")
		}},
		{"OnlyOfADisabledTenant_G2", func(e *env) {
			e.create("active", "")
			e.disabled("purging", "")
			e.disabled("failed", "")
			e.claim("purging", due10)
			e.postpone(e.claim("failed", due10).Token, due10, time.Time{})
			e.changesNothing("a refused claim", func() {
				for _, id := range []string{"active", "purging", "failed"} {
					for _, edits := range [][]func(*store.ClaimRequest){nil, {immediate}, {inline}} {
						_, err := e.tryClaim(id, farFuture, edits...)
						e.wantCode(err, store.Precondition, "claim of a tenant that is "+id)
					}
				}
			})
		}},
		{"OfAStaleVersionIsAConflict_G2", func(e *env) {
			e.disabled("acme", "") // at version 2
			e.changesNothing("a refused claim", func() {
				for _, v := range []int64{1, 3, -2} {
					_, err := e.tryClaim("acme", due10, version(v))
					e.wantCode(err, store.Conflict, fmt.Sprintf("claim of version %d", v))
				}
			})
			e.claim("acme", due10, version(2))
		}},
		{"ImmediateOverrulesEveryDate", func(e *env) {
			e.createAll("root", "child<root")
			e.deactivate("child", t0, 90)
			e.deactivate("root", t0, 10)
			r := e.purge("root", t0.Add(time.Hour), immediate, version(2))
			if !r.Immediate {
				e.t.Error("the receipt does not say that the deletion was immediate")
			}
			e.wantGone("root", "child")
		}},
		{"ImmediateOverrulesNothingElse", func(e *env) {
			e.createAll("root", "held<root", "listed<root", "paying<root")
			e.update("held", t0, store.SetHold("r", time.Time{}))
			e.subscribe("paying", 1)
			e.deactivate("root", t0, 10)
			now := t0.Add(time.Minute)
			try := func() error { _, err := e.tryClaim("root", now, immediate, protected("listed")); return err }
			e.wantBlocked(try(), "root", store.BlockHold, "held")
			e.update("held", now, store.Release())
			e.wantBlocked(try(), "root", store.BlockProtected, "listed")
			_, err := e.tryClaim("root", now, immediate)
			e.wantBlocked(err, "root", store.BlockActiveSubscriptions, "paying")
		}},
		{"RefusalsInTheirOrder", claimRefusalsInOrder},
		{"IsAudited_G8", func(e *env) {
			e.createAll("root", "child<root")
			e.deactivate("root", t0, 10)
			head := e.head()
			c := e.claim("root", due10)
			entries := e.entries(head)
			if len(entries) != 1 {
				e.t.Fatalf("a claim wrote %d entries; want 1: %+v", len(entries), entries)
			}
			x := entries[0]
			if x.Action != store.ActionClaim || x.TenantID != "root" || x.Actor != "system" || !x.At.Equal(due10) ||
				x.FromStatus != store.StatusDisabled || x.ToStatus != store.StatusPurging || x.FromVersion != 2 || x.ToVersion != c.Tenant.Version {
				e.t.Errorf("entry %+v", x)
			}
		}},
	}
}

func claimTakesSubtree(e *env) {
	e.createAll("root", "active<root", "disabled<root", "below<active", "other")
	e.deactivate("disabled", t0.Add(-day), 10)
	e.deactivate("root", t0, 10)
	planned := e.fillIfHeld("root", 2).Plus(e.fillIfHeld("below", 1)).Plus(e.fillIfHeld("disabled", 3))
	planned.SubTenants = 3
	e.fillIfHeld("other", 4)
	before := e.tenant("root")
	child := e.tenant("active")

	at := due10.Add(time.Hour)
	c := e.claim("root", at)
	if c.Receipt != nil || c.Resumed {
		e.t.Errorf("a new claim is resumed (%v), with receipt %+v", c.Resumed, c.Receipt)
	}
	if c.Token.TenantID != "root" || c.Token.Fence == 0 {
		e.t.Errorf("token %+v", c.Token)
	}
	want := before
	want.Status, want.Version, want.UpdatedAt = store.StatusPurging, before.Version+1, at
	want.Purge = &store.Progress{
		Fence: c.Token.Fence, Owner: "owner-1", LeaseEnd: store.Timestamp{Time: at.Add(lease)}, ClaimedAt: store.Timestamp{Time: at}, ClaimedBy: "system",
		Trigger: "schedule", Tenants: 4, Planned: planned,
	}
	got := c.Tenant
	if got.Purge == nil || got.Purge.PurgeID == "" {
		e.t.Fatalf("the claimed tenant has no purge id: %+v", got.Purge)
	}
	ignore := cmpopts.IgnoreFields(store.Progress{}, "PurgeID", "NextAttempt")
	if diff := cmp.Diff(want, got, ignore, cmpopts.EquateEmpty()); diff != "" {
		e.t.Errorf("the top as claimed (want -, got +):\n%s", diff)
	}
	e.equal(got, e.tenant("root"), "the top as read again")
	e.wantStatus(store.StatusPurging, "active", "disabled", "below")
	e.wantStatus(store.StatusActive, "other")
	for _, id := range []string{"active", "disabled", "below"} {
		if tn := e.tenant(id); tn.Purge != nil {
			e.t.Errorf("descendant %q carries a progress: %+v", id, tn.Purge)
		}
	}
	if v := e.tenant("active").Version; v != child.Version+1 {
		e.t.Errorf("the version of a claimed descendant went from %d to %d; want one more", child.Version, v)
	}
	e.wantDue(farFuture)
	e.reopen()
	e.equal(got, e.clearOwner(e.tenant("root"), got), "the top after a restart")
	e.wantStatus(store.StatusPurging, "active", "disabled", "below")
}

// clearOwner takes over from want what a restart may change: that the owner
// has closed the store may be kept on the record.
func (e *env) clearOwner(got, want store.Tenant) store.Tenant {
	if got.Purge != nil && want.Purge != nil {
		p := *got.Purge
		p.Owner, p.LeaseEnd = want.Purge.Owner, want.Purge.LeaseEnd
		got.Purge = &p
	}
	return got
}

// claimRefusalsInOrder closes a gate, gives a stale version, a date to come, a
// hold and too small a limit all at once, and takes one after the other away.
func claimRefusalsInOrder(e *env) {
	e.disabled("acme", "")
	e.update("acme", t0, store.SetHold("r", due10.Add(time.Hour)))
	e.changeGates(t0, store.PausePurging("maintenance", time.Time{}))
	small := limits(store.Limits{PerDay: 1})
	e.disabled("other", "")

	early := due10.Add(-time.Millisecond)
	_, err := e.tryClaim("acme", early, version(9), small)
	e.wantGate(err, store.GatePaused, "first the gates")
	e.changeGates(t0, store.ResumePurging("", 0))
	e.purge("other", due10)
	_, err = e.tryClaim("acme", early, version(9), small)
	e.wantCode(err, store.Conflict, "then the version")
	_, err = e.tryClaim("acme", early, version(3), small)
	e.wantCode(err, store.Precondition, "then the date")
	if got := e.tenant("acme").Block; got != nil {
		e.t.Errorf("before its date the tenant has the block %+v", got)
	}
	_, err = e.tryClaim("acme", due10, version(3), small)
	e.wantBlocked(err, "acme", store.BlockHold, "acme")
	if e.gates().Halt != nil {
		e.t.Error("a blocked claim halted the store")
	}
	_, err = e.tryClaim("acme", due10.Add(time.Hour), small)
	e.wantCode(err, store.Exhausted, "then the limits")
	_, err = e.tryClaim("acme", due10.Add(time.Hour), version(9), small)
	e.wantGate(err, store.GateHalted, "and from then on the halt")
}
