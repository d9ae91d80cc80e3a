package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// passWatcher makes the engine's passes and tells how each one ended. It
// implements scheduler.Runner.
type passWatcher struct {
	engine *purge.Engine
	store  store.Store
	logger *zap.Logger
	notify notifier
	// summary is nil when nobody sits before the log.
	summary *summarizer
	// ended takes a mark after each pass; it holds one.
	ended chan struct{}

	mu    sync.Mutex // also orders what the service manager is told
	doing string     // what the pass that runs is told as; "" while none does
}

// newPassWatcher returns the watcher of a daemon whose log is set up.
func newPassWatcher(d *daemon) *passWatcher {
	w := &passWatcher{engine: d.engine, store: d.store, logger: d.logger, notify: d.notify, ended: make(chan struct{}, 1)}
	if console(d.settings.get().Log, d.app.stderr) {
		w.summary = &summarizer{w: d.app.stdout}
	}
	return w
}

// Run implements scheduler.Runner.
func (w *passWatcher) Run(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
	w.begin(purgingText(time.Now(), trigger))
	defer w.end()
	r, err := w.engine.Run(ctx, trigger)
	if err != nil {
		return r, err
	}
	w.tell(context.WithoutCancel(ctx), r)
	return r, nil
}

// begin tells the service manager at once that a pass runs.
func (w *passWatcher) begin(doing string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doing = doing
	w.notify.status("%s", doing)
}

// end marks that a pass has ended.
func (w *passWatcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doing = ""
	select {
	case w.ended <- struct{}{}:
	default: // one mark stands for all
	}
}

// tellStatus tells the service manager how things are, behind what a pass does.
func (w *passWatcher) tellStatus(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doing != "" {
		line = w.doing + ": " + line
	}
	w.notify.status("%s", line)
}

// purgingText says that a pass runs, for the status line.
func purgingText(since time.Time, trigger purge.Trigger) string {
	return fmt.Sprintf("purging since %s (%s)", timeText(since), trigger)
}

// tell shows a person how the pass ended.
func (w *passWatcher) tell(ctx context.Context, r purge.Report) {
	if w.summary == nil {
		return
	}
	now := time.Now()
	stats, err := w.store.Stats(ctx, now)
	if err != nil {
		w.logger.Warn("the summary of the pass lacks what waits", zap.Error(err))
		return
	}
	waiting, err := notDue(ctx, w.store, now, stats.Tenants[store.StatusDisabled])
	if err != nil {
		w.logger.Warn("the summary of the pass lacks what waits", zap.Error(err))
	}
	if err := w.summary.show(r, waiting, &stats); err != nil {
		w.logger.Warn("the summary of the pass could not be shown", zap.Error(err))
	}
}

// notDue returns disabled tenants whose date has not come. disabled is how many
// disabled ones there are; with more than fit a page there are too many to tell
// the next ones among them, and none is returned.
func notDue(ctx context.Context, st store.Store, now time.Time, disabled int64) ([]store.Tenant, error) {
	if disabled == 0 || disabled > store.MaxPage {
		return nil, nil
	}
	all, err := st.Tenants(ctx, store.Filter{Status: store.StatusDisabled})
	if err != nil {
		return nil, err
	}
	var waiting []store.Tenant
	for _, t := range all {
		if !t.Due(now) {
			waiting = append(waiting, t)
		}
	}
	return waiting, nil
}
