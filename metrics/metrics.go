// Package metrics holds every metric of the daemon behind one struct.
//
// What happens is counted by the methods of [Metrics]; what the store knows is
// read from it at scrape by [Metrics.WatchStore], at a cost that does not grow
// with the number of tenants. Every name begins with purger_, every unit is a
// base unit, and a time is in seconds since 1970, 0 for "none".
//
// A label never holds the id of a tenant. The values of all labels come from
// closed sets, so that counters start at 0; a value that is in no set is
// counted as "other". Targets and routes are named by their callers and are
// bounded in number instead.
//
// A nil *Metrics is valid and does nothing.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const namespace = "purger"

// StoreTarget is the value of the label "target" for what the embedded store
// itself holds.
const StoreTarget = "store"

// Metrics counts and times what the daemon does. It is safe for concurrent use.
type Metrics struct {
	reg    prometheus.Registerer
	passes passMetrics
	purges purgeMetrics
	target targetMetrics
	source sourceMetrics
	daemon daemonMetrics
}

// Build describes the running binary, for purger_build_info.
type Build struct {
	Version, Revision, GoVersion string
}

// New registers the metrics with reg. It panics when they are registered
// there already: use it once for each registry.
func New(reg prometheus.Registerer, b Build) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		reg:    reg,
		passes: newPassMetrics(f),
		purges: newPurgeMetrics(f),
		target: newTargetMetrics(f),
		source: newSourceMetrics(f),
		daemon: newDaemonMetrics(f, b),
	}
	reg.MustRegister(m.passes.last)
	m.targetValue(StoreTarget)
	return m
}

// NewRegistry returns a registry that has the metrics of the Go runtime and of
// the process, and nothing else yet.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}
