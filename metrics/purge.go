package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/tenantpurge/purger/store"
)

// purgeMetrics is about tenants and their resources.
type purgeMetrics struct {
	tenants     prometheus.Counter
	duration    prometheus.Histogram
	lateness    prometheus.Histogram
	resources   *prometheus.CounterVec
	failures    *prometheus.CounterVec
	leftovers   *prometheus.CounterVec
	unaccounted *prometheus.CounterVec
	deactivated prometheus.Counter
	reactivated prometheus.Counter
	limitHits   *prometheus.CounterVec
}

func newPurgeMetrics(f promauto.Factory) purgeMetrics {
	p := purgeMetrics{
		tenants: f.NewCounter(prometheus.CounterOpts{Namespace: namespace,
			Name: "tenants_purged_total", Help: "Tenants that were purged, sub-tenants included."}),
		duration: f.NewHistogram(histogram("tenant_purge_duration_seconds",
			"How long the purge of a tenant took with its sub-tenants, from the claim to the receipt.",
			0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 3600)),
		lateness: f.NewHistogram(histogram("purge_lateness_seconds",
			"How long after its estimated purge date a tenant was purged; immediate deletions are left out.",
			1, 10, 60, 300, 600, 1800, 3600, 6*3600, 86400, 7*86400)),
		resources: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "resources_purged_total", Help: "Resources that were deleted."}, []string{"target", "kind"}),
		failures: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "purge_failures_total", Help: "Errors that ended an attempt to purge a tenant, by the code of the error."},
			[]string{"target", "kind", "reason"}),
		leftovers: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "verification_leftovers_total", Help: "Resources that the count after a cascade still found."},
			[]string{"target", "kind"}),
		unaccounted: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "resources_unaccounted_total", Help: "Resources by which what was counted and what was removed differ, on receipts."},
			[]string{"target", "kind"}),
		deactivated: f.NewCounter(prometheus.CounterOpts{Namespace: namespace,
			Name: "deactivations_total", Help: "Deactivations of tenants, repeated ones included."}),
		reactivated: f.NewCounter(prometheus.CounterOpts{Namespace: namespace,
			Name: "reactivations_total", Help: "Reactivations of tenants."}),
		limitHits: f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace,
			Name: "limit_hits_total", Help: "Times that a limit stopped purging."}, []string{"limit"}),
	}
	for _, l := range limits() {
		p.limitHits.WithLabelValues(l)
	}
	return p
}

// start begins the counters of a target at 0.
func (p *purgeMetrics) start(target string) {
	for _, k := range kinds() {
		p.resources.WithLabelValues(target, k)
		p.leftovers.WithLabelValues(target, k)
		p.unaccounted.WithLabelValues(target, k)
	}
	for _, k := range append(kinds(), noKind) {
		for _, r := range reasons() {
			p.failures.WithLabelValues(target, k, r)
		}
	}
}

// TenantsPurged counts the purge of one subtree of n tenants that took so long
// from claim to receipt. lateness is the time from the estimated purge date to
// the purge; a negative one, of an immediate deletion, is not observed.
func (m *Metrics) TenantsPurged(n int64, took, lateness time.Duration) {
	if m == nil {
		return
	}
	add(m.purges.tenants, n)
	m.purges.duration.Observe(seconds(took))
	if lateness >= 0 {
		m.purges.lateness.Observe(seconds(lateness))
	}
}

// ResourcesPurged counts what a target deleted; the sub-tenants in c are
// counted by [Metrics.TenantsPurged].
func (m *Metrics) ResourcesPurged(target string, c store.Counts) {
	if m == nil {
		return
	}
	m.addCounts(m.purges.resources, target, c)
}

// Leftovers counts what the verification found in a target after the cascade.
func (m *Metrics) Leftovers(target string, c store.Counts) {
	if m == nil {
		return
	}
	m.addCounts(m.purges.leftovers, target, c)
}

// ResourcesUnaccounted counts by how much what a target counted and what it removed
// differ, to either side, on a receipt.
func (m *Metrics) ResourcesUnaccounted(target string, c store.Counts) {
	if m == nil {
		return
	}
	for _, n := range []*int64{&c.Users, &c.Credentials, &c.APIKeys, &c.OAuthClients} {
		*n = max(*n, -*n)
	}
	m.addCounts(m.purges.unaccounted, target, c)
}

// PurgeFailed counts an error that ended an attempt. kind is "" when the
// error is not about one kind; reason is a [store.Code].
func (m *Metrics) PurgeFailed(target string, kind store.Kind, reason string) {
	if m == nil {
		return
	}
	k := noKind
	if kind != "" {
		k = oneOf(kinds(), string(kind))
	}
	m.purges.failures.WithLabelValues(m.targetValue(target), k, oneOf(reasons(), reason)).Inc()
}

// Deactivated counts a deactivation.
func (m *Metrics) Deactivated() {
	if m == nil {
		return
	}
	m.purges.deactivated.Inc()
}

// Reactivated counts a reactivation.
func (m *Metrics) Reactivated() {
	if m == nil {
		return
	}
	m.purges.reactivated.Inc()
}

// LimitHit counts that a limit, named by its configuration key such as
// "limits.perDay", stopped purging.
func (m *Metrics) LimitHit(limit string) {
	if m == nil {
		return
	}
	m.purges.limitHits.WithLabelValues(oneOf(limits(), limit)).Inc()
}

// addCounts adds c to a counter with the labels target and kind.
func (m *Metrics) addCounts(vec *prometheus.CounterVec, target string, c store.Counts) {
	target = m.targetValue(target)
	for _, k := range store.Kinds() {
		if n := c.Of(k); n > 0 {
			vec.WithLabelValues(target, string(k)).Add(float64(n))
		}
	}
}
