package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// targetMetrics is about the calls of targets.
type targetMetrics struct {
	names     *bounded
	up        *prometheus.GaugeVec
	requests  *prometheus.HistogramVec
	retries   *prometheus.CounterVec
	postponed *prometheus.CounterVec
}

func newTargetMetrics(f promauto.Factory) targetMetrics {
	return targetMetrics{
		names: &bounded{max: maxTargets},
		up: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace,
			Name: "target_up", Help: "Whether the last call of the external target was answered (1) or not (0)."}, []string{"target"}),
		requests: f.NewHistogramVec(histogram("target_request_duration_seconds", "How long calls of external targets took.",
			0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60), []string{"target", "operation"}),
		retries: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "target_retries_total", Help: "Failed calls and attempts at a target that are made again."}, []string{"target"}),
		postponed: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "target_postponed_total", Help: "Calls of a target that were put off: by its window, its breaker, or a wait that it asked for."},
			[]string{"target", "reason"}),
	}
}

// TargetRequest times one call of a target; operation is "count",
// "purge", "check" or "subscriptions".
func (m *Metrics) TargetRequest(target, operation string, took time.Duration) {
	if m == nil {
		return
	}
	m.target.requests.WithLabelValues(m.targetValue(target), oneOf(operations(), operation)).Observe(seconds(took))
}

// TargetRetried counts a failed call or attempt that is made again.
func (m *Metrics) TargetRetried(target string) {
	if m == nil {
		return
	}
	m.target.retries.WithLabelValues(m.targetValue(target)).Inc()
}

// TargetPostponed counts a call that was not made for now; reason is "window",
// "breaker" or "retry_after".
func (m *Metrics) TargetPostponed(target, reason string) {
	if m == nil {
		return
	}
	m.target.postponed.WithLabelValues(m.targetValue(target), oneOf(postponements(), reason)).Inc()
}

// TargetUp says whether the target answers. Calling it for each target when
// the daemon begins makes the counters of all of them begin at 0 then.
func (m *Metrics) TargetUp(target string, up bool) {
	if m == nil {
		return
	}
	m.target.up.WithLabelValues(m.targetValue(target)).Set(bit(up))
}

// targetValue returns the label value of a target. With its first use all the
// target's counters begin at 0.
func (m *Metrics) targetValue(target string) string {
	label, first := m.target.names.value(target)
	if first {
		m.purges.start(label)
		m.target.retries.WithLabelValues(label)
		for _, r := range postponements() {
			m.target.postponed.WithLabelValues(label, r)
		}
	}
	return label
}
