package purge

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// The operations of targets, as the metrics name them.
const (
	opCount = "count"
	opPurge = "purge"
)

// abandonAfter is how long a call may go on after its context has ended before
// it is given up.
const abandonAfter = 5 * time.Second

// call makes one call of a target. It outlives a stop, but not timeout, and it
// never brings the process down: a panic is an error, and a call that does not
// heed its context is left behind.
func call[T any](ctx context.Context, e *Engine, t *target, op string, timeout time.Duration, fn func(context.Context) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	began := time.Now()
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: store.Errorf(store.Internal, "target %s ended the goroutine of a call", t.name)}
		defer func() {
			if r := recover(); r != nil {
				a.err = store.Errorf(store.Internal, "target %s panicked: %v", t.name, r)
				e.log.Error("a target panicked", zap.String("target", t.name), zap.String("operation", op),
					zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			}
			answers <- a
		}()
		v, err := fn(ctx)
		a = answer{v, err}
	}()
	a := answer{}
	select {
	case a = <-answers:
	case <-ctx.Done():
		abandon := time.NewTimer(abandonAfter)
		defer abandon.Stop()
		select {
		case a = <-answers:
		case <-abandon.C:
			a.err = store.Errorf(store.Unavailable, "target %s did not return after its time-out of %s: %w", t.name, timeout, ctx.Err())
		}
	}
	e.metrics.TargetRequest(t.name, op, time.Since(began))
	e.metrics.TargetUp(t.name, a.err == nil || !ended(a.err) && store.CodeOf(a.err) != store.Unavailable)
	return a.v, a.err
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
			if err != nil {
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
