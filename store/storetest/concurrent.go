package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

func concurrentCases() []testCase {
	return []testCase{
		{"CancelWinsUntilTheClaim_G2", func(e *env) { concurrentCancel(e) }},
		{"CancelWinsUntilTheInlineClaim_G2", func(e *env) { concurrentCancel(e, inline) }},
		{"WhatWasPutIsCountedOrRefused_G5", concurrentPut},
		{"ChildrenGoOrAreRefused_G1", concurrentChildren},
		{"TheLimitsHold_G9", func(e *env) { concurrentLimits(e, limits(store.Limits{PerDay: 7})) }},
		{"TheQuotaHolds_G9", func(e *env) { concurrentLimits(e, quota(store.NewQuota(7))) }},
		{"TheLimitsHoldInline_G9", func(e *env) { concurrentLimits(e, limits(store.Limits{PerDay: 7}), inline) }},
		{"AncestorsAndDescendantsGoOnce_G12", concurrentFamily},
		{"OneOwnerResumes_G12", concurrentResume},
		{"AQueuedClaimIsDecidedBeforeLaterOnes", concurrentQueued},
	}
}

// acknowledged is the history of one tenant as its callers saw it.
type acknowledged struct {
	mu       sync.Mutex
	statuses map[int64]store.Status // by the version that was acknowledged
	clash    error
	claimed  int64 // the version of the claim; 0: none
}

// note takes down an acknowledged version. Two callers who are told the same
// version must have seen the same state.
func (a *acknowledged) note(v int64, s store.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if was, ok := a.statuses[v]; ok && was != s {
		a.clash = fmt.Errorf("version %d was acknowledged as %s and as %s", v, was, s)
	}
	a.statuses[v] = s
}

// concurrentCancel deactivates, reactivates and claims the same tenants from
// many goroutines. The versions put what was acknowledged in an order: nothing
// may come after a claim, and the last thing before it is a deactivation.
func concurrentCancel(e *env, edits ...func(*store.ClaimRequest)) {
	const tenants, rounds = 6, 40
	counts := map[string]store.Counts{}
	history := map[string]*acknowledged{}
	for i := range tenants {
		id := fmt.Sprintf("t%d", i)
		e.create(id, "")
		counts[id] = e.fillIfHeld(id, 3)
		history[id] = &acknowledged{statuses: map[int64]store.Status{1: store.StatusActive}}
	}
	var wg sync.WaitGroup
	for id, h := range history {
		for w := range 3 {
			wg.Go(func() {
				for r := range rounds {
					c := store.Reactivate()
					if (r+w)%2 == 0 {
						c = store.Deactivate(10, store.Grace{}, nil)
					}
					// A time of its own each, so that each deactivation is a change.
					tn, err := e.tryUpdate(id, t0.Add(time.Duration(r*3+w)*time.Millisecond), c)
					switch code := store.CodeOf(err); code {
					case "":
						h.note(tn.Version, tn.Status)
					case store.Precondition, store.Gone:
						return // claimed
					default:
						e.t.Errorf("%s: %v", c.Action, err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			for range rounds {
				c, err := e.tryClaim(id, due10.Add(day), edits...)
				if err != nil {
					if code := store.CodeOf(err); code != store.Precondition {
						e.t.Errorf("Claim: %v", err)
						return
					}
					continue
				}
				h.mu.Lock()
				h.claimed = c.Tenant.Version
				h.mu.Unlock()
				if c.Receipt == nil {
					r := e.finishConcurrently(c.Token)
					c.Receipt = &r
				}
				if c.Receipt.Deleted != counts[id] {
					e.t.Errorf("%q: deleted %+v; want %+v", id, c.Receipt.Deleted, counts[id])
				}
				return
			}
		})
	}
	wg.Wait()
	for id, h := range history {
		e.wantCancelWon(id, h, counts[id])
	}
}

// finishConcurrently finishes from a goroutine that may not end the case.
func (e *env) finishConcurrently(tok store.Token) store.Receipt {
	for {
		got, err := e.s.Erase(e.ctx(), tok, due10.Add(day), lease)
		if err != nil {
			e.t.Errorf("Erase: %v", err)
			return store.Receipt{}
		}
		if !got.More {
			break
		}
	}
	r, err := e.s.Finish(e.ctx(), tok, store.Verification{At: due10.Add(day)})
	if err != nil {
		e.t.Errorf("Finish: %v", err)
	}
	return r
}

// wantCancelWon judges the history of one tenant.
func (e *env) wantCancelWon(id string, h *acknowledged, held store.Counts) {
	e.t.Helper()
	if h.clash != nil {
		e.t.Errorf("%q: %v", id, h.clash)
	}
	last := int64(len(h.statuses))
	for v := int64(1); v <= last; v++ {
		if _, ok := h.statuses[v]; !ok {
			e.t.Fatalf("%q: %d changes were acknowledged, and version %d to nobody: %v", id, last, v, h.statuses)
		}
	}
	if h.claimed == 0 {
		tn := e.tenant(id)
		if tn.Version != last || tn.Status != h.statuses[last] {
			e.t.Errorf("%q is %s at version %d; the last acknowledged is %s at %d", id, tn.Status, tn.Version, h.statuses[last], last)
		}
		e.wantHeld(id, held)
		return
	}
	if h.claimed != last+1 || h.statuses[last] != store.StatusDisabled {
		e.t.Errorf("%q was claimed at version %d; acknowledged before was %s at %d", id, h.claimed, h.statuses[last], last)
	}
	e.wantGone(id)
}
