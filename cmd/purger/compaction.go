package main

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// compactRetry is how long after a failed compaction the next one is tried.
const compactRetry = time.Hour

// compaction rewrites the store's file in time, so that what was purged does not
// stay readable in it (G13). The zero value has never failed.
type compaction struct {
	failedAt time.Time
}

// due reports whether it is time: when the bytes of something that was deleted
// have been in the file for so long. after 0 is never.
func (c *compaction) due(now, erasedSince time.Time, after time.Duration) bool {
	switch {
	case after <= 0 || erasedSince.IsZero():
		return false
	case !c.failedAt.IsZero() && now.Sub(c.failedAt) < compactRetry:
		return false
	}
	return now.Sub(erasedSince) >= after
}

// forget removes from the store what has expired, even if nothing else changes.
func (d *daemon) forget(ctx context.Context) {
	if err := d.store.Forget(ctx, time.Now()); err != nil && ctx.Err() == nil {
		d.logger.Error("what has expired could not be removed from the store: answers and approvals", zap.Error(err))
	}
}

// compactInTime compacts the store if it is time.
func (d *daemon) compactInTime(ctx context.Context) {
	now := time.Now()
	if !d.compaction.due(now, d.store.ErasedSince(), d.settings.get().Store.CompactAfter) {
		return
	}
	// The store logs a success.
	if _, err := d.store.Compact(ctx); err != nil && ctx.Err() == nil {
		d.compaction.failedAt = now
		d.logger.Error("the store could not be compacted: what was purged is still readable in its file",
			zap.Error(err), zap.Duration("retry_in", compactRetry))
	}
}
