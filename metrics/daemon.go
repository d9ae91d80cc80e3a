package metrics

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// daemonMetrics is about the process and what it serves.
type daemonMetrics struct {
	routes   *bounded
	http     *prometheus.CounterVec
	reloadOK prometheus.Gauge
	reloadAt prometheus.Gauge
}

func newDaemonMetrics(f promauto.Factory, b Build) daemonMetrics {
	d := daemonMetrics{
		routes: &bounded{max: maxRoutes},
		http: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "http_requests_total", Help: "HTTP requests that were answered."}, []string{"route", "code"}),
		reloadOK: f.NewGauge(prometheus.GaugeOpts{Namespace: namespace,
			Name: "config_last_reload_successful", Help: "Whether the configuration was good (1) or not (0) when it was last loaded."}),
		reloadAt: f.NewGauge(prometheus.GaugeOpts{Namespace: namespace,
			Name: "config_last_reload_success_timestamp_seconds", Help: "When a good configuration was last loaded."}),
	}
	valid := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace,
		Name: "build_info", Help: "The version of the running binary; the value is always 1."},
		[]string{"version", "revision", "goversion"},
	).WithLabelValues(valid(b.Version), valid(b.Revision), valid(b.GoVersion)).Set(1)
	return d
}

// HTTPRequest counts an answer. route is the pattern that matched, such as
// "GET /api/v1/tenants/{id}", never the path that was asked for: that one has
// the id of a tenant in it.
func (m *Metrics) HTTPRequest(route string, code int) {
	if m == nil {
		return
	}
	c := other
	if code >= 100 && code <= 599 {
		c = strconv.Itoa(code)
	}
	label, _ := m.daemon.routes.value(route)
	m.daemon.http.WithLabelValues(label, c).Inc()
}

// ConfigReloaded says that the configuration was loaded at the time, also at
// the start, and whether it was good.
func (m *Metrics) ConfigReloaded(ok bool, at time.Time) {
	if m == nil {
		return
	}
	m.daemon.reloadOK.Set(bit(ok))
	if ok {
		m.daemon.reloadAt.Set(timestamp(at))
	}
}
