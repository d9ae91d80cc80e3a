package purge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// Observer is told what a [GuardedTarget] does. *metrics.Metrics is one, also a
// nil one. It is safe for concurrent use.
type Observer interface {
	// TargetRequest times one call; operation is "count", "purge", "check" or
	// "subscriptions".
	TargetRequest(target, operation string, took time.Duration)
	// TargetUp says whether a call was answered.
	TargetUp(target string, up bool)
	// TargetRetried counts a call that failed and is made again.
	TargetRetried(target string)
	// TargetPostponed counts a call that was not made; reason is a
	// [PostponeReason].
	TargetPostponed(target, reason string)
}

// GuardOptions is what a [GuardedTarget] reports to; each may be nil.
type GuardOptions struct {
	Observer Observer
	Logger   *zap.Logger
}

// GuardedTarget is a target that is called by a [Policy]. Each has slots, rate
// and breaker of its own, so that one that fails or is slow costs the others
// nothing. It is safe for concurrent use.
//
// A call of it may take several of the target within, with waits between them.
// The waits end with the context; a call that was not made because of that has
// an error with the code [store.Unavailable] and not that of the context, since
// nothing was sent. A call that must not be made now is a [PostponedError].
type GuardedTarget struct {
	Target
	name  string
	obs   Observer
	log   *zap.Logger
	slots slots
	head  slots // of one: who has it waits for the rate
	rate  *rate.Limiter
	brk   breaker
	track tracker

	mu        sync.Mutex // of SetPolicy, and of what follows
	policy    atomic.Pointer[Policy]
	changed   chan struct{} // closed by the next SetPolicy
	notBefore time.Time     // the system asked not to be called before
}

// Guarded returns t under a policy. Errors: those of [Policy.Validate].
func Guarded(t Target, p Policy, o GuardOptions) (*GuardedTarget, error) {
	if t == nil {
		return nil, store.Errorf(store.Invalid, "purge.Guarded: want a target")
	}
	g := &GuardedTarget{
		Target: t, name: t.Name(), obs: o.Observer, log: o.Logger,
		head: slots{limit: 1}, changed: make(chan struct{}),
	}
	if g.obs == nil {
		g.obs = (*metrics.Metrics)(nil)
	}
	if g.log == nil {
		g.log = zap.NewNop()
	}
	if err := g.SetPolicy(p); err != nil {
		return nil, err
	}
	return g, nil
}

// Inner implements [Wrapper].
func (g *GuardedTarget) Inner() Target { return g.Target }

// Policy returns the policy in force.
func (g *GuardedTarget) Policy() Policy { return *g.policy.Load() }

// SetPolicy replaces the policy, also for those who wait: for a slot, the rate, a
// retry or the end of a breaker's cooldown. Calls under way keep the time-out they
// began with; the requests of a call that began under a rate heed the new one, and
// the new window. What was put off, and waits in a store, is looked at again by
// [Engine.Reconsider]. Errors: those of [Policy.Validate], and then nothing is
// changed.
func (g *GuardedTarget) SetPolicy(p Policy) error {
	if err := p.Validate(""); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := rate.Inf
	if p.Rate > 0 {
		limit = rate.Limit(p.Rate)
	}
	g.policy.Store(&p)
	g.slots.resize(p.Concurrency)
	// Tokens are kept: to reload often is no way around the limit.
	if g.rate == nil {
		g.rate = rate.NewLimiter(limit, p.Burst)
	}
	g.rate.SetLimit(limit)
	g.rate.SetBurst(p.Burst)
	if p.BreakerFailures == 0 {
		g.brk.reset()
	}
	close(g.changed)
	g.changed = make(chan struct{})
	return nil
}

// current returns the policy in force, and a channel that is closed when another
// one is.
func (g *GuardedTarget) current() (*Policy, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.policy.Load(), g.changed
}

// Progress returns how far the purges are that an [Engine] makes in the target.
func (g *GuardedTarget) Progress() []TargetProgress { return g.track.rows(g.name, time.Now()) }

// Probe asks the target whether it is usable, past window, breaker and rate, and
// tells the observer. Errors: Precondition when the target is no [Checker].
func (g *GuardedTarget) Probe(ctx context.Context) error {
	c, ok := As[Checker](g.Target)
	if !ok {
		return store.Errorf(store.Precondition, "target %s cannot be checked without a purge", g.name)
	}
	_, err := observed(ctx, g, g.policy.Load(), opCheck, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.Check(ctx)
	})
	return err
}

// Count implements [Target].
func (g *GuardedTarget) Count(ctx context.Context, tenantID string, kind store.Kind) (int64, error) {
	return answerOf(ctx, g, opCount, tenantID, func(ctx context.Context) (int64, error) {
		return g.Target.Count(ctx, tenantID, kind)
	})
}

// answerOf asks by fn what changes nothing, on behalf of a tenant.
func answerOf[T any](ctx context.Context, g *GuardedTarget, op, tenant string, fn func(context.Context) (T, error)) (answer T, err error) {
	err = g.step(ctx, op, tenant, func(ctx context.Context, p *Policy) (err error) {
		answer, err = observed(ctx, g, p, op, fn)
		return err
	})
	return answer, err
}

// Purge implements [Target].
func (g *GuardedTarget) Purge(ctx context.Context, r Request) (Removed, error) {
	return g.purge(ctx, r.TenantID, r, g.Target.Purge)
}

// purge takes one step by fn, on behalf of a tenant.
func (g *GuardedTarget) purge(ctx context.Context, tenant string, r Request, fn func(context.Context, Request) (Removed, error)) (Removed, error) {
	var sum Removed
	err := g.step(ctx, opPurge, tenant, func(ctx context.Context, p *Policy) error {
		now := r
		now.Limit -= int(sum.Deleted)
		did, err := observed(ctx, g, p, opPurge, func(ctx context.Context) (Removed, error) {
			return fn(ctx, now)
		})
		if did.Deleted < 0 {
			did.Deleted, err = 0, store.Errorf(store.Internal, "target %s removed %d", g.name, did.Deleted)
		}
		sum.Deleted += did.Deleted
		sum.Gone += did.Gone
		sum.More = did.More
		sum.Inexact = sum.Inexact || did.Inexact || answerLost(err)
		r.Resumed = r.Resumed || answerLost(err)
		if err != nil && sum.Deleted >= int64(r.Limit) {
			sum.More, err = true, nil // the step is done, and the next one shows
		}
		return err
	})
	return sum, err
}

// observed makes one call and tells the observer.
func observed[T any](ctx context.Context, g *GuardedTarget, p *Policy, op string, fn func(context.Context) (T, error)) (T, error) {
	began, pace := time.Now(), g.paced(p, op)
	v, err := attempt(ctx, caller{g.name, g.log, pace.within}, op, p.Timeout, fn)
	g.obs.TargetRequest(g.name, op, time.Since(began)-pace.waited())
	if !cutShort(err) {
		g.obs.TargetUp(g.name, answered(err))
	}
	return v, err
}
