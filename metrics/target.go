package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// targetMetrics is about the calls of targets.
type targetMetrics struct {
	names    *bounded
	up       *prometheus.GaugeVec
	requests *prometheus.HistogramVec
	retries  *prometheus.CounterVec
}

func newTargetMetrics(f promauto.Factory) targetMetrics {
	return targetMetrics{
		names: &bounded{max: maxTargets},
		up: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace,
			Name: "target_up", Help: "Whether the last call of the external target was answered (1) or not (0)."}, []string{"target"}),
		requests: f.NewHistogramVec(histogram("target_request_duration_seconds", "How long calls of external targets took.",
			0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60), []string{"target", "operation"}),
		retries: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "target_retries_total", Help: "Failed attempts at a target that are made again later."}, []string{"target"}),
	}
}

// TargetRequest times one call of a target; operation is "count" or "purge".
func (m *Metrics) TargetRequest(target, operation string, took time.Duration) {
	if m == nil {
		return
	}
	m.target.requests.WithLabelValues(m.targetValue(target), oneOf(operations(), operation)).Observe(seconds(took))
}

// TargetRetried counts a failed attempt that is made again later.
func (m *Metrics) TargetRetried(target string) {
	if m == nil {
		return
	}
	m.target.retries.WithLabelValues(m.targetValue(target)).Inc()
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
	}
	return label
}
