package purge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
)

// pushing is a directory that tells of changes.
type pushing struct {
	*directory
	push chan struct{}
	err  error
}

func (p *pushing) Watch(ctx context.Context, changed func()) error {
	if p.err != nil {
		return p.err
	}
	changed()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.push:
			changed()
		}
	}
}

// running runs a syncer until the end of the test.
func running(t *testing.T, s *purge.Syncer, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx, every)
	}()
	return func() {
		cancel()
		<-done
	}
}

// listings returns how many snapshots were taken so far.
func (d *directory) listings() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lists
}

func wantListings(t *testing.T, d *directory, want int) {
	t.Helper()
	synctest.Wait()
	if got := d.listings(); got != want {
		t.Errorf("%d snapshots were taken; want %d", got, want)
	}
}

func TestSyncerRun_SyncsAtOnceAndThenExactlyOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		d.set(on("a", ""))
		stop := running(t, newSyncer(t, newStore(t), d), time.Minute)
		wantListings(t, d, 1)
		time.Sleep(time.Minute - time.Nanosecond)
		wantListings(t, d, 1)
		time.Sleep(time.Nanosecond)
		wantListings(t, d, 2)
		time.Sleep(10 * time.Minute)
		wantListings(t, d, 12)
		stop()
		time.Sleep(10 * time.Minute)
		wantListings(t, d, 12)
	})
}

func TestSyncerRun_GoesOnAfterAnErrorAndASlowOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		d.set(on("a", ""))
		d.list = func(int) error { return errSourceDown }
		sy := newSyncer(t, newStore(t), d)
		stop := running(t, sy, time.Minute)
		defer stop()
		wantListings(t, d, 1)
		d.mu.Lock()
		d.list = func(n int) error {
			if n == 0 {
				time.Sleep(90 * time.Second) // longer than every
			}
			return nil
		}
		d.mu.Unlock()
		time.Sleep(time.Minute)
		wantListings(t, d, 2)
		time.Sleep(3*time.Minute - time.Nanosecond) // 90 s to read it, and as long to rest
		wantListings(t, d, 2)
		if sourceState(t, sy).LastGood == nil {
			t.Error("no good sync")
		}
		time.Sleep(time.Nanosecond)
		wantListings(t, d, 3)
		time.Sleep(90 * time.Second)
	})
}

// The alerts on a source are relative to its schedule, and know when the last
// sync failed, also after a restart.
func TestSyncerRun_TheMetricsTellTheScheduleAndTheLastSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, d := newStore(t), &directory{}
		d.set(on("a", ""))
		begin := func() (*prometheus.Registry, func()) {
			reg := prometheus.NewPedanticRegistry()
			sy := newSyncer(t, st, d, func(o *purge.SyncOptions) { o.Metrics = metrics.New(reg, metrics.Build{}) })
			return reg, running(t, sy, 90*time.Minute)
		}
		want := func(reg *prometheus.Registry, interval, failed int) {
			t.Helper()
			synctest.Wait()
			if err := testutil.GatherAndCompare(reg, strings.NewReader(fmt.Sprintf(`
				# HELP purger_source_sync_failed Whether the last sync failed (1) or not (0).
				# TYPE purger_source_sync_failed gauge
				purger_source_sync_failed %d
				# HELP purger_source_sync_interval_seconds How long after the beginning of a sync the next one begins, 0 without a schedule or a source.
				# TYPE purger_source_sync_interval_seconds gauge
				purger_source_sync_interval_seconds %d
			`, failed, interval)), "purger_source_sync_failed", "purger_source_sync_interval_seconds"); err != nil {
				t.Error(err)
			}
		}
		fail := func(err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.list = func(int) error { return err }
		}
		without := prometheus.NewPedanticRegistry()
		metrics.New(without, metrics.Build{})
		want(without, 0, 0)

		reg, stop := begin()
		want(reg, 5400, 0)
		fail(errSourceDown)
		time.Sleep(90 * time.Minute)
		want(reg, 5400, 1)
		stop()

		d.mu.Lock()
		d.list = func(int) error { time.Sleep(time.Minute); return nil }
		d.mu.Unlock()
		reg, stop = begin()
		defer stop()
		want(reg, 5400, 1) // the first sync of this process is under way
		time.Sleep(2 * time.Minute)
		want(reg, 5400, 0)
	})
}

func TestSyncerRun_ChangesThatASourceTellsOfShareASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pushing{directory: &directory{}, push: make(chan struct{})}
		d.set(on("a", ""))
		stop := running(t, newSyncer(t, newStore(t), d), time.Hour)
		defer stop()
		time.Sleep(time.Second)
		wantListings(t, d.directory, 2) // it began to watch, which may have been later
		time.Sleep(10 * time.Minute)
		wantListings(t, d.directory, 2)
		for range 100 {
			d.push <- struct{}{}
		}
		wantListings(t, d.directory, 3)
		time.Sleep(time.Second - time.Nanosecond)
		wantListings(t, d.directory, 3)
		time.Sleep(time.Nanosecond)
		wantListings(t, d.directory, 4) // one that stands for all that came meanwhile
		time.Sleep(10 * time.Minute)
		wantListings(t, d.directory, 4)
		time.Sleep(time.Hour)
		wantListings(t, d.directory, 5) // the schedule, for what was not told
	})
}

func TestSyncerRun_AWatcherThatGivesUpLeavesTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pushing{directory: &directory{}, err: errors.New("no rights")}
		d.set(on("a", ""))
		core, logs := observer.New(zapcore.ErrorLevel)
		stop := running(t, newSyncer(t, newStore(t), d, func(o *purge.SyncOptions) { o.Logger = zap.New(core) }), time.Minute)
		defer stop()
		time.Sleep(3 * time.Minute)
		wantListings(t, d.directory, 4)
		if logs.Len() != 1 {
			t.Errorf("log %+v", logs.All())
		}
	})
}

func TestSyncerRun_WithoutAScheduleItWaitsForTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pushing{directory: &directory{}, push: make(chan struct{})}
		d.set(on("a", ""))
		stop := running(t, newSyncer(t, newStore(t), d), 0)
		defer stop()
		time.Sleep(48 * time.Hour)
		wantListings(t, d.directory, 2)
		d.push <- struct{}{}
		wantListings(t, d.directory, 3)
	})
}

var _ purge.Watcher = (*pushing)(nil)
