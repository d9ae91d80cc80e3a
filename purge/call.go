package purge

import (
	"context"
	"errors"
	"time"

	"github.com/tenantpurge/purger/store"
)

// The operations of targets, as the metrics name them.
const (
	opCount = "count"
	opPurge = "purge"
	opCheck = "check"
)

// call makes one call of a target. It outlives a stop, but not timeout. A
// [GuardedTarget] has bounds of its own in place of timeout, and waits for its
// turn no longer than until a stop: then the error is errStopped.
func call[T any](ctx context.Context, e *Engine, t *target, op string, timeout time.Duration, fn func(context.Context) (T, error)) (T, error) {
	stop := ctx
	ctx = context.WithoutCancel(ctx)
	if t.guard != nil {
		v, err := fn(stoppedBy(ctx, stop.Done()))
		var unsent *notSent
		if errors.As(err, &unsent) {
			err = errStopped
		}
		return v, err
	}
	began := time.Now()
	v, err := attempt(ctx, caller{t.name, e.log}, op, timeout, fn)
	e.metrics.TargetRequest(t.name, op, time.Since(began))
	e.metrics.TargetUp(t.name, answered(err))
	return v, err
}

// count asks a target how many resources of a kind a tenant has.
func (e *Engine) count(ctx context.Context, s *settings, t *target, kind store.Kind, tenantID string) (int64, error) {
	n, err := call(ctx, e, t, opCount, s.CallTimeout, func(ctx context.Context) (int64, error) {
		return t.Count(ctx, tenantID, kind)
	})
	if err == nil && n < 0 {
		err = store.Errorf(store.Internal, "target %s counted %d", t.name, n)
	}
	return n, err
}

// countAll asks a target for everything that tenants have in it. The failure
// names the kind that could not be counted.
func (e *Engine) countAll(ctx context.Context, s *settings, t *target, tenants []string, proceed func() error) (store.Counts, error) {
	var sum store.Counts
	for _, kind := range store.Kinds() {
		if !t.kinds[kind] {
			continue
		}
		for _, id := range tenants {
			if err := proceed(); err != nil {
				return sum, err
			}
			n, err := e.count(ctx, s, t, kind, id)
			switch {
			case errors.Is(err, errStopped):
				return sum, err
			case err != nil:
				return sum, &failure{t.name, kind, err}
			}
			sum.Add(kind, n)
		}
	}
	return sum, nil
}

// asFailure returns err as a *failure; nil when it is another error.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}
