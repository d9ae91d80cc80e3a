package metrics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keptRuns is how many passes a store remembers.
const keptRuns = 100

// lastPasses collects when passes ended, by result. What happened before this
// process began is read from the store, once.
type lastPasses struct {
	success, run *prometheus.Desc

	mu   sync.Mutex
	view StoreView // nil until there is one, and again once it was read
	at   map[string]time.Time
	done time.Time // when the last one ended that did all that was due
}

func newLastPasses() *lastPasses {
	return &lastPasses{
		success: prometheus.NewDesc(namespace+"_last_success_timestamp_seconds",
			"When the last pass ended that did all that was due, 0 when none is remembered; a retry takes nothing new, and does not count.", nil, nil),
		run: prometheus.NewDesc(namespace+"_last_run_timestamp_seconds",
			"When the last pass ended with the result, 0 when none is remembered.", []string{"result"}, nil),
		at: map[string]time.Time{},
	}
}

// ended notes a pass. One that ended before a noted one changes nothing.
func (l *lastPasses) ended(trigger, result string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(trigger, result, at)
}

// note is ended under the lock. A retry leaves out what has come due, so it is
// no success however well it ended.
func (l *lastPasses) note(trigger, result string, at time.Time) {
	if result == success && trigger != retry && at.After(l.done) {
		l.done = at
	}
	if at.After(l.at[result]) {
		l.at[result] = at
	}
}

// watch makes the next scrape read the passes of the store.
func (l *lastPasses) watch(v StoreView) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.view = v
}

// recall reads the passes of the store unless that was done. An error is met
// again at the next scrape.
func (l *lastPasses) recall() error {
	if l.view == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	runs, err := l.view.Runs(ctx, keptRuns)
	if err != nil {
		return fmt.Errorf("read the last passes: %w", err)
	}
	for _, r := range runs {
		l.note(r.Trigger, oneOf(results(), r.Result), r.FinishedAt.Time)
	}
	l.view = nil
	return nil
}

// Describe implements prometheus.Collector.
func (l *lastPasses) Describe(ch chan<- *prometheus.Desc) {
	ch <- l.success
	ch <- l.run
}

// Collect implements prometheus.Collector.
func (l *lastPasses) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.recall(); err != nil {
		ch <- prometheus.NewInvalidMetric(l.run, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(l.success, prometheus.GaugeValue, timestamp(l.done))
	for _, r := range results() {
		ch <- prometheus.MustNewConstMetric(l.run, prometheus.GaugeValue, timestamp(l.at[r]), r)
	}
	if at, ok := l.at[other]; ok {
		ch <- prometheus.MustNewConstMetric(l.run, prometheus.GaugeValue, timestamp(at), other)
	}
}
