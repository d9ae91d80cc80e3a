package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenantpurge/purger/store"
)

// concurrentPut puts resources while their tenant is purged. Each is on the
// receipt, or its caller was told that it is too late.
func concurrentPut(e *env) {
	d := e.directory()
	const tenants = 4
	var wg sync.WaitGroup
	put, deleted := make([]int64, tenants), make([]int64, tenants)
	var mu sync.Mutex
	for i := range tenants {
		id := fmt.Sprintf("t%d", i)
		e.disabled(id, "")
		for w := range 3 {
			wg.Go(func() {
				for n := range 60 {
					r := resource(id, store.KindUser, fmt.Sprintf("u-%d-%d", w, n))
					switch err := d.Put(e.ctx(), []store.Resource{r}); store.CodeOf(err) {
					case "":
						mu.Lock()
						put[i]++
						mu.Unlock()
					case store.Precondition, store.Gone:
						return
					default:
						e.t.Errorf("Put: %v", err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			var edits []func(*store.ClaimRequest)
			if i%2 == 0 {
				edits = append(edits, inline)
			}
			for { // let a few be put first
				c, err := d.Count(e.ctx(), id)
				if err != nil || c.Users >= 10 {
					break
				}
			}
			c, err := e.tryClaim(id, due10.Add(day), edits...)
			if err != nil {
				e.t.Errorf("Claim: %v", err)
				return
			}
			if c.Receipt == nil {
				r := e.finishConcurrently(c.Token)
				c.Receipt = &r
			}
			deleted[i] = c.Receipt.Deleted.Users
			if c.Receipt.Planned != c.Receipt.Deleted {
				e.t.Errorf("planned %+v, deleted %+v", c.Receipt.Planned, c.Receipt.Deleted)
			}
		})
	}
	wg.Wait()
	for i := range tenants {
		if put[i] != deleted[i] {
			e.t.Errorf("t%d: %d resources were acknowledged, %d deleted", i, put[i], deleted[i])
		}
	}
}

// concurrentChildren creates sub-tenants while their parent is disabled and
// purged. Each is on the receipt, or was refused.
func concurrentChildren(e *env) {
	e.create("top", "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := map[string]bool{"top": true}
	started := make(chan struct{}, 100)
	for w := range 4 {
		wg.Go(func() {
			for n := range 50 {
				id := fmt.Sprintf("c-%d-%d", w, n)
				_, err := e.s.Create(e.ctx(), store.Tenant{ID: id, ParentID: "top"}, by(t0))
				switch store.CodeOf(err) {
				case "":
					mu.Lock()
					made[id] = true
					mu.Unlock()
					select {
					case started <- struct{}{}:
					default:
					}
				case store.Precondition, store.Gone:
					return
				default:
					e.t.Errorf("Create: %v", err)
					return
				}
			}
		})
	}
	var receipt store.Receipt
	wg.Go(func() {
		for range 10 {
			<-started
		}
		if _, err := e.tryUpdate("top", t0, store.Deactivate(10, store.Grace{}, nil)); err != nil {
			e.t.Errorf("Deactivate: %v", err)
			return
		}
		c, err := e.tryClaim("top", due10)
		if err != nil {
			e.t.Errorf("Claim: %v", err)
			return
		}
		receipt = e.finishConcurrently(c.Token)
	})
	wg.Wait()
	if len(receipt.Tenants) != len(made) {
		e.t.Errorf("%d tenants were acknowledged, %d purged", len(made), len(receipt.Tenants))
	}
	for _, id := range receipt.Tenants {
		if !made[id] {
			e.t.Errorf("%q was purged and its creation never acknowledged", id)
		}
	}
	e.wantIDs(store.Filter{})
}

// concurrentLimits claims more than the limit of 7 allows, all at once.
func concurrentLimits(e *env, edits ...func(*store.ClaimRequest)) {
	const n = 24
	e.trees(n, 1)
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { _, errs[i] = e.tryClaim(fmt.Sprintf("t%d", i), due10, edits...) })
	}
	wg.Wait()
	taken, exhausted := 0, 0
	for _, err := range errs {
		var gate *store.GateError
		switch {
		case err == nil:
			taken++
		case errors.As(err, &gate) && gate.Gate.Reason == store.GateHalted:
		case store.CodeOf(err) == store.Exhausted:
			exhausted++
		default:
			e.t.Errorf("Claim: %v", err)
		}
	}
	if taken != 7 || exhausted != 1 {
		e.t.Errorf("%d claims were made and %d hit the limit; want 7 and 1, the others being halted", taken, exhausted)
	}
	if st := e.stats(due10); st.ClaimedLastDay != 7 || st.Tenants[store.StatusDisabled] != n-7 {
		e.t.Errorf("claimed in the last day: %d, disabled: %d; want 7, %d", st.ClaimedLastDay, st.Tenants[store.StatusDisabled], n-7)
	}
}

// concurrentFamily claims every tenant of a tree at once, all of them due. A
// tenant goes with exactly one claim.
func concurrentFamily(e *env) {
	e.createAll("r", "a<r", "b<r", "aa<a", "ab<a", "ba<b", "bb<b")
	ids := []string{"r", "a", "b", "aa", "ab", "ba", "bb"}
	var want store.Counts
	for i, id := range ids {
		want = want.Plus(e.fillIfHeld(id, i))
		e.deactivate(id, t0, 10)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	with := map[string]string{}
	var got store.Counts
	for _, id := range ids {
		wg.Go(func() {
			for range 200 {
				c, err := e.tryClaim(id, due10)
				switch store.CodeOf(err) {
				case "":
					r := e.finishConcurrently(c.Token)
					mu.Lock()
					defer mu.Unlock()
					got = got.Plus(r.Deleted)
					for _, t := range r.Tenants {
						if was, ok := with[t]; ok {
							e.t.Errorf("%q was purged with %q and with %q", t, was, id)
						}
						with[t] = id
					}
					return
				case store.Gone:
					return
				case store.Precondition: // a claim of its own, or one below or above
				default:
					e.t.Errorf("Claim: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	// A claim of a tenant whose descendant was in work may have used up its
	// tries: what is left goes now.
	if tn, err := e.s.Tenant(e.ctx(), "r"); err == nil && tn.Status == store.StatusDisabled {
		r := e.purge("r", due10)
		got = got.Plus(r.Deleted)
	}
	got.SubTenants = 0
	e.equal(want, got, "deleted by all claims together")
	e.wantGone(ids...)
}

// concurrentResume lets many owners take over the same tenant.
func concurrentResume(e *env) {
	const owners = 16
	e.disabled("acme", "")
	old := e.claim("acme", due10).Token
	e.postpone(old, due10, due10)
	var wg sync.WaitGroup
	claims, errs := make([]store.Claim, owners), make([]error, owners)
	for i := range owners {
		wg.Go(func() { claims[i], errs[i] = e.tryResume("acme", due10, owner(fmt.Sprintf("owner-%d", i))) })
	}
	wg.Wait()
	var won []store.Token
	for i, err := range errs {
		if err == nil {
			won = append(won, claims[i].Token)
		} else {
			e.wantCode(err, store.Conflict, "Resume of a tenant that another has taken over")
		}
	}
	if len(won) != 1 {
		e.t.Fatalf("%d owners took it over; want 1", len(won))
	}
	e.wantFenced(old, due10)
	e.finish(won[0], due10)
}

// concurrentQueued makes a second claim as soon as the first says that it is
// queued: with room for one of them it is always the first that is made.
func concurrentQueued(e *env) {
	const rounds = 20
	e.trees(2*rounds, 1)
	for i := range rounds {
		first, second := fmt.Sprintf("t%d", 2*i), fmt.Sprintf("t%d", 2*i+1)
		q := store.NewQuota(1)
		queued := make(chan struct{})
		var firstErr error
		var wg sync.WaitGroup
		wg.Go(func() {
			_, firstErr = e.tryClaim(first, due10, quota(q), func(r *store.ClaimRequest) { r.Queued = func() { close(queued) } })
		})
		<-queued
		_, err := e.tryClaim(second, due10, quota(q))
		wg.Wait()
		if firstErr != nil {
			e.t.Fatalf("the claim that was queued first: %v", firstErr)
		}
		e.wantHalted(err, "limits.perPass")
		e.changeGates(due10, store.ResumePurging("next round", 0))
	}
	called := false
	ctx, cancel := context.WithCancel(e.ctx())
	cancel()
	req := request(due10, func(r *store.ClaimRequest) { r.Queued = func() { called = true } })
	if _, err := e.s.Claim(ctx, "t1", req); err == nil || called {
		e.t.Errorf("a claim that was withdrawn before: %v, queued: %v", err, called)
	}
}
