package purge

import (
	"context"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Reconsider brings forward the purges that wait for a target which, by the policy
// in force, may be called earlier than it was said when they were put off: its
// window was widened, or the cooldown of its breaker cut short. Call it after
// [GuardedTarget.SetPolicy]; then a pass with [TriggerRetry] resumes them, and one
// that runs does so within a minute. The first pass of an engine calls it, since
// the policy may have changed while there was none. What may be called only later
// is found out by the pass that tries.
//
// It returns how many it brought forward. Its errors are those of the store.
func (e *Engine) Reconsider(ctx context.Context) (int64, error) {
	e.policyMu.Lock()
	defer e.policyMu.Unlock()
	now := time.Now()
	next := map[store.Awaited]time.Time{}
	for _, t := range e.targets {
		if t.guard == nil {
			continue
		}
		for _, reason := range []PostponeReason{PostponeWindow, PostponeBreaker} {
			at := t.guard.opens(now, t.guard.policy.Load(), reason)
			if at.After(now) {
				at = kept(at)
			}
			next[store.Awaited{Target: t.name, Reason: string(reason)}] = at
		}
	}
	if len(next) == 0 {
		return 0, nil
	}
	return e.store.Hasten(ctx, now, next)
}
