package purge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/store"
)

// idleSteps is how many steps in a row may remove nothing and yet ask for
// more. It tells "no progress" from "slow".
const idleSteps = 3

// cascade is the work on one claim.
type cascade struct {
	e     *Engine
	s     *settings
	claim store.Claim
	purge string // its id
	at    *seat  // nil: it has its place for good
	// again says that the claim was resumed, not made.
	again bool
	// inDoubt says that an earlier attempt may have sent what this one sends,
	// and not seen the answer.
	inDoubt bool

	mu       sync.Mutex
	deleted  store.Counts // on record
	recorded time.Time    // the last sign of life
	failed   failures
	opened   map[string]bool // targets that keep an account, by this attempt
	settled  []string        // targets whose counts are those of their accounts
	broken   error           // why nothing more may be written; a *storeError
	tallies  map[string]*tally
	// unaccounted is what stays so, by target.
	unaccounted map[string]store.Counts
}

func (e *Engine) newCascade(s *settings, c store.Claim, again bool) *cascade {
	w := &cascade{e: e, s: s, claim: c, again: again, inDoubt: c.Resumed, opened: map[string]bool{}, tallies: map[string]*tally{}}
	if p := c.Tenant.Purge; p != nil {
		w.purge, w.deleted = p.PurgeID, p.Deleted
		w.inDoubt = w.inDoubt || p.CountsInexact
	}
	w.recall()
	return w
}

// run carries out the claim. Its error is errStopped, a *storeError, or the
// failures of targets. Once begun, a call ends even when ctx does.
func (w *cascade) run(ctx context.Context) (store.Receipt, error) {
	w.failed = w.missing()
	if len(w.e.targets) > 0 || len(w.failed) > 0 {
		if err := w.targets(ctx); err != nil {
			return store.Receipt{}, err
		}
	}
	if err := w.erase(ctx); err != nil {
		return store.Receipt{}, err
	}
	v := store.Verification{At: time.Now(), Settled: w.settled, Unaccounted: w.unaccounted}
	for _, t := range w.e.targets {
		v.Targets = append(v.Targets, t.name)
	}
	r, err := w.e.store.Finish(context.WithoutCancel(ctx), w.claim.Token, v)
	if err != nil {
		return store.Receipt{}, &storeError{err}
	}
	w.tellUnaccounted()
	return r, nil
}

