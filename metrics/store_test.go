package metrics

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantpurge/purger/store"
)

// view is a store of which only the figures are there.
type view struct {
	stats                store.Stats
	gates                store.Gates
	runs                 []store.Run
	statsErr, gatesErr   error
	runsErr              error
	wait                 time.Duration // that Stats takes
	mu                   sync.Mutex
	statsCalls, runCalls int
}

func (v *view) Stats(ctx context.Context, _ time.Time) (store.Stats, error) {
	v.mu.Lock()
	v.statsCalls++
	v.mu.Unlock()
	select {
	case <-time.After(v.wait):
	case <-ctx.Done():
		return store.Stats{}, ctx.Err()
	}
	return v.stats, v.statsErr
}

func (v *view) Gates(context.Context) (store.Gates, error) { return v.gates, v.gatesErr }

func (v *view) Runs(_ context.Context, limit int) ([]store.Run, error) {
	v.mu.Lock()
	v.runCalls++
	v.mu.Unlock()
	return v.runs[:min(limit, len(v.runs))], v.runsErr
}

// storeNames are the metrics that are read from the store.
func storeNames() []string {
	return []string{"purger_tenants", "purger_tenants_blocked", "purger_tenants_due", "purger_oldest_overdue_seconds",
		"purger_next_purge_timestamp_seconds", "purger_oldest_purging_seconds", "purger_paused", "purger_halted", "purger_space_short", "purger_store_size_bytes",
		"purger_store_free_bytes", "purger_store_freelist_bytes"}
}

func TestWatchStore_ExposesEveryStatusReasonAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := fresh(t)
		now := time.Now()
		m.WatchStore(&view{
			stats: store.Stats{
				Tenants: map[store.Status]int64{store.StatusActive: 100, store.StatusDisabled: 20, store.StatusPurging: 3,
					store.StatusFailed: 2, store.StatusDeleted: 1000},
				Blocked:   map[store.BlockReason]int64{store.BlockHold: 4, store.BlockLaterDate: 1},
				Due:       6,
				OldestDue: now.Add(-90 * time.Second), OldestClaim: now.Add(-73 * time.Hour),
				NextPurge: time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC),
				Size:      store.FileStats{Size: 1 << 20, Free: 4096, Freelist: 512},
			},
			gates: store.Gates{Halt: &store.Halt{Limit: "limits.perDayShare"}, Pause: &store.Pause{}, Space: &store.Space{}},
		})
		expose(t, reg, "store.prom", storeNames()...)
	})
}

func TestWatchStore_AnEmptyStoreHasEverySeriesAtZero(t *testing.T) {
	m, reg := fresh(t)
	m.WatchStore(&view{})
	n := series(t, reg)
	for name, want := range map[string]int{"purger_tenants": len(store.Statuses()), "purger_tenants_blocked": len(store.BlockReasons()), "purger_halted": 3} {
		if n[name] != want {
			t.Errorf("%s has %d series, want %d", name, n[name], want)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, v := range f.GetMetric() {
			if g := v.GetGauge(); g != nil && g.GetValue() != 0 && f.GetName() != "purger_build_info" {
				t.Errorf("%s is %v, want 0", f.GetName(), g.GetValue())
			}
		}
	}
}

func TestWatchStore_ReadsStatsOnceAScrape(t *testing.T) {
	m, reg := fresh(t)
	v := &view{}
	m.WatchStore(v)
	for range 3 {
		series(t, reg)
	}
	if v.statsCalls != 3 {
		t.Errorf("3 scrapes called Stats %d times", v.statsCalls)
	}
}

func TestWatchStore_APauseEndsExactlyAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := fresh(t)
		until := time.Now().Add(time.Hour)
		m.WatchStore(&view{gates: store.Gates{Pause: &store.Pause{Reason: "r", Until: store.Timestamp{Time: until}}}})
		const help = "# HELP purger_paused Whether a person paused purging (1) or not (0).\n# TYPE purger_paused gauge\npurger_paused "
		time.Sleep(time.Hour - time.Nanosecond)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(help+"1\n"), "purger_paused"); err != nil {
			t.Errorf("just before the end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(help+"0\n"), "purger_paused"); err != nil {
			t.Errorf("at the end: %v", err)
		}
	})
}

func TestWatchStore_AHaltOfAnUnknownLimitIsSeenAndIsNoPause(t *testing.T) {
	m, reg := fresh(t)
	m.WatchStore(&view{gates: store.Gates{Halt: &store.Halt{Limit: "clock.maxStep"}}})
	want := `
# HELP purger_halted Whether a limit halted purging until a person lifts it (1) or not (0), by the limit.
# TYPE purger_halted gauge
purger_halted{reason="limits.perDay"} 0
purger_halted{reason="limits.perDayShare"} 0
purger_halted{reason="limits.perPass"} 0
purger_halted{reason="other"} 1
# HELP purger_paused Whether a person paused purging (1) or not (0).
# TYPE purger_paused gauge
purger_paused 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "purger_halted", "purger_paused"); err != nil {
		t.Error(err)
	}
}

func TestWatchStore_AStoreThatCannotBeReadIsAnErrorOfTheScrape(t *testing.T) {
	cause := errors.New("the disk is on fire")
	for name, v := range map[string]*view{
		"stats": {statsErr: cause}, "gates": {gatesErr: cause}, "runs": {runsErr: cause},
	} {
		m, reg := fresh(t)
		m.WatchStore(v)
		families, err := reg.Gather()
		if err == nil || !strings.Contains(err.Error(), cause.Error()) {
			t.Errorf("%s: the scrape's error is %v, want the cause", name, err)
		}
		for _, f := range families {
			for _, s := range storeNames() {
				if f.GetName() == s && name == "stats" {
					t.Errorf("%s was exposed without the store having been read", s)
				}
			}
		}
	}
}

func TestWatchStore_AScrapeWaitsFiveSecondsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := fresh(t)
		v := &view{wait: scrapeTimeout - 1}
		m.WatchStore(v)
		if _, err := reg.Gather(); err != nil {
			t.Errorf("a store that answers in time: %v", err)
		}
		v.wait = time.Hour
		began := time.Now()
		_, err := reg.Gather()
		if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
			t.Errorf("a store that hangs: %v, want a deadline", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the scrape took %s, want 5s", took)
		}
	})
}

func TestWatchStore_PanicsWhenCalledTwice(t *testing.T) {
	m, _ := fresh(t)
	m.WatchStore(&view{})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	m.WatchStore(&view{})
}
