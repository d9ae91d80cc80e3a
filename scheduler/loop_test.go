package scheduler

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// wantRuns compares the passes so far.
func wantRuns(t *testing.T, r *recorder, want ...run) {
	t.Helper()
	if diff := cmp.Diff(want, r.seen()); diff != "" {
		t.Fatalf("passes (-want +got):\n%s", diff)
	}
}

func TestRun_BeginsAPassExactlyAtTheScheduledInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, stop := start(t, Options{Runner: r, Schedule: mustParse(t, "*/5 * * * *")})
		advance(5*time.Minute - 1)
		wantRuns(t, r)
		advance(1)
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(5 * time.Minute)})
		advance(5 * time.Minute)
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(5 * time.Minute)},
			run{purge.TriggerSchedule, bubbleStart.Add(10 * time.Minute)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRun_BeginsWithAPassWhenThereIsSomethingToDo(t *testing.T) {
	for _, tc := range []struct {
		why   string
		stats store.Stats
		want  []run
	}{
		{"due", store.Stats{Due: 1}, []run{{purge.TriggerStartup, bubbleStart}}},
		{"blocked when it was last looked at", store.Stats{Blocked: map[store.BlockReason]int64{store.BlockHold: 1}}, []run{{purge.TriggerStartup, bubbleStart}}},
		{"left unfinished", store.Stats{Tenants: map[store.Status]int64{store.StatusPurging: 1}}, []run{{purge.TriggerStartup, bubbleStart}}},
		{"nothing", store.Stats{
			Tenants:   map[store.Status]int64{store.StatusActive: 5, store.StatusDisabled: 2, store.StatusFailed: 1},
			NextPurge: bubbleStart.Add(1),
		}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			_, stop := start(t, Options{Runner: r, Store: statsFunc(func(_ context.Context, now time.Time) (store.Stats, error) {
				if !now.Equal(bubbleStart) {
					t.Errorf("asked for %v", now)
				}
				return tc.stats, nil
			})})
			if diff := cmp.Diff(tc.want, r.seen()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.why, diff)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRun_EndsWhenTheStoreCannotBeReadAtStartUp(t *testing.T) {
	broken := store.Errorf(store.Internal, "corrupt")
	s := newScheduler(t, Options{Store: statsFunc(func(context.Context, time.Time) (store.Stats, error) {
		return store.Stats{}, broken
	})})
	if err := s.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Run = %v", err)
	}
}

func TestRun_AStopDuringStartUpIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, stop := start(t, Options{Store: statsFunc(func(ctx context.Context, _ time.Time) (store.Stats, error) {
			<-ctx.Done()
			return store.Stats{}, ctx.Err()
		})})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRun_RunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, Options{})
		if err := s.Run(t.Context()); store.CodeOf(err) != store.Conflict {
			t.Errorf("while it runs: %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := s.Run(t.Context()); store.CodeOf(err) != store.Conflict {
			t.Errorf("after its end: %v", err)
		}
	})
}

// stepped starts a scheduler with the schedule at the start of the bubble, and
// returns a function that sets the wall clock forward by d, or back, while the
// monotonic clock, on which timers run, stays as it is: what suspend does, and
// setting the clock.
func stepped(t *testing.T, o Options) (s *Scheduler, step func(d time.Duration), stop func() error) {
	t.Helper()
	var offset atomic.Int64
	s = newScheduler(t, o)
	s.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	stop = launch(t, s)
	return s, func(d time.Duration) { offset.Add(int64(d)) }, stop
}

func TestHeartbeat_MakesUpForAMissedRunOnceAndWithinOneBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		core, logs := observer.New(zap.WarnLevel)
		s, step, stop := stepped(t, Options{Runner: r, Schedule: mustParse(t, "0 * * * *"), Logger: zap.New(core)})
		advance(30 * time.Second)
		step(7 * time.Hour) // now 07:00:30; seven runs were slept through
		advance(30*time.Second - 1)
		wantRuns(t, r)
		advance(1)
		wantRuns(t, r, run{purge.TriggerCatchUp, bubbleStart.Add(time.Minute)})
		if n := logs.FilterMessage("a scheduled run was missed; it is made up at once").Len(); n != 1 {
			t.Errorf("%d log lines about the missed run", n)
		}
		if want := bubbleStart.Add(8 * time.Hour); !s.Status().NextRun.Equal(want) {
			t.Errorf("next run %v; want %v", s.Status().NextRun, want)
		}
		advance(59*time.Minute - 1)
		wantRuns(t, r, run{purge.TriggerCatchUp, bubbleStart.Add(time.Minute)})
		advance(1) // 08:00:00 on the wall
		wantRuns(t, r, run{purge.TriggerCatchUp, bubbleStart.Add(time.Minute)},
			run{purge.TriggerSchedule, bubbleStart.Add(time.Hour)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestHeartbeat_ARunIsMissedFromOneMinuteOn(t *testing.T) {
	for _, tc := range []struct {
		late time.Duration
		want purge.Trigger
	}{{time.Minute - 1, purge.TriggerSchedule}, {time.Minute, purge.TriggerCatchUp}} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			_, step, stop := stepped(t, Options{Runner: r, Schedule: mustParse(t, "0 * * * *")})
			step(59*time.Minute + tc.late) // the first beat is at 00:01
			advance(time.Minute)
			wantRuns(t, r, run{tc.want, bubbleStart.Add(time.Minute)})
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHeartbeat_AClockThatWasSetBackDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, step, stop := stepped(t, Options{Runner: r, Schedule: mustParse(t, "*/5 * * * *")})
		advance(90 * time.Second)
		step(-24 * time.Hour)
		advance(5*time.Minute - 90*time.Second - 1)
		wantRuns(t, r)
		advance(1) // a day earlier on the wall
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(5 * time.Minute)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestHeartbeat_IsSetByTheOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, step, stop := stepped(t, Options{Runner: r, Schedule: mustParse(t, "0 * * * *"), Heartbeat: 5 * time.Second})
		step(3 * time.Hour)
		advance(5*time.Second - 1)
		wantRuns(t, r)
		advance(1)
		wantRuns(t, r, run{purge.TriggerCatchUp, bubbleStart.Add(5 * time.Second)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRun_AScheduleWithoutANextRunDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		core, logs := observer.New(zap.ErrorLevel)
		s, stop := start(t, Options{Runner: r, Schedule: fixed{bubbleStart}, Logger: zap.New(core)})
		advance(time.Hour)
		wantRuns(t, r)
		if logs.Len() != 1 || !s.Status().NextRun.IsZero() {
			t.Errorf("logged %v, next run %v", logs.All(), s.Status().NextRun)
		}
		s.Trigger(purge.TriggerSignal)
		synctest.Wait()
		wantRuns(t, r, run{purge.TriggerSignal, bubbleStart.Add(time.Hour)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
