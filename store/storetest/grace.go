package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func graceCases() []testCase {
	return []testCase{
		{"DeactivateSetsTheDate_G1", func(e *env) {
			e.create("acme", "")
			got := e.update("acme", t0.Add(time.Hour), store.Deactivate(15, store.Grace{}, nil))
			want := store.Tenant{
				ID: "acme", Name: got.Name, Hostname: got.Hostname, Status: store.StatusDisabled, Version: 2, CreatedAt: t0, UpdatedAt: t0.Add(time.Hour),
				DisabledAt: t0.Add(time.Hour), PurgeAfterDays: 15, EstimatedPurgeDate: t0.Add(time.Hour + 15*day), DisabledBy: alice,
			}
			e.equal(want, got, "what Update returns")
			e.reopen()
			e.equal(want, e.tenant("acme"), "the record after a restart")
		}},
		{"DeactivateAgainResetsTheCountdown_G1", func(e *env) {
			e.disabled("acme", "")
			e.deactivate("acme", t0.Add(9*day), 10)
			e.wantDue(due10)
			_, err := e.tryClaim("acme", due10)
			e.wantCode(err, store.Precondition, "a claim at the first date")
			e.wantDue(t0.Add(19*day-time.Millisecond), "")
			e.wantDue(t0.Add(19*day), "acme")
			// An earlier date than before is as good a promise, if a person gives it.
			e.deactivate("acme", t0, 3)
			e.wantDue(t0.Add(3*day), "acme")
		}},
		{"DeactivateRefusesATimeThatCannotBe_G1", func(e *env) {
			e.create("acme", "")
			e.changesNothing("a refused deactivation", func() {
				for _, at := range append(impossible(), time.Time{}) {
					_, err := e.tryUpdate("acme", at, store.Deactivate(10, store.Grace{}, nil))
					e.wantCode(err, store.Unavailable, fmt.Sprintf("Deactivate at %v", at))
				}
			})
		}},
		{"DeactivateClearsTheBlock", func(e *env) {
			e.blockedByHold("acme")
			if got := e.deactivate("acme", due10, 10); got.Block != nil {
				e.t.Errorf("deactivated again, the block is %+v", got.Block)
			}
			e.wantBlockedStats(nil)
		}},
		{"DeactivateRefusesAProtectedTenant", func(e *env) {
			e.create("acme", "")
			e.changesNothing("a refused deactivation", func() {
				_, err := e.tryUpdate("acme", t0, store.Deactivate(10, store.Grace{}, func(id string) bool { return id == "acme" }))
				e.wantCode(err, store.Precondition, "Deactivate of a protected tenant")
			})
		}},
		{"ReactivateCancels_G2", func(e *env) {
			e.disabled("acme", "")
			counts := e.fillIfHeld("acme", 3)
			got := e.update("acme", due10, store.Reactivate())
			want := store.Tenant{ID: "acme", Name: got.Name, Hostname: got.Hostname, Status: store.StatusActive, Version: 3, CreatedAt: t0, UpdatedAt: due10, ReactivatedAt: due10}
			e.equal(want, got, "what Update returns")
			e.wantDue(farFuture)
			_, err := e.tryClaim("acme", farFuture)
			e.wantCode(err, store.Precondition, "a claim after an acknowledged reactivation")
			_, err = e.tryClaim("acme", farFuture, immediate)
			e.wantCode(err, store.Precondition, "an immediate claim after an acknowledged reactivation")
			e.reopen()
			e.equal(want, e.tenant("acme"), "the record after a restart")
			e.wantHeld("acme", counts)
		}},
		{"ReactivateClearsTheBlock", func(e *env) {
			e.blockedByHold("acme")
			if got := e.update("acme", due10, store.Reactivate()); got.Block != nil || got.Hold == nil {
				e.t.Errorf("reactivated, the block is %+v, the hold %+v; want none, and the hold", got.Block, got.Hold)
			}
			e.wantBlockedStats(nil)
		}},
		{"ReactivateIsRefusedOnceClaimed_G2", graceRefusedOnceClaimed},
		{"ReactivateIsRefusedBelowADisabledAncestor", func(e *env) {
			e.createAll("root", "mid<root", "leaf<mid")
			e.deactivate("leaf", t0, 20)
			e.deactivate("root", t0, 10)
			e.changesNothing("a refused reactivation", func() {
				for _, id := range []string{"leaf", "mid"} {
					_, err := e.tryUpdate(id, t0, store.Reactivate())
					e.wantCode(err, store.Precondition, fmt.Sprintf("Reactivate of %q below a disabled root", id))
				}
			})
			e.update("root", t0, store.Reactivate())
			e.wantStatus(store.StatusActive, "root", "mid")
			// It was disabled by itself, so it stays so when the root comes back.
			e.wantStatus(store.StatusDisabled, "leaf")
			e.wantDue(t0.Add(20*day), "leaf")
			e.update("leaf", t0, store.Reactivate())
		}},
		{"DescendantsKeepTheirOwnState", func(e *env) {
			e.createAll("root", "child<root")
			before := e.tenant("child")
			e.deactivate("root", t0, 10)
			e.equal(before, e.tenant("child"), "an active child of a tenant that was disabled")
			e.deactivate("child", t0, 12)
			own := e.tenant("child")
			e.update("root", t0, store.Reactivate())
			e.equal(own, e.tenant("child"), "a disabled child of a tenant that was reactivated")
		}},
	}
}

