package scheduler

import (
	"context"
	"errors"
	"slices"
	"sync"
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

// attempts is a Store in which something becomes resumable at some instants.
type attempts struct {
	statsFunc
	err error

	mu    sync.Mutex
	at    []time.Time
	gates store.Gates
}

// newAttempts returns one in which nothing is due.
func newAttempts(at ...time.Time) *attempts {
	return &attempts{at: at, statsFunc: func(context.Context, time.Time) (store.Stats, error) { return store.Stats{}, nil }}
}

func (a *attempts) NextAttempt(_ context.Context, after time.Time) (time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var next time.Time
	for _, at := range a.at {
		if at.After(after) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, a.err
}

func (a *attempts) Gates(context.Context) (store.Gates, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gates, nil
}

// set replaces the instants.
func (a *attempts) set(at ...time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = at
}

// stop sets the gates.
func (a *attempts) stop(g store.Gates) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gates = g
}

// resolved makes every pass resume what has come.
func (a *attempts) resolved() *recorder {
	return &recorder{during: func(context.Context, int) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.at = slices.DeleteFunc(a.at, func(at time.Time) bool { return !at.After(time.Now()) })
		return nil
	}}
}

// rare is a schedule that has no run while a test lasts.
const rare = "0 0 29 2 *" // two months after the beginning of a bubble

