package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func assessCases() []testCase {
	return []testCase{
		{"SaysWhatThereIsAndChangesNothing", func(e *env) {
			e.createAll("root", "top<root", "a<top", "b<a", "other<root")
			e.deactivate("top", t0, 10)
			counts := e.fillIfHeld("top", 1).Plus(e.fillIfHeld("b", 3))
			e.fillIfHeld("other", 2)
			counts.SubTenants = 2
			e.changesNothing("Assess", func() {
				for _, edits := range [][]func(*store.ClaimRequest){nil, {inline}, {immediate}, {version(2)}} {
					a := e.assess("top", due10, edits...)
					if a.Refusal != nil || a.Tenants != 3 || a.Tenant.ID != "top" {
						e.t.Errorf("assessment %+v", a)
					}
					e.equal(counts, a.Counts, "what the store holds")
				}
			})
		}},
		{"AgreesWithEveryRefusalOfClaim", assessAgrees},
		{"CountsAheadForAPlan_G9", func(e *env) {
			e.trees(3, 2)
			l := limits(store.Limits{PerDay: 5})
			ahead := func(n int64) func(*store.ClaimRequest) { return func(r *store.ClaimRequest) { r.Ahead = n } }
			e.changesNothing("Assess", func() {
				for n, ok := range map[int64]bool{0: true, 2: true, 3: true, 4: false, 100: false} {
					a := e.assess("t0", due10, l, ahead(n))
					if ok && a.Refusal != nil {
						e.t.Errorf("2 tenants with %d ahead of 5: %v", n, a.Refusal)
					}
					if !ok {
						e.wantCode(a.Refusal, store.Exhausted, fmt.Sprintf("2 tenants with %d ahead of 5", n))
					}
				}
			})
			e.purge("t1", due10, l)
			e.wantCode(e.assess("t0", due10, l, ahead(2)).Refusal, store.Exhausted, "2 tenants with 2 ahead and 2 taken of 5")
		}},
		{"CountsAheadInTheQuotaToo_G9", func(e *env) {
			e.trees(2, 2)
			q := store.NewQuota(5)
			e.purge("t1", due10, quota(q))
			for n, ok := range map[int64]bool{0: true, 1: true, 2: false} {
				a := e.assess("t0", due10, quota(q), func(r *store.ClaimRequest) { r.Ahead = n })
				if (a.Refusal == nil) != ok {
					e.t.Errorf("2 tenants with 2 taken and %d ahead of 5: %v", n, a.Refusal)
				}
			}
		}},
		{"SaysWhatTheAllowanceCovers_G9", func(e *env) {
			e.trees(3, 2)
			l := limits(store.Limits{PerDay: 3})
			e.purge("t0", due10, l)
			e.changeGates(due10, store.ResumePurging("checked", 3))
			// Taken is 2 of 3: of the next two one is beyond, of those after all.
			for _, c := range []struct {
				ahead, beyondAhead, want int64 // want -1: refused
			}{{0, 0, 1}, {0, 2, 1}, {0, 3, -1}, {1, 0, 2}, {2, 1, 2}, {2, 2, -1}, {100, 0, 2}} {
				a := e.assess("t1", due10, l, func(r *store.ClaimRequest) { r.Ahead, r.BeyondAhead = c.ahead, c.beyondAhead })
				if c.want < 0 {
					e.wantCode(a.Refusal, store.Exhausted, fmt.Sprintf("%d ahead, %d of them beyond", c.ahead, c.beyondAhead))
				} else if a.Refusal != nil || a.Beyond != c.want {
					e.t.Errorf("%d ahead, %d of them beyond: %d beyond, %v; want %d", c.ahead, c.beyondAhead, a.Beyond, a.Refusal, c.want)
				}
			}
			if a := e.assess("t1", due10); a.Beyond != 0 {
				e.t.Errorf("without limits %d are beyond them", a.Beyond)
			}
		}},
		{"TakesNoQuota_G9", func(e *env) {
			e.trees(2, 2)
			q := store.NewQuota(2)
			for range 3 {
				if a := e.assess("t0", due10, quota(q)); a.Refusal != nil {
					e.t.Errorf("Assess: %v", a.Refusal)
				}
			}
			e.purge("t1", due10, quota(q))
		}},
	}
}

// assess asks what a claim would decide.
func (e *env) assess(id string, at time.Time, edits ...func(*store.ClaimRequest)) store.Assessment {
	e.t.Helper()
	a, err := e.s.Assess(e.ctx(), id, request(at, edits...))
	if err != nil {
		e.t.Fatalf("Assess(%q): %v", id, err)
	}
	return a
}

// assessAgrees puts a tenant into each state in which a claim is refused, and
// compares what Assess says with what Claim does.
func assessAgrees(e *env) {
	e.createAll("top", "child<top", "active")
	e.disabled("spent", "")
	same := func(what, id string, at time.Time, edits ...func(*store.ClaimRequest)) {
		e.t.Helper()
		var said store.Assessment
		e.changesNothing("Assess, "+what, func() { said = e.assess(id, at, edits...) })
		_, did := e.tryClaim(id, at, edits...)
		if did == nil {
			e.t.Fatalf("%s: the claim was not refused", what)
		}
		if !sameRefusal(said.Refusal, did) {
			e.t.Errorf("%s: Assess says %v; Claim says %v", what, said.Refusal, did)
		}
	}
	same("active", "active", due10)
	e.deactivate("top", t0, 10)
	same("before the date", "top", due10.Add(-time.Millisecond))
	same("a stale version", "top", due10, version(7))
	e.update("child", t0, store.SetHold("r", due10.Add(time.Hour)))
	same("a hold", "top", due10)
	e.update("child", t0, store.Release())
	same("protected", "top", due10, protected("child", "top"))
	e.subscribe("child", 2)
	same("subscriptions", "top", due10, immediate)
	e.subscribe("child", 0)
	e.deactivate("child", t0, 12)
	same("a later date", "top", due10)
	e.deactivate("child", t0, 10)
	c := e.claim("child", due10)
	same("purging", "top", due10)
	same("purging itself", "child", due10)
	e.postpone(c.Token, due10, time.Time{})
	same("failed itself", "child", due10)
	e.changeGates(due10, store.PausePurging("maintenance", due10.Add(time.Hour)))
	same("paused", "top", due10)
	e.changeGates(due10, store.ResumePurging("", 0))
	e.purge("spent", due10)
	small := limits(store.Limits{PerDay: 2})
	same("beyond a limit", "top", due10, small)
	same("halted", "top", due10, small)
	e.changeGates(due10, store.ResumePurging("checked", 0))
	if a := e.assess("top", due10); a.Refusal != nil || a.Tenants != 2 {
		e.t.Errorf("when nothing stands in the way: %+v", a)
	}
	e.purge("top", due10)
}

// sameRefusal reports whether two refusals are of the same code, block and
// gate.
func sameRefusal(a, b error) bool {
	if store.CodeOf(a) != store.CodeOf(b) {
		return false
	}
	var ba, bb *store.BlockedError
	if errors.As(a, &ba) != errors.As(b, &bb) || ba != nil && *ba != *bb {
		return false
	}
	var ga, gb *store.GateError
	return errors.As(a, &ga) == errors.As(b, &gb) && (ga == nil || *ga == *gb)
}
