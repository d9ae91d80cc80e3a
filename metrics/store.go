package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantpurge/purger/store"
)

// scrapeTimeout bounds what a scrape waits for the store. It is below the 10 s
// that Prometheus waits for a scrape, so that the answer tells the reason.
const scrapeTimeout = 5 * time.Second

// StoreView is what the metrics read from a store.
type StoreView interface {
	Stats(ctx context.Context, now time.Time) (store.Stats, error)
	Gates(ctx context.Context) (store.Gates, error)
	Runs(ctx context.Context, limit int) ([]store.Run, error)
}

// WatchStore registers the gauges that are read from the store at every scrape,
// and makes the times of the last passes survive a restart. A store that
// cannot be read makes the scrape an error that says so. It panics when it is
// called twice.
func (m *Metrics) WatchStore(s StoreView) {
	if m == nil {
		return
	}
	m.reg.MustRegister(newStoreCollector(s))
	m.passes.last.watch(s)
}

// storeCollector reads a store at scrape.
type storeCollector struct {
	view StoreView

	tenants, blocked, due, overdue, nextPurge, purging *prometheus.Desc
	paused, halted, importing, short                   *prometheus.Desc
	size, free, freelist                               *prometheus.Desc
}

func newStoreCollector(s StoreView) *storeCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	return &storeCollector{
		view:    s,
		tenants: desc("tenants", "Tenants on record, by status; deleted ones are tombstones.", "status"),
		blocked: desc("tenants_blocked", "Disabled tenants that something keeps from being purged, by reason.", "reason"),
		due:     desc("tenants_due", "Tenants whose estimated purge date has come and that nothing blocks."),
		overdue: desc("oldest_overdue_seconds",
			"How long ago the earliest estimated purge date among the tenants that are due came, 0 when none is due."),
		nextPurge: desc("next_purge_timestamp_seconds",
			"The earliest estimated purge date that has not come yet, 0 when there is none."),
		purging: desc("oldest_purging_seconds",
			"How long ago the oldest claim was made among the tenants that are being purged, 0 when none is."),
		paused: desc("paused", "Whether a person paused purging (1) or not (0)."),
		halted: desc("halted", "Whether a limit halted purging until a person lifts it (1) or not (0), by the limit.", "reason"),
		importing: desc("import_incomplete",
			"Whether nothing is claimed until an interrupted import is run again (1) or not (0)."),
		short: desc("space_short",
			"Whether purging waits until the disk has more room (1) or not (0)."),
		size:     desc("store_size_bytes", "Size of the store's file."),
		free:     desc("store_free_bytes", "Size of the pages of the store's file that are free for use."),
		freelist: desc("store_freelist_bytes", "Size of the list of free pages."),
	}
}

// Describe implements prometheus.Collector.
func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.tenants, c.blocked, c.due, c.overdue, c.nextPurge, c.purging, c.paused, c.halted, c.importing, c.short, c.size, c.free, c.freelist,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	now := time.Now()
	stats, err := c.view.Stats(ctx, now)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.tenants, fmt.Errorf("read the store: %w", err))
		return
	}
	gates, err := c.view.Gates(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.paused, fmt.Errorf("read the gates of the store: %w", err))
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range store.Statuses() {
		gauge(c.tenants, float64(stats.Tenants[s]), string(s))
	}
	for _, r := range store.BlockReasons() {
		gauge(c.blocked, float64(stats.Blocked[r]), string(r))
	}
	gauge(c.due, float64(stats.Due))
	gauge(c.overdue, age(now, stats.OldestDue))
	gauge(c.nextPurge, timestamp(stats.NextPurge))
	gauge(c.purging, age(now, stats.OldestClaim))
	gauge(c.size, float64(stats.Size.Size))
	gauge(c.free, float64(stats.Size.Free))
	gauge(c.freelist, float64(stats.Size.Freelist))
	c.collectGates(gates, now, gauge)
}

// age returns for how many seconds it has been that; 0 when it never was.
func age(now, since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return seconds(now.Sub(since))
}

// collectGates tells which gates are closed at now.
func (c *storeCollector) collectGates(g store.Gates, now time.Time, gauge func(*prometheus.Desc, float64, ...string)) {
	paused := false
	for _, closed := range g.Closed(now) {
		paused = paused || closed.Reason == store.GatePaused
	}
	gauge(c.paused, bit(paused))
	gauge(c.importing, bit(g.Import != nil))
	gauge(c.short, bit(g.Space != nil))
	limit := ""
	if g.Halt != nil {
		limit = oneOf(limits(), g.Halt.Limit)
	}
	for _, l := range limits() {
		gauge(c.halted, bit(l == limit), l)
	}
	if limit == other {
		gauge(c.halted, 1, other)
	}
}
