package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// slowToEnd is a recorder whose passes go on for d after their context ended,
// and then return err.
func slowToEnd(d time.Duration, err error) *recorder {
	return &recorder{during: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		<-time.After(d)
		return err
	}}
}

func TestDrain_WaitsForTheRunningPassAndStopsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := slowToEnd(DefaultDrainTimeout-1, nil)
		s, stop := start(t, Options{Runner: r})
		running := s.Trigger(purge.TriggerSignal)
		synctest.Wait()
		waiting := s.Trigger(purge.TriggerAPI)
		drained := make(chan error, 1)
		go func() { drained <- stop() }()
		synctest.Wait()
		// What waits is told at once, not after the drain.
		if _, err := waiting.Wait(t.Context()); !errors.Is(err, ErrStopped) || !time.Now().Equal(bubbleStart) {
			t.Errorf("what waited: %v at %v", err, time.Now())
		}
		if _, err := s.Trigger(purge.TriggerAPI).Wait(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("a trigger during the drain: %v", err)
		}
		if st := s.Status(); !st.Running || !st.NextRun.IsZero() {
			t.Errorf("during the drain: %+v", st)
		}
		if err := <-drained; err != nil {
			t.Errorf("Run = %v", err)
		}
		if got := time.Since(bubbleStart); got != DefaultDrainTimeout-1 {
			t.Errorf("drained after %v", got)
		}
		if report, err := running.Wait(t.Context()); err != nil || report.ID != "1" {
			t.Errorf("what ran: %v, %v", report, err)
		}
		wantRuns(t, r, run{purge.TriggerSignal, bubbleStart})
	})
}

func TestDrain_GivesUpExactlyAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := slowToEnd(time.Minute, nil)
		s, stop := start(t, Options{Runner: r, DrainTimeout: 10 * time.Second})
		ticket := s.Trigger(purge.TriggerSignal)
		synctest.Wait()
		err := stop()
		const want = "stop: the running pass did not end in time: 10s after its context ended; what is left is resumed by a later pass"
		if !errors.Is(err, ErrDrainTimeout) || err.Error() != want {
			t.Errorf("Run = %v; want %s", err, want)
		}
		if got := time.Since(bubbleStart); got != 10*time.Second {
			t.Errorf("gave up after %v", got)
		}
		if !s.Status().Running {
			t.Error("the pass that still runs is not shown")
		}
		// The pass ends later, its ticket with it, and no goroutine stays behind.
		if report, err := ticket.Wait(t.Context()); err != nil || report.ID != "1" {
			t.Errorf("its ticket: %v, %v", report, err)
		}
		if got := time.Since(bubbleStart); got != time.Minute {
			t.Errorf("the pass ended after %v", got)
		}
		if s.Status().Running {
			t.Error("the pass that has ended is shown as running")
		}
	})
}

func TestDrain_AnInterruptedPassIsNoErrorAndAFailedStoreIs(t *testing.T) {
	broken := store.Errorf(store.Unavailable, "disk full")
	for _, tc := range []struct{ pass, want error }{
		{nil, nil},
		{context.Canceled, nil},
		{store.Errorf(store.Unavailable, "withdrawn: %w", context.Canceled), nil},
		{broken, broken},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, stop := start(t, Options{Runner: slowToEnd(0, tc.pass)})
			ticket := s.Trigger(purge.TriggerSignal)
			synctest.Wait()
			if err := stop(); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("pass %v: Run = %v", tc.pass, err)
			}
			if _, err := ticket.Wait(t.Context()); !errors.Is(err, tc.pass) {
				t.Errorf("pass %v: ticket %v", tc.pass, err)
			}
		})
	}
}

func TestDrain_WithNothingRunningEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, stop := start(t, Options{})
		advance(time.Second)
		if err := stop(); err != nil || time.Since(bubbleStart) != time.Second {
			t.Errorf("%v after %v", err, time.Since(bubbleStart))
		}
	})
}
