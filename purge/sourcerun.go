package purge

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// syncPause is the shortest wait between two syncs that a source asked for. It
// waits as long as the one before took, if that is longer: a source on which
// everything changes all the time is read half of the time.
const syncPause = time.Second

// Run makes a sync at once, then one whenever so much time has passed since the
// last began, and, of a source that is a [Watcher], when it says that something
// has changed. It returns when ctx ends and all that it began has ended. What
// goes wrong is on record, in the log and in the metrics.
//
// A zero or negative every leaves it to the watcher.
func (s *Syncer) Run(ctx context.Context, every time.Duration) {
	s.metrics.SourceEvery(every)
	wake := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	if w, ok := s.source.(Watcher); ok {
		wg.Go(func() { s.watch(ctx, w, wake) })
	}
	if st, err := s.keeper.Source(ctx); err == nil {
		s.metrics.SourceState(st) // of the process before
	}
	for ctx.Err() == nil {
		began := time.Now()
		_, _ = s.Sync(ctx) // it told
		if _, ok := wait(ctx, max(time.Since(began), syncPause), nil); !ok || !next(ctx, every, time.Since(began), wake) {
			return
		}
	}
}

// next waits for the time of the next sync or for the source, and reports whether
// to go on.
func next(ctx context.Context, every, passed time.Duration, wake <-chan struct{}) bool {
	var tick <-chan time.Time
	if every > 0 {
		t := time.NewTimer(max(every-passed, 0))
		defer t.Stop()
		tick = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-tick:
	case <-wake:
	}
	return true
}

// watch passes on what the source says of changes.
func (s *Syncer) watch(ctx context.Context, w Watcher, wake chan<- struct{}) {
	err := w.Watch(ctx, func() {
		select {
		case wake <- struct{}{}:
		default: // one waits already
		}
	})
	if err != nil && ctx.Err() == nil {
		s.log.Error("the source tells of no changes any more; it is read on schedule alone",
			zap.String("source", s.source.Name()), zap.String("code", string(store.CodeOf(err))), zap.String("error", printable(err)))
	}
}
