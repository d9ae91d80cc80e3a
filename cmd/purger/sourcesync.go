package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
)

// startSource syncs the source, if there is one, until the daemon ends.
func (d *daemon) startSource(ctx context.Context) error {
	if d.external.syncer == nil {
		return nil
	}
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.external.syncer.Run(run, d.settings.get().Source.Every)
	}()
	d.stop.push("source", serverBound+closeBound, func(ctx context.Context) error {
		cancel(errors.New("the daemon ends"))
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return nil
}

// synced has a pass made after the first good sync in too long a time: passes since
// have purged nobody for want of it, and the next one by the schedule may be far.
// After the very first one the schedule decides: what it brings was never seen here.
func (d *daemon) synced(before time.Time) {
	cfg := d.settings.get()
	if d.scheduler == nil || cfg.Source == nil || before.IsZero() || time.Since(before) <= cfg.Source.Age() {
		return
	}
	stats, err := d.store.Stats(context.Background(), time.Now())
	if err != nil {
		d.logger.Warn("it is not known whether anything is due", zap.Error(err))
		return
	}
	if stats.Due > 0 {
		d.scheduler.Trigger(purge.TriggerCatchUp)
	}
}
