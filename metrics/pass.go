package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// passMetrics is about whole passes.
type passMetrics struct {
	inProgress prometheus.Gauge
	remaining  prometheus.Gauge
	next       prometheus.Gauge
	total      *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	last       *lastPasses
}

func newPassMetrics(f promauto.Factory) passMetrics {
	p := passMetrics{
		inProgress: f.NewGauge(prometheus.GaugeOpts{Namespace: namespace,
			Name: "run_in_progress", Help: "Whether a pass is running (1) or not (0)."}),
		remaining: f.NewGauge(prometheus.GaugeOpts{Namespace: namespace,
			Name: "run_remaining_tenants", Help: "Tenants that the running pass has not looked at yet."}),
		next: f.NewGauge(prometheus.GaugeOpts{Namespace: namespace,
			Name: "next_run_timestamp_seconds", Help: "When the schedule begins the next pass, 0 when it never does."}),
		total: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "runs_total", Help: "Passes that ended, by what set them off and how they ended."},
			[]string{"trigger", "result"}),
		duration: f.NewHistogramVec(histogram("run_duration_seconds", "How long passes took.",
			0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4*3600), []string{"trigger"}),
		last: newLastPasses(),
	}
	for _, t := range triggers() {
		p.duration.WithLabelValues(t)
		for _, r := range results() {
			p.total.WithLabelValues(t, r)
		}
	}
	return p
}

// RunStarted says that a pass began. What set it off is counted at its end.
func (m *Metrics) RunStarted(_ string) {
	if m == nil {
		return
	}
	m.passes.inProgress.Set(1)
}

// RunFinished says how the pass ended. A clock that went backwards meanwhile
// counts as a duration of 0.
func (m *Metrics) RunFinished(trigger, result string, started, finished time.Time) {
	if m == nil {
		return
	}
	p := &m.passes
	trigger, result = oneOf(triggers(), trigger), oneOf(results(), result)
	p.inProgress.Set(0)
	p.remaining.Set(0)
	p.total.WithLabelValues(trigger, result).Inc()
	p.duration.WithLabelValues(trigger).Observe(seconds(finished.Sub(started)))
	p.last.ended(trigger, result, finished)
}

// RunRemaining says how many tenants the running pass has not looked at yet.
func (m *Metrics) RunRemaining(n int64) {
	if m == nil {
		return
	}
	m.passes.remaining.Set(float64(max(n, 0)))
}

// NextRun says when the schedule begins the next pass; the zero time is never.
func (m *Metrics) NextRun(at time.Time) {
	if m == nil {
		return
	}
	m.passes.next.Set(timestamp(at))
}
