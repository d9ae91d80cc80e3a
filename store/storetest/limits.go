package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func limitsCases() []testCase {
	return []testCase{
		{"TheQuotaOfAPass_G9", func(e *env) {
			e.trees(3, 2)
			q := store.NewQuota(5)
			e.purge("t0", due10, quota(q))
			e.purge("t1", due10, quota(q), inline)
			_, err := e.tryClaim("t2", due10, quota(q))
			e.wantHalted(err, "limits.perPass")
		}},
		{"TheQuotaCountsDescendants_G9", func(e *env) {
			e.trees(1, 3)
			_, err := e.tryClaim("t0", due10, quota(store.NewQuota(2)))
			e.wantHalted(err, "limits.perPass")
			e.wantStatus(store.StatusDisabled, "t0")
			e.wantStatus(store.StatusActive, "t0-1", "t0-2")
		}},
		{"ARefusedClaimTakesNoQuota_G9", func(e *env) {
			e.trees(3, 2)
			q := store.NewQuota(2)
			e.update("t0", t0, store.SetHold("r", time.Time{}))
			_, err := e.tryClaim("t0", due10, quota(q))
			e.wantBlocked(err, "t0", store.BlockHold, "t0")
			_, err = e.tryClaim("t1", due10.Add(-1), quota(q))
			e.wantCode(err, store.Precondition, "a claim before the date")
			e.purge("t2", due10, quota(q))
		}},
		{"ARefusedClaimGivesBackOnlyItsOwnQuota_G9", func(e *env) {
			e.trees(3, 2)
			q := store.NewQuota(2)
			e.purge("t0", due10, quota(q))
			_, err := e.tryClaim("t0", due10, quota(q))
			e.wantCode(err, store.Gone, "a second claim of the same tenant in the pass")
			_, err = e.tryClaim("t1", due10, quota(q))
			e.wantHalted(err, "limits.perPass")
			e.changeGates(due10, store.ResumePurging("checked", 0))
			q = store.NewQuota(2)
			e.claim("t1", due10, quota(q))
			_, err = e.tryClaim("t1", due10, quota(q))
			e.wantCode(err, store.Precondition, "a second claim of the same tenant in the pass")
			_, err = e.tryClaim("t2", due10, quota(q))
			e.wantHalted(err, "limits.perPass")
		}},
		{"ANumberPerDay_G9", func(e *env) {
			e.trees(4, 1)
			l := limits(store.Limits{PerDay: 3})
			for i := range 3 {
				e.purge(fmt.Sprintf("t%d", i), due10, l)
			}
			_, err := e.tryClaim("t3", due10, l)
			e.wantHalted(err, "limits.perDay")
		}},
		{"ANumberPerDayCountsDescendants_G9", func(e *env) {
			e.trees(2, 3)
			l := limits(store.Limits{PerDay: 5})
			e.purge("t0", due10, l)
			if got := e.stats(due10).ClaimedLastDay; got != 3 {
				e.t.Errorf("claimed in the last day: %d; want 3", got)
			}
			_, err := e.tryClaim("t1", due10, l)
			e.wantHalted(err, "limits.perDay")
		}},
		{"ImmediateDeletionsCount_G9", func(e *env) {
			e.trees(3, 1)
			e.purge("t0", t0.Add(time.Hour), immediate)
			l := limits(store.Limits{PerDay: 1})
			_, err := e.tryClaim("t1", t0.Add(2*time.Hour), l, immediate)
			e.wantHalted(err, "limits.perDay")
		}},
		{"TheDayRolls_G9", limitsRoll},
		{"AShareOfAllTenants_G9", func(e *env) {
			e.trees(5, 6) // 30 tenants, all of them known before the day began
			l := limits(store.Limits{PerDayShare: 0.20})
			e.purge("t0", due10, l)
			// 24 are left, of which a fifth would be less than 6: the share is that of the 30.
			_, err := e.tryClaim("t1", due10, l)
			e.wantHalted(err, "limits.perDayShare")
		}},
		{"AShareCountsNewTenantsToo_G9", func(e *env) {
			e.trees(6, 2) // 12 tenants
			e.createAt(due10.Add(-time.Hour), 13)
			l := limits(store.Limits{PerDayShare: 0.20}) // a fifth of 25 is 5
			e.purge("t0", due10, l)
			e.purge("t1", due10, l)
			_, err := e.tryClaim("t2", due10, l)
			e.wantHalted(err, "limits.perDayShare")
		}},
		{"TheFloorOfTheShare_G9", func(e *env) {
			e.trees(5, 1)
			l := limits(store.Limits{PerDayShare: 0.10, ShareFloor: 3})
			for i := range 3 {
				e.purge(fmt.Sprintf("t%d", i), due10, l)
			}
			_, err := e.tryClaim("t3", due10, l)
			e.wantHalted(err, "limits.perDayShare")
		}},
		{"TheFloorAloneIsNoBound", func(e *env) {
			e.trees(3, 1)
			l := limits(store.Limits{ShareFloor: 1})
			for i := range 3 {
				e.purge(fmt.Sprintf("t%d", i), due10, l)
			}
		}},
		{"BothBoundsHold_G9", func(e *env) {
			e.trees(4, 1)
			e.purge("t0", due10, limits(store.Limits{PerDay: 1, PerDayShare: 1}))
			_, err := e.tryClaim("t1", due10, limits(store.Limits{PerDay: 1, PerDayShare: 1}))
			e.wantHalted(err, "limits.perDay")
			e.changeGates(due10, store.ResumePurging("checked", 0))
			_, err = e.tryClaim("t1", due10, limits(store.Limits{PerDay: 10, PerDayShare: 0.01}))
			e.wantHalted(err, "limits.perDayShare")
		}},
		{"AreCountedAcrossRestarts_G9", func(e *env) {
			e.trees(4, 1)
			l := limits(store.Limits{PerDay: 2})
			e.purge("t0", due10, l, inline)
			e.reopen()
			e.claim("t1", due10, l)
			e.reopen()
			_, err := e.tryClaim("t2", due10, l)
			e.wantHalted(err, "limits.perDay")
		}},
		{"TheHaltStopsEverythingUntilAPersonLiftsIt_G9", limitsHalt},
		{"TheAllowanceIsUsedUp_G9", limitsAllowance},
	}
}

// trees makes n trees of the given size, named t0, t1 ..., due at due10.
func (e *env) trees(n, size int) {
	e.t.Helper()
	for i := range n {
		root := fmt.Sprintf("t%d", i)
		e.create(root, "")
		for j := 1; j < size; j++ {
			e.create(fmt.Sprintf("%s-%d", root, j), root)
		}
		e.deactivate(root, t0, 10)
	}
}

// createAt adds n tenants at the given time.
func (e *env) createAt(at time.Time, n int) {
	e.t.Helper()
	for i := range n {
		if _, err := e.s.Create(e.ctx(), store.Tenant{ID: fmt.Sprintf("late-%d", i)}, by(at)); err != nil {
			e.t.Fatalf("Create: %v", err)
		}
	}
}

// wantHalted fails the case unless err says that a limit was hit and the store
// halted because of it.
func (e *env) wantHalted(err error, limit string) {
	e.t.Helper()
	e.wantCode(err, store.Exhausted, "a claim beyond a limit")
	h := e.gates().Halt
	if h == nil {
		e.t.Fatalf("a claim beyond %s did not halt the store", limit)
	}
	if h.Limit != limit || h.Detail == "" || h.Since.IsZero() {
		e.t.Errorf("halted by %+v; want limit %s, a detail and a time", h, limit)
	}
}
