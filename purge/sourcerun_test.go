package purge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

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