// missing returns a failure for each target that was there at the claim, or since,
// and is not there any more, as a whole or for a kind: what it still holds nobody
// would count (G6).
func (w *cascade) missing() failures {
	var failed failures
	p := w.claim.Tenant.Purge
	if p == nil {
		return nil
	}
	kinds := map[string]map[store.Kind]bool{}
	for _, t := range w.e.targets {
		kinds[t.name] = t.kinds
	}
	held := map[string]bool{}
	for name := range p.Holds {
		held[name] = true
	}
	for name := range p.Targets { // of a claim that does not know what was held
		held[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		has, there := kinds[name]
		if !there {
			failed = append(failed, &failure{target: name, err: store.Errorf(store.Precondition,
				"it was taken out of the configuration in the midst of the purge, and may still hold something: put it back")})
			continue
		}
		for _, k := range store.Kinds() {
			if !has[k] && (slices.Contains(p.Holds[name], k) || p.Targets[name].Of(k) > 0 || p.Counted[name].Of(k) > 0) {
				failed = append(failed, &failure{name, k, store.Errorf(store.Precondition,
					"it was told to hold no such resources any more in the midst of the purge: put the kind back")})
			}
		}
	}
	return failed
}

// targets empties and verifies all targets.
func (w *cascade) targets(ctx context.Context) error {
	release := w.keepLease(ctx)
	defer release()
	if p := w.claim.Tenant.Purge; w.claim.Resumed && (p == nil || !p.CountsInexact) {
		// Whoever had the claim may have died between a call and its record.
		if err := w.record(ctx, store.Advance{Inexact: true}); err != nil {
			return err
		}
	}
	if err := w.plan(ctx); err != nil {
		return err
	}
	// A failure leaves the others in the same step alone (G11), and keeps all from the
	// next one. What could not be planned has the removal go on without it.
	for _, step := range []func(context.Context) error{w.remove, w.verify, w.settle, w.reconcile} {
		if err := step(ctx); err != nil {
			return err
		}
		if len(w.failed) > 0 {
			return w.failed
		}
	}
	return nil
}

// plan counts what there is to remove, once in the life of a claim: a target
// that has an entry in the progress was counted before.
func (w *cascade) plan(ctx context.Context) error {
	return w.each(func(*target) bool { return true }, func(t *target) error {
		planned := w.planned(t)
		if planned && (t.guard == nil || t.track.knows(w.top())) {
			return nil
		}
		n, err := w.e.countAll(ctx, w.s, t, w.claim.Tenants, func() error { return w.next(ctx) })
		if err != nil {
			return err
		}
		t.track.left(w.top(), n.Resources())
		if planned { // counted again for whoever watches, since a restart
			return w.sees(ctx, t, n)
		}
		account, err := w.opens(ctx, t)
		if err != nil {
			return err
		}
		return w.record(ctx, store.Advance{Target: t.name, Planned: n, Counted: &n, Account: account})
	})
}

// top is the tenant by which the progress of the cascade is known.
func (w *cascade) top() string { return w.claim.Token.TenantID }

// planned reports whether an earlier attempt counted the target. What a new
// claim knows of targets is from claims of descendants that it took over.
func (w *cascade) planned(t *target) bool {
	p := w.claim.Tenant.Purge
	if p == nil || !w.again {
		return false
	}
	_, ok := p.Targets[t.name]
	return ok
}

// remove goes through the kinds in the order of G3, in each kind through the
// targets side by side, in each target through the tenants from the deepest.
// What fails is left out for the rest of the attempt, the others go on (G11): a
// kind that failed in a target, and a target that could not be counted, or that
// put off a kind: it may be there for the next one, which must not go first.
func (w *cascade) remove(ctx context.Context) error {
	uncounted := map[string]bool{}
	for _, f := range w.failed {
		uncounted[f.target] = true
	}
	for _, kind := range store.Kinds() {
		out := w.failed.postponed()
		err := w.each(func(t *target) bool { return t.kinds[kind] && !uncounted[t.name] && !out[t.name] }, func(t *target) error {
			bound := w.rationOf(t, kind)
			for group := range t.groups(kind, w.claim.Tenants) {
				if err := w.removeKind(ctx, t, kind, group, bound); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeKind removes all resources of one kind of one group of tenants from a
// target, in bounded steps, and records each.
func (w *cascade) removeKind(ctx context.Context, t *target, kind store.Kind, tenants []string, bound *ration) error {
	r := Request{PurgeID: w.purge, Subtree: w.claim.Tenants, Kind: kind, Limit: w.s.Batch, Resumed: w.inDoubt, OnAccount: w.onAccount(t)}
	for idle := 0; ; {
		if err := w.next(ctx); err != nil {
			return err
		}
		did, err := call(ctx, w.e, t, opPurge, w.s.CallTimeout, func(ctx context.Context) (Removed, error) {
			return t.purgeOf(ctx, tenants, r)
		})
		if did.Deleted < 0 {
			did.Deleted, err = 0, store.Errorf(store.Internal, "target %s removed %d", t.name, did.Deleted)
		}
		a := store.Advance{Target: t.name, Inexact: did.Inexact || answerLost(err)}
		a.Deleted.Add(kind, did.Deleted)
		a.Gone.Add(kind, max(did.Gone, 0))
		if a.Inexact {
			a.LowerBounds = []store.LowerBound{{Target: t.name, Kind: kind}}
		}
		if did.Deleted > 0 || did.Gone > 0 || a.Inexact {
			if err := w.record(ctx, a); err != nil {
				return err
			}
			w.e.metrics.ResourcesPurged(t.name, a.Deleted)
			t.track.removed(w.top(), did.Deleted, did.More)
		}
		switch {
		case errors.Is(err, errStopped):
			return err
		case err != nil:
			return &failure{t.name, kind, err}
		case !did.More:
			return nil
		case did.Deleted > 0:
			idle = 0
			if err := bound.take(ctx, did.Deleted); err != nil {
				return err
			}
		default:
			if idle++; idle == idleSteps {
				return &failure{t.name, kind, store.Errorf(store.Internal,
					"no progress: %d calls removed nothing and said that there is more", idle)}
			}
		}
	}
}

// verify counts every target independently of what it said to have removed
// (G6).
func (w *cascade) verify(ctx context.Context) error {
	return w.each(func(*target) bool { return true }, func(t *target) error {
		left, err := w.e.countAll(ctx, w.s, t, w.claim.Tenants, func() error { return w.next(ctx) })
		if err != nil {
			return err
		}
		t.track.left(w.top(), left.Resources())
		if left == (store.Counts{}) {
			return nil
		}
		w.e.metrics.Leftovers(t.name, left)
		return &failure{target: t.name, err: w.leftover(t, left)}
	})
}

// leftover is the error for what a target lists after it has removed all, as it says.
func (w *cascade) leftover(t *target, left store.Counts) error {
	w.mu.Lock()
	v := *w.tallyOf(t.name)
	w.mu.Unlock()
	var kinds []string
	for _, k := range store.Kinds() {
		if n := left.Of(k); n > 0 {
			kinds = append(kinds, fmt.Sprintf("%s: %d left (counted %d, removed %d, found gone %d)",
				k, n, v.counted.Of(k), v.removed.Of(k), v.gone.Of(k)))
		}
	}
	return store.Errorf(store.Precondition, "not empty after everything was removed: %s", strings.Join(kinds, ", "))
}

// each runs fn for the selected targets side by side. A failure of one is noted
// and leaves the others alone; any other error is returned.
func (w *cascade) each(selected func(*target) bool, fn func(*target) error) error {
	var g errgroup.Group
	for _, t := range w.e.targets {
		if !selected(t) {
			continue
		}
		g.Go(func() error {
			err := fn(t)
			if f := asFailure(err); f != nil {
				t.track.putOff(w.top(), f.err)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.failed = append(w.failed, f)
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// erase removes what the store holds until the rest fits one transaction.
func (w *cascade) erase(ctx context.Context) error {
	for idle := 0; ; {
		if err := w.proceed(ctx); err != nil {
			return err
		}
		did, err := w.e.store.Erase(context.WithoutCancel(ctx), w.claim.Token, time.Now(), w.s.Lease)
		if err != nil {
			return &storeError{err}
		}
		w.mu.Lock()
		w.deleted = w.deleted.Plus(did.Deleted)
		w.mu.Unlock()
		switch {
		case !did.More:
			return nil
		case did.Deleted != (store.Counts{}):
			idle = 0
		default:
			if idle++; idle == idleSteps {
				return &storeError{store.Errorf(store.Internal, "the store has more to erase of tenant %q and does not", w.claim.Token.TenantID)}
			}
		}
	}
}
