package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/tenantpurge/purger/store"
)

// sourceMetrics is about the source of tenants.
type sourceMetrics struct {
	interval, lastGood, refused, failed prometheus.Gauge
	vanished, letters                   prometheus.Gauge
	syncs                               *prometheus.CounterVec
	rows                                *prometheus.GaugeVec
	duration                            prometheus.Histogram
	checks                              *prometheus.CounterVec
}

// sourceChecks returns what comes of asking the source once more before a claim.
func sourceChecks() []string {
	return []string{"confirmed", "milder", "vanished", "moved", "failed", "skipped", "stale", "unread"}
}

// rowOutcomes returns what a sync finds of rows and tenants.
func rowOutcomes() []string {
	return []string{
		"new", "changed", "reactivated", "later", "disabled", "sooner", "unchanged", "overruled", "rejected", "unplaced",
		"vanished", "purging", "purged", "too_late",
	}
}

func newSourceMetrics(f promauto.Factory) sourceMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	m := sourceMetrics{
		interval: gauge("source_sync_interval_seconds", "How long after the beginning of a sync the next one begins, 0 without a schedule or a source."),
		lastGood: gauge("source_last_sync_timestamp_seconds", "When the last good sync with the source of tenants ended, 0 when none is remembered."),
		refused:  gauge("source_sync_refused", "Whether a sync that would change too much waits for a person to accept it (1) or not (0)."),
		failed:   gauge("source_sync_failed", "Whether the last sync failed (1) or not (0)."),
		vanished: gauge("source_vanished_tenants", "Tenants that are kept and that the source no longer lists; they are not purged."),
		letters:  gauge("source_dead_letters", "Rows of the last snapshot that could not be understood."),
		syncs: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "source_syncs_total", Help: "Syncs with the source of tenants, by result."}, []string{"result"}),
		rows: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace,
			Name: "source_rows", Help: "What the last snapshot said against what was kept, by outcome."}, []string{"outcome"}),
		duration: f.NewHistogram(histogram("source_sync_duration_seconds", "How long syncs with the source of tenants took.",
			0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)),
		checks: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "source_checks_total", Help: "Due tenants of which the source was asked once more, by what came of it."}, []string{"result"}),
	}
	for _, v := range syncResults() {
		m.syncs.WithLabelValues(v)
	}
	for _, v := range rowOutcomes() {
		m.rows.WithLabelValues(v)
	}
	for _, v := range sourceChecks() {
		m.checks.WithLabelValues(v)
	}
	return m
}

// syncResults returns how a sync ends.
func syncResults() []string {
	return []string{string(store.SyncGood), string(store.SyncRefused), string(store.SyncFailed)}
}

// SourceEvery says how long after the beginning of a sync the next one begins; 0
// or less is no schedule. Without it nobody can tell a source that is late.
func (m *Metrics) SourceEvery(d time.Duration) {
	if m == nil {
		return
	}
	m.source.interval.Set(seconds(d))
}

// SourceSynced counts a sync. What a failed one found is not told.
func (m *Metrics) SourceSynced(s store.Sync, took time.Duration) {
	if m == nil {
		return
	}
	m.source.syncs.WithLabelValues(oneOf(syncResults(), string(s.Result))).Inc()
	m.source.duration.Observe(seconds(took))
	if s.Result != store.SyncFailed {
		m.sourceRows(&s.Counts)
	}
}

// SourceState says what is on record of the source. Call it at the start too, so
// that a restart hides nothing.
func (m *Metrics) SourceState(s store.SourceState) {
	if m == nil {
		return
	}
	good := &store.Sync{}
	if s.LastGood != nil {
		good = s.LastGood
	}
	m.source.lastGood.Set(timestamp(good.FinishedAt.Time))
	m.source.refused.Set(bit(s.LastRefused != nil))
	m.source.failed.Set(bit(s.LastFailed != nil))
	m.source.vanished.Set(float64(s.Vanished))
	last := good
	if s.LastRefused != nil {
		last = s.LastRefused
	}
	m.sourceRows(&last.Counts)
}

// sourceRows sets what a snapshot said.
func (m *Metrics) sourceRows(c *store.SyncCounts) {
	m.source.letters.Set(float64(c.Rejected))
	for outcome, n := range map[string]int64{
		"new": c.New, "changed": c.Changed, "reactivated": c.Reactivated, "later": c.Later, "disabled": c.Disabled,
		"sooner": c.Sooner, "unchanged": c.Unchanged, "overruled": c.Overruled, "rejected": c.Rejected, "vanished": c.Vanished,
		"unplaced": c.Unplaced, "purging": c.Purging, "purged": c.Purged, "too_late": c.TooLate,
	} {
		m.source.rows.WithLabelValues(outcome).Set(float64(n))
	}
}

// SourceChecked counts a due tenant of which the source was asked once more.
func (m *Metrics) SourceChecked(result string) {
	if m == nil {
		return
	}
	m.source.checks.WithLabelValues(oneOf(sourceChecks(), result)).Inc()
}
