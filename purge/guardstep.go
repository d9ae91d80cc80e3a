package purge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// step calls try until it succeeds, retries are spent, or nothing would change.
func (g *GuardedTarget) step(ctx context.Context, op, tenant string, try func(context.Context, *Policy) error) error {
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
		if err == nil || cut || n >= g.policy.Load().Retries || !curable(err) || ctx.Err() != nil {
			return err
		}
		failed = err
		if !g.rest(ctx, n+1) {
			return &notSent{g.name}
		}
	}
}

// rest waits before the n-th retry, as long as the policy in force has it, and
// reports false when ctx or a stop ended first.
func (g *GuardedTarget) rest(ctx context.Context, n int) bool {
	for began := time.Now(); ; {
		p, changed := g.current()
		over, ok := wait(ctx, nthWait(n, p.BackoffInitial, p.BackoffMax)-time.Since(began), changed)
		if over || !ok {
			return ok
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