func TestRetry_BeginsAtTheInstantAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := bubbleStart.Add(90*time.Second), bubbleStart.Add(50*time.Hour)
		a := newAttempts(second, first)
		r := a.resolved()
		s, stop := start(t, Options{Runner: r, Store: a, Schedule: mustParse(t, rare)})
		if got := s.Status().NextRetry; !got.Equal(first) {
			t.Errorf("next retry %v; want %v", got, first)
		}
		advance(90*time.Second - 1)
		wantRuns(t, r)
		advance(1)
		wantRuns(t, r, run{purge.TriggerRetry, first})
		if got := s.Status().NextRetry; !got.Equal(second) {
			t.Errorf("next retry %v; want %v", got, second)
		}
		advance(time.Until(second) - 1)
		wantRuns(t, r, run{purge.TriggerRetry, first})
		advance(1)
		wantRuns(t, r, run{purge.TriggerRetry, first}, run{purge.TriggerRetry, second})
		if st := s.Status(); !st.NextRetry.IsZero() || !st.NextRun.Equal(time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("afterwards %+v", st)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRetry_IsOnePassWithARunOfTheScheduleAtTheSameInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(bubbleStart.Add(5 * time.Minute))
		r := a.resolved()
		_, stop := start(t, Options{Runner: r, Store: a, Schedule: mustParse(t, "*/5 * * * *")})
		advance(9 * time.Minute)
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(5 * time.Minute)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRetry_DoesNotBeginWhileAPassRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// What the pass itself has in hand can look resumable, and is no reason.
		a := newAttempts(bubbleStart.Add(time.Minute))
		r, release := held()
		s, stop := start(t, Options{Runner: r, Store: a, Schedule: mustParse(t, rare)})
		s.Trigger(purge.TriggerSignal)
		advance(time.Hour)
		if !s.Status().NextRetry.IsZero() {
			t.Errorf("while a pass runs: %+v", s.Status())
		}
		a.set()
		release <- struct{}{}
		synctest.Wait()
		wantRuns(t, r, run{purge.TriggerSignal, bubbleStart})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRetry_GivesWayToATriggerThatWantsAllThatIsDue(t *testing.T) {
	for _, tc := range []struct{ first, second, want purge.Trigger }{
		{purge.TriggerRetry, purge.TriggerRun, purge.TriggerRun},
		{purge.TriggerRetry, purge.TriggerRetry, purge.TriggerRetry},
		{purge.TriggerRun, purge.TriggerRetry, purge.TriggerRun},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s := newScheduler(t, Options{Runner: r})
			first, second := s.Trigger(tc.first), s.Trigger(tc.second)
			stop := launch(t, s)
			wantRuns(t, r, run{tc.want, bubbleStart})
			if first != second {
				t.Error("they have not one ticket")
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRetry_IsFoundWithinAHeartbeatAndAtOnceWhenWoken(t *testing.T) {
	for _, woken := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := newAttempts()
			r := a.resolved()
			s, stop := start(t, Options{Runner: r, Store: a, Schedule: mustParse(t, rare)})
			advance(30 * time.Second)
			a.set(time.Now()) // a person retries
			want := time.Now().UTC()
			if woken {
				s.Wake()
			} else {
				want = bubbleStart.Add(time.Minute)
				advance(30*time.Second - 1)
				wantRuns(t, r)
				advance(1)
			}
			synctest.Wait()
			wantRuns(t, r, run{purge.TriggerRetry, want})
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRetry_ComesWithinAHeartbeatOfAClockThatJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(bubbleStart.Add(6 * time.Hour))
		r := &recorder{during: func(context.Context, int) error { a.set(); return nil }}
		_, step, stop := stepped(t, Options{Runner: r, Store: a, Schedule: mustParse(t, rare)})
		step(7 * time.Hour)
		advance(time.Minute - 1)
		wantRuns(t, r)
		advance(1)
		wantRuns(t, r, run{purge.TriggerRetry, bubbleStart.Add(time.Minute)})
		// And after one that was set back, what comes then is not passed over.
		step(-24 * time.Hour)
		a.set(bubbleStart.Add(-16 * time.Hour)) // in an hour, on the wall
		advance(59*time.Minute - 1)
		wantRuns(t, r, run{purge.TriggerRetry, bubbleStart.Add(time.Minute)})
		advance(time.Minute)
		if got := r.seen(); len(got) != 2 || got[1] != (run{purge.TriggerRetry, bubbleStart.Add(time.Hour)}) {
			t.Errorf("passes %v", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestRetry_WhatAPassCannotResumeDoesNotSpin has something resumable that stays
// so whatever a pass does, as a record that cannot be written.
func TestRetry_WhatAPassCannotResumeDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due := bubbleStart.Add(time.Minute)
		later := bubbleStart.Add(10*time.Hour + 17*time.Second)
		a := newAttempts(due, later)
		r := &recorder{}
		_, stop := start(t, Options{Runner: r, Store: a, Schedule: mustParse(t, rare)})
		advance(24 * time.Hour)
		var pauses []time.Duration
		at := []time.Time{}
		for i, v := range r.seen() {
			at = append(at, v.At)
			if i > 0 {
				pauses = append(pauses, v.At.Sub(r.seen()[i-1].At))
			}
		}
		m := time.Minute
		if want := []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, time.Hour, time.Hour}; !slices.Equal(pauses[:len(want)], want) {
			t.Errorf("pauses %v; want %v", pauses, want)
		}
		if n := len(pauses); n > 32 {
			t.Errorf("%d passes in a day", n)
		}
		// What else comes is not held up by it.
		if !slices.ContainsFunc(at, later.Equal) {
			t.Errorf("no pass at %v: %v", later, at)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRetry_ClosedGatesAreNotRunInto(t *testing.T) {
	until := store.Timestamp{Time: bubbleStart.Add(3 * time.Hour)}
	halt := &store.Halt{Limit: "limits.perPass"}
	for name, tc := range map[string]struct {
		gates store.Gates
		want  time.Time // zero: never
	}{
		"paused":               {store.Gates{Pause: &store.Pause{Reason: "freeze"}}, time.Time{}},
		"paused with an end":   {store.Gates{Pause: &store.Pause{Reason: "freeze", Until: until}}, until.Time},
		"halted":               {store.Gates{Halt: halt}, time.Time{}},
		"a full disk":          {store.Gates{Space: &store.Space{Dir: "/data", Want: 1}}, time.Time{}},
		"halted and paused":    {store.Gates{Halt: halt, Pause: &store.Pause{Reason: "freeze", Until: until}}, time.Time{}},
		"an import, which":     {store.Gates{Import: &store.Import{Digest: "d"}}, bubbleStart.Add(time.Minute)},
		"a pause that is over": {store.Gates{Pause: &store.Pause{Reason: "freeze", Until: store.Timestamp{Time: bubbleStart}}}, bubbleStart.Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAttempts(bubbleStart.Add(time.Minute))
				a.stop(tc.gates)
				r := a.resolved()
				s, stop := start(t, Options{Runner: r, Store: a, Schedule: mustParse(t, rare)})
				if got := s.Status().NextRetry; !got.Equal(tc.want) {
					t.Errorf("next retry %v; want %v", got, tc.want)
				}
				if tc.want.IsZero() {
					advance(30 * 24 * time.Hour)
					wantRuns(t, r)
					a.stop(store.Gates{}) // a person opens it
					s.Wake()
					synctest.Wait()
					wantRuns(t, r, run{purge.TriggerRetry, bubbleStart.AddDate(0, 0, 30)})
				} else {
					advance(time.Until(tc.want) - 1)
					wantRuns(t, r)
					advance(1)
					wantRuns(t, r, run{purge.TriggerRetry, tc.want})
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestRetry_APassThatAGateEndedTriedNothing has scheduled passes run into a
// pause: what is resumable is resumed as soon as the pause is lifted.
func TestRetry_APassThatAGateEndedTriedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(bubbleStart.Add(time.Minute))
		a.stop(store.Gates{Pause: &store.Pause{Reason: "freeze"}})
		var paused atomic.Bool
		paused.Store(true)
		var retried time.Time
		engine := runnerFunc(func(_ context.Context, trigger purge.Trigger) (purge.Report, error) {
			if paused.Load() {
				return purge.Report{Result: purge.ResultPaused}, nil
			}
			if trigger == purge.TriggerRetry {
				a.set()
				retried = time.Now()
			}
			return purge.Report{Result: purge.ResultOK}, nil
		})
		s, stop := start(t, Options{Runner: engine, Store: a, Schedule: mustParse(t, "*/5 * * * *")})
		advance(10*time.Minute + 30*time.Second)
		a.stop(store.Gates{})
		paused.Store(false)
		s.Wake()
		synctest.Wait()
		if want := bubbleStart.Add(10*time.Minute + 30*time.Second); !retried.Equal(want) {
			t.Errorf("resumed at %v; want %v", retried, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRetry_AStoreThatDoesNotTell(t *testing.T) {
	t.Run("a defect is logged, and the schedule goes on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			core, logs := observer.New(zap.ErrorLevel)
			r := &recorder{}
			a := newAttempts()
			a.err = store.Errorf(store.Internal, "an entry is damaged")
			_, stop := start(t, Options{Runner: r, Store: a, Logger: zap.New(core), Schedule: mustParse(t, "@hourly")})
			advance(time.Hour)
			wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(time.Hour)})
			if n := logs.Len(); n == 0 || n > 62 { // one a heartbeat
				t.Errorf("%d log lines in an hour", n)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("a failure of the store ends Run", func(t *testing.T) {
		a := newAttempts()
		a.err = store.Errorf(store.Unavailable, "closed")
		s := newScheduler(t, Options{Store: a})
		if err := s.Run(t.Context()); !errors.Is(err, a.err) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestRetries_PauseGrowsToAnHour(t *testing.T) {
	var got []time.Duration
	for _, vain := range []int{0, 1, 5, 6, 1 << 30} {
		got = append(got, (&retries{vain: vain}).pause(time.Minute))
	}
	want := []time.Duration{time.Minute, 2 * time.Minute, 32 * time.Minute, time.Hour, time.Hour}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