// graceRefusedOnceClaimed tries every change on a claimed tree, in each of its
// states.
func graceRefusedOnceClaimed(e *env) {
	e.createAll("root", "child<root")
	e.deactivate("root", t0, 10)
	name := "New"
	changes := []store.Change{
		store.Reactivate(), store.Deactivate(10, store.Grace{}, nil), store.SetHold("late", time.Time{}), store.Release(), store.Edit(&name, nil, nil),
	}
	refused := func(state string, want store.Code) {
		e.t.Helper()
		e.changesNothing("a refused change", func() {
			for _, c := range changes {
				for _, id := range []string{"root", "child"} {
					_, err := e.tryUpdate(id, due10, c)
					e.wantCode(err, want, fmt.Sprintf("%s of %q, tree %s", c.Action, id, state))
				}
			}
		})
	}
	tok := e.claim("root", due10).Token
	refused("purging", store.Precondition)
	e.eraseAll(tok, due10)
	refused("half erased", store.Precondition)
	e.postpone(tok, due10, time.Time{})
	refused("failed", store.Precondition)
	e.reopen()
	refused("failed, after a restart", store.Precondition)
	e.update("root", due10, store.Retry())
	e.finish(e.resume("root", due10).Token, due10)
	refused("purged", store.Gone)
}

// blockedByHold makes a due tenant whose claim was refused.
func (e *env) blockedByHold(id string) {
	e.t.Helper()
	e.disabled(id, "")
	e.update(id, t0, store.SetHold("litigation", time.Time{}))
	_, err := e.tryClaim(id, due10)
	e.wantBlocked(err, id, store.BlockHold, id)
	e.wantBlockedStats(map[store.BlockReason]int64{store.BlockHold: 1})
}

// wantBlockedStats compares the counts of blocked tenants.
func (e *env) wantBlockedStats(want map[store.BlockReason]int64) {
	e.t.Helper()
	got := map[store.BlockReason]int64{}
	for reason, n := range e.stats(due10).Blocked {
		if n != 0 {
			got[reason] = n
		}
	}
	e.equal(want, got, "blocked tenants by reason")
}

// fillIfHeld fills a tenant when the store holds resources.
func (e *env) fillIfHeld(id string, n int) store.Counts {
	e.t.Helper()
	if _, ok := e.s.(store.Directory); !ok {
		return store.Counts{}
	}
	return e.fill(id, n)
}

// wantHeld compares a tenant's resources, by counters and by rows.
func (e *env) wantHeld(id string, want store.Counts) {
	e.t.Helper()
	d, ok := e.s.(store.Directory)
	if !ok {
		return
	}
	got, err := d.Count(e.ctx(), id)
	if err != nil {
		e.t.Fatalf("Count(%q): %v", id, err)
	}
	got.SubTenants, want.SubTenants = 0, 0
	e.equal(want, got, fmt.Sprintf("counters of %q", id))
	rows, err := allResources(e.ctx(), d, id)
	if err != nil {
		e.t.Fatalf("List(%q): %v", id, err)
	}
	if int64(len(rows)) != want.Resources() {
		e.t.Errorf("%q has %d resources; want %d", id, len(rows), want.Resources())
	}
}
