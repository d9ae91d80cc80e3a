package purge

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/store"
)

// opSubscriptions is the operation of [SubscriptionCounter], as the metrics name
// it.
const opSubscriptions = "subscriptions"

// countedTogether is how many tenants of one subtree targets are asked about at a
// time.
const countedTogether = 8

// subscriptionCounter is a target that supplies the number of active
// subscriptions.
type subscriptionCounter struct {
	*target
	counter SubscriptionCounter
}

// subscriptionsOf returns the ability of t to count subscriptions; nil when it
// has none, or is not set up to use it.
func subscriptionsOf(t Target) SubscriptionCounter {
	if c, ok := As[SubscriptionCounter](t); ok && c.CountsSubscriptions() {
		return c
	}
	return nil
}

// CountsSubscriptions implements [SubscriptionCounter], for the target within.
func (g *GuardedTarget) CountsSubscriptions() bool { return subscriptionsOf(g.Target) != nil }

// ActiveSubscriptions implements [SubscriptionCounter]. Like a count it is made at
// any time, whatever the window. Errors: Precondition when the target within does
// not count them.
func (g *GuardedTarget) ActiveSubscriptions(ctx context.Context, tenantID string) (int64, error) {
	c := subscriptionsOf(g.Target)
	if c == nil {
		return 0, store.Errorf(store.Precondition, "target %s does not count subscriptions", g.name)
	}
	return answerOf(ctx, g, opSubscriptions, tenantID, func(ctx context.Context) (int64, error) {
		return c.ActiveSubscriptions(ctx, tenantID)
	})
}

// subscriptions asks every target that knows about the active subscriptions of a
// tenant that is to be claimed, and of everything below it, a few at a time. It
// returns the objections of the first few that have any, in the order of the
// family, the one that counts first: which that is does not depend on who answers
// first.
func (e *Engine) subscriptions(ctx context.Context, s *settings, family []kin) []objection {
	top := family[0].id
	for len(family) > 0 {
		if ctx.Err() != nil {
			return []objection{{by: top, err: errStopped}}
		}
		step := family[:min(len(family), countedTogether)]
		family = family[len(step):]
		said := make([]objection, len(step)*len(e.counters))
		var g errgroup.Group
		for i, k := range step {
			for j, c := range e.counters {
				g.Go(func() error {
					said[i*len(e.counters)+j] = e.subscriptionsIn(ctx, s, c, k.id)
					return nil
				})
			}
		}
		_ = g.Wait() // no error is returned
		said = slices.DeleteFunc(said, objection.none)
		slices.SortStableFunc(said, func(a, b objection) int { return cmp.Compare(a.rank(), b.rank()) })
		if len(said) > 0 {
			return said
		}
	}
	return nil
}

// subscriptionsIn asks one target about one tenant.
func (e *Engine) subscriptionsIn(ctx context.Context, s *settings, c subscriptionCounter, id string) objection {
	n, err := call(ctx, e, c.target, opSubscriptions, s.CallTimeout, func(ctx context.Context) (int64, error) {
		return c.counter.ActiveSubscriptions(ctx, id)
	})
	if err == nil && n < 0 {
		err = store.Errorf(store.Internal, "it counted %d", n)
	}
	switch {
	case errors.Is(err, errStopped):
		return objection{by: id, err: err}
	case err != nil:
		// Absence is never consent.
		return objection{by: id, err: &failure{target: c.name, err: store.Errorf(store.CodeOf(err),
			"the active subscriptions of tenant %q are not known: %w", id, err)}}
	case n > 0:
		return objection{by: id, block: &store.Block{Reason: store.BlockActiveSubscriptions, By: id}}
	}
	return objection{}
}

// paying asks targets about the subscriptions of a tenant that a person wants to
// delete now, unless the store refuses the request anyway. It returns the block,
// or that refusal.
func (e *Engine) paying(ctx context.Context, s *settings, t store.Tenant, req store.ClaimRequest) (*store.Block, error) {
	if len(e.counters) == 0 {
		return nil, nil
	}
	if t.Status != store.StatusActive {
		a, err := e.store.Assess(ctx, t.ID, req)
		if err == nil {
			err = a.Refusal
		}
		var blocked *store.BlockedError
		switch {
		case err == nil || store.CodeOf(err) == store.Exhausted: // the claim halts
		case errors.As(err, &blocked):
			return &blocked.Block, nil // and the claim does not look again: nobody was asked
		default:
			return nil, err
		}
	}
	family, err := e.family(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	said := e.subscriptions(ctx, s, family)
	switch {
	case len(said) == 0:
		return nil, nil
	case errors.Is(said[0].err, errStopped):
		return nil, store.Errorf(store.Unavailable, "ask about subscriptions: %w", context.Cause(ctx))
	case said[0].err != nil:
		return nil, store.Errorf(store.Unavailable, "tenant %q is not deleted: %w", t.ID, said[0].err)
	}
	return said[0].block, nil
}
