package purge

import (
	"context"
	"time"

	"github.com/tenantpurge/purger/store"
)

// record writes progress, and with it renews the lease. It ends even when ctx
// does: what a call did must not be lost to a stop.
func (w *cascade) record(ctx context.Context, a store.Advance) error {
	a.At, a.Lease = time.Now(), w.s.Lease
	err := w.e.store.Record(context.WithoutCancel(ctx), w.claim.Token, a)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.broken == nil {
			w.broken = &storeError{err}
		}
		return w.broken
	}
	w.deleted, w.recorded = w.deleted.Plus(a.Deleted), a.At
	w.note(&a)
	return nil
}

// proceed returns why the cascade must not take another step, or nil.
func (w *cascade) proceed(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.broken != nil:
		return w.broken
	case ctx.Err() != nil:
		return errStopped
	}
	return nil
}

// next is proceed before a call of a target: others may have the place in between.
func (w *cascade) next(ctx context.Context) error {
	if err := w.at.keep(ctx); err != nil {
		return err
	}
	return w.proceed(ctx)
}

// keepLease renews the lease while calls take long, until release is called.
// A claim that was superseded ends the cascade before its next step.
func (w *cascade) keepLease(ctx context.Context) (release func()) {
	every := w.s.Lease / 3
	quit, done := make(chan struct{}), make(chan struct{})
	w.recorded = time.Now() // the claim itself
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			w.mu.Lock()
			fresh := time.Since(w.recorded) < every
			w.mu.Unlock()
			if fresh {
				continue
			}
			if w.record(ctx, store.Advance{}) != nil {
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
