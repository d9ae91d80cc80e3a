package purge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

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
	v, err := attempt(ctx, caller{name: t.name, log: e.log}, op, timeout, fn)
	e.metrics.TargetRequest(t.name, op, time.Since(began))
	e.metrics.TargetUp(t.name, answered(err))
	return v, err
}

// count asks a target how many resources of a kind a group of tenants has.
func (e *Engine) count(ctx context.Context, s *settings, t *target, kind store.Kind, tenants []string) (int64, error) {
	n, err := call(ctx, e, t, opCount, s.CallTimeout, func(ctx context.Context) (int64, error) {
		return t.countOf(ctx, tenants, kind)
	})
	if err == nil && n < 0 {
		err = store.Errorf(store.Internal, "target %s counted %d", t.name, n)
	}
	return n, err
}

// countAll asks a target for everything that tenants have in it: kind by kind,
// or about all kinds at a time where a call is about many tenants. The failure
// names a kind that could not be counted.
func (e *Engine) countAll(ctx context.Context, s *settings, t *target, tenants []string, proceed func() error) (store.Counts, error) {
	kinds := slices.DeleteFunc(store.Kinds(), func(k store.Kind) bool { return !t.kinds[k] })
	counts := make([]int64, len(kinds))
	var g errgroup.Group
	var err error
	for i, kind := range kinds {
		ask := func() (err error) {
			counts[i], err = e.countKind(ctx, s, t, kind, tenants, proceed)
			return err
		}
		if t.group != nil {
			g.Go(ask)
		} else if err = ask(); err != nil {
			break
		}
	}
	var sum store.Counts
	if err = cmp.Or(err, g.Wait()); err != nil {
		return sum, err
	}
	for i, kind := range kinds {
		sum.Add(kind, counts[i])
	}
	return sum, nil
}

// countKind asks a target for everything of one kind that tenants have in it.
func (e *Engine) countKind(ctx context.Context, s *settings, t *target, kind store.Kind, tenants []string, proceed func() error) (int64, error) {
	sum := int64(0)
	for group := range t.groups(kind, tenants) {
		if err := proceed(); err != nil {
			return 0, err
		}
		n, err := e.count(ctx, s, t, kind, group)
		switch {
		case errors.Is(err, errStopped):
			return 0, err
		case err != nil:
			return 0, &failure{t.name, kind, err}
		}
		sum += n
	}
	return sum, nil
}
