package scheduler

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// held is a recorder whose passes last until they are released.
func held() (r *recorder, release chan struct{}) {
	release = make(chan struct{})
	return &recorder{during: func(ctx context.Context, _ int) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}, release
}

func TestTrigger_CoalescesIntoOnePassThatBeginsAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, release := held()
		s, stop := start(t, Options{Runner: r})
		first := s.Trigger(purge.TriggerSignal)
		synctest.Wait()
		// While the first pass runs: what it has passed by already, a later
		// trigger may be about.
		second, third := s.Trigger(purge.TriggerAPI), s.Trigger(purge.TriggerSignal)
		advance(time.Minute)
		wantRuns(t, r, run{purge.TriggerSignal, bubbleStart})
		release <- struct{}{}
		synctest.Wait()
		wantRuns(t, r, run{purge.TriggerSignal, bubbleStart}, run{purge.TriggerAPI, bubbleStart.Add(time.Minute)})
		fourth := s.Trigger(purge.TriggerRun)
		release <- struct{}{}
		synctest.Wait()
		release <- struct{}{}
		for i, tc := range []struct {
			ticket *Ticket
			id     string
		}{{first, "1"}, {second, "2"}, {third, "2"}, {fourth, "3"}} {
			if report, err := tc.ticket.Wait(t.Context()); err != nil || report.ID != tc.id {
				t.Errorf("ticket %d: pass %q, %v; want pass %s", i+1, report.ID, err, tc.id)
			}
		}
		advance(time.Minute)
		if len(r.seen()) != 3 {
			t.Errorf("%d passes for four triggers; want 3", len(r.seen()))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTrigger_TheScheduleTooWaitsAtMostOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, release := held()
		s, stop := start(t, Options{Runner: r, Schedule: mustParse(t, "*/5 * * * *")})
		advance(31 * time.Minute) // the pass of 00:05 runs, five more have come
		if st := s.Status(); len(r.seen()) != 1 || !st.NextRun.Equal(bubbleStart.Add(35*time.Minute)) {
			t.Errorf("%d passes, next run %v", len(r.seen()), st.NextRun)
		}
		release <- struct{}{}
		synctest.Wait()
		release <- struct{}{}
		synctest.Wait()
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(5 * time.Minute)},
			run{purge.TriggerSchedule, bubbleStart.Add(31 * time.Minute)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTrigger_BeforeRunIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := newScheduler(t, Options{Runner: r, Store: statsFunc(func(context.Context, time.Time) (store.Stats, error) {
			return store.Stats{Due: 1}, nil
		})})
		ticket := s.Trigger(purge.TriggerSignal)
		stop := launch(t, s)
		// The pass at start-up is the same one.
		wantRuns(t, r, run{purge.TriggerSignal, bubbleStart})
		if report, err := ticket.Wait(t.Context()); err != nil || report.ID != "1" {
			t.Errorf("%v, %v", report, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTrigger_AfterTheEndIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, Options{})
		if err := stop(); err != nil {
			t.Error(err)
		}
		_, err := s.Trigger(purge.TriggerAPI).Wait(t.Context())
		if !errors.Is(err, ErrStopped) || store.CodeOf(err) != store.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}

func TestWait_EndsWithItsOwnContextAndNotThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, release := held()
		s, stop := start(t, Options{Runner: r})
		ticket := s.Trigger(purge.TriggerAPI)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ticket.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		release <- struct{}{}
		synctest.Wait()
		// What is known already is told even so.
		if report, err := ticket.Wait(ctx); err != nil || report.ID != "1" {
			t.Errorf("%v, %v", report, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestTrigger_UnderLoad looks for overlap, for tickets of passes that began too
// early, and for races.
func TestTrigger_UnderLoad(t *testing.T) {
	var running, began atomic.Int64
	runner := runnerFunc(func(context.Context, purge.Trigger) (purge.Report, error) {
		if running.Add(1) != 1 {
			t.Error("passes overlap")
		}
		defer running.Add(-1)
		return purge.Report{Omitted: began.Add(1)}, nil // Omitted carries the number of the pass
	})
	s := newScheduler(t, Options{Runner: runner})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				before := began.Load()
				report, err := s.Trigger(purge.TriggerAPI).Wait(ctx)
				if err != nil || report.Omitted <= before {
					t.Errorf("pass %d after pass %d had begun: %v", report.Omitted, before, err)
				}
				s.SetSchedule(mustParse(t, "*/7 * * * *"))
				s.Status()
			}
		})
	}
	wg.Wait()
	if n := began.Load(); n > 1600 {
		t.Errorf("%d passes for 1600 triggers", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
