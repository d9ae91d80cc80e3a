package purge

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
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

// SetPolicy replaces the policy, also for those who wait. Calls under way and
// backoffs keep the one they began with, and an open breaker the time it was
// given; the requests of a call that began under a rate heed the new one, and the
// new window. Errors: those of [Policy.Validate], and then nothing is changed.
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
	close(g.changed)
	g.changed = make(chan struct{})
	return nil
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

// step calls try until it succeeds, retries are spent, or nothing would change.
func (g *GuardedTarget) step(ctx context.Context, op, tenant string, try func(context.Context, *Policy) error) error {
	p := g.policy.Load()
	waits := p.backoff()
	var failed error
	var put *PostponedError
	for n := 0; ; n++ {
		probe, err := g.admit(ctx, op)
		if err != nil {
			switch {
			case !errors.As(err, &put):
				return err
			case failed != nil:
				return failed // it was called, and this is what came of it
			}
			g.obs.TargetPostponed(g.name, string(put.Reason))
			return err
		}
		if n > 0 {
			g.obs.TargetRetried(g.name)
		}
		err = try(ctx, g.policy.Load())
		cut := cutShort(err)
		if cut {
			g.learn(tenant, probe, nil) // what was asked until then was answered
		} else {
			g.learn(tenant, probe, err)
		}
		g.slots.release()
		if errors.As(err, &put) {
			g.obs.TargetPostponed(g.name, string(put.Reason))
		}
		if err == nil || cut || n >= p.Retries || !curable(err) || ctx.Err() != nil {
			return err
		}
		failed = err
		if !wait(ctx, waits.NextBackOff()) {
			return &notSent{g.name}
		}
	}
}

// learn draws the conclusions from the end of a call for those that follow.
func (g *GuardedTarget) learn(tenant string, probe bool, err error) {
	now, p := time.Now(), g.policy.Load()
	if d := retryAfter(err); d > 0 {
		g.mu.Lock()
		if at := now.Add(d); at.After(g.notBefore) {
			g.notBefore = at
		}
		g.mu.Unlock()
	}
	switch g.brk.report(now, p, tenant, probe, err) {
	case turnOpened:
		g.log.Warn("target is not called for a while: too many calls failed in a row", zap.String("target", g.name),
			zap.Duration("cooldown", p.BreakerCooldown), zap.String("error", printable(err)))
	case turnClosed:
		g.log.Info("target is called again", zap.String("target", g.name))
	case turnNone:
	}
}

// curable reports whether the same call may succeed a moment later.
func curable(err error) bool {
	if IsPermanent(err) || errors.Is(err, errLeftBehind) {
		return false
	}
	switch store.CodeOf(err) {
	case store.Unavailable, store.Exhausted, store.Internal:
		return true
	}
	return ended(err) || retryAfter(err) > 0
}

// maxRetryAfter bounds the wait that a system may ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter returns the wait that the system asked for, 0 when it did not.
func retryAfter(err error) time.Duration {
	var asked RetryAfter
	if !errors.As(err, &asked) {
		return 0
	}
	return min(max(asked.RetryAfter(), 0), maxRetryAfter)
}

// backoff returns the waits of one step. They grow no further than BackoffMax.
func (p *Policy) backoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = p.BackoffInitial, p.BackoffMax
	b.Multiplier, b.RandomizationFactor = growth, jitter
	return b
}

// admit waits until a call may be made, and takes a slot for it. probe says that
// it decides for the breaker.
func (g *GuardedTarget) admit(ctx context.Context, op string) (probe bool, err error) {
	done, stop := ctx.Done(), stopOf(ctx)
	for {
		// Whoever must not call now does not wait in the line for it either.
		if _, err := g.gate(ctx, op, false); err != nil {
			return false, err
		}
		if ctx.Err() != nil || !g.slots.acquire(done, stop) {
			return false, &notSent{g.name}
		}
		if !g.token(ctx) {
			g.slots.release()
			return false, &notSent{g.name}
		}
		probe, err := g.gate(ctx, op, true)
		if errors.Is(err, errAgain) {
			g.slots.release()
			continue
		}
		if err != nil {
			g.slots.release()
		}
		return probe, err
	}
}

// closed returns a failure when nothing may be removed at an instant because of
// the window; nil otherwise.
func (g *GuardedTarget) closed(at time.Time) error {
	if put := g.outside(at, g.policy.Load()); put != nil {
		return &failure{target: g.name, err: put}
	}
	return nil
}

// outside returns when the window opens that is closed; nil when it is open.
func (g *GuardedTarget) outside(now time.Time, p *Policy) *PostponedError {
	if p.Window.Open(now) {
		return nil
	}
	until := p.Window.Next(now)
	if until.IsZero() {
		until = now.Add(wholeDay)
	}
	return &PostponedError{Target: g.name, Reason: PostponeWindow, Until: until}
}

// errAgain says that the system asked for a wait while a call was in the line.
var errAgain = errors.New("wait again")

// gate returns why a call must not be made now. A wait that the system asked for
// is waited for when it is short, unless take says that the call has its slot.
func (g *GuardedTarget) gate(ctx context.Context, op string, take bool) (probe bool, err error) {
	for {
		now, p := time.Now(), g.policy.Load()
		if op == opPurge {
			if put := g.outside(now, p); put != nil {
				return false, put
			}
		}
		g.mu.Lock()
		asked := g.notBefore.Sub(now)
		g.mu.Unlock()
		if asked > p.BackoffMax {
			return false, &PostponedError{Target: g.name, Reason: PostponeRetryAfter, Until: now.Add(asked)}
		}
		if asked > 0 && take {
			return false, errAgain
		}
		if asked > 0 {
			if !wait(ctx, asked) {
				return false, &notSent{g.name}
			}
			continue
		}
		ok, probe, until := g.brk.ask(now, p, take)
		if !ok {
			return false, &PostponedError{Target: g.name, Reason: PostponeBreaker, Until: until}
		}
		return probe, nil
	}
}

// token waits until the rate allows one more call. Only the first in the line
// waits for time to pass, so that a new rate is in force at once.
func (g *GuardedTarget) token(ctx context.Context) bool {
	done, stop := ctx.Done(), stopOf(ctx)
	if !g.head.acquire(done, stop) {
		return false
	}
	defer g.head.release()
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		r := g.rate.Reserve()
		d := r.Delay()
		if d == 0 {
			return true
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
			return true
		case <-changed:
			timer.Stop()
			r.Cancel()
		case <-done:
			timer.Stop()
			r.Cancel()
			return false
		case <-stop:
			timer.Stop()
			r.Cancel()
			return false
		}
	}
}

// wait waits for d, and reports false when ctx or a stop ended first.
func wait(ctx context.Context, d time.Duration) bool {
	if d == math.MaxInt64 { // a backoff that has ended
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-stopOf(ctx):
	}
	return false
}

// stopKey is the key of the channel that ends waits, but not calls.
type stopKey struct{}

// stoppedBy returns ctx with a channel that ends the waits of a [GuardedTarget]
// and leaves its calls alone.
func stoppedBy(ctx context.Context, stop <-chan struct{}) context.Context {
	return context.WithValue(ctx, stopKey{}, stop)
}

// stopOf returns that channel; nil, which is never closed, without one.
func stopOf(ctx context.Context) <-chan struct{} {
	stop, _ := ctx.Value(stopKey{}).(<-chan struct{})
	return stop
}
