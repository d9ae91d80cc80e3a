package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// TestMakeUp_WhatAPauseRefusedDoesNotWaitForTheSchedule has the real engine and
// the real store, a run of the schedule every hour, and pauses from the first
// minute on. Tenant "second" is due all the time.
func TestMakeUp_WhatAPauseRefusedDoesNotWaitForTheSchedule(t *testing.T) {
	at := func(d time.Duration) time.Time { return bubbleStart.Add(d) }
	for name, c := range map[string]struct {
		until, lifted time.Duration // 0: without an end, by nobody
		want          []run         // after that of the start
	}{
		"a run was refused": {until: 70 * time.Minute, want: []run{
			{purge.TriggerSchedule, at(time.Hour)}, {purge.TriggerCatchUp, at(70 * time.Minute)},
		}},
		"several were": {until: 150 * time.Minute, want: []run{
			{purge.TriggerSchedule, at(time.Hour)}, {purge.TriggerSchedule, at(2 * time.Hour)}, {purge.TriggerCatchUp, at(150 * time.Minute)},
		}},
		"none was": {until: 50 * time.Minute, want: []run{{purge.TriggerSchedule, at(time.Hour)}}},
		"the pause ends with a run": {until: 2 * time.Hour, want: []run{
			{purge.TriggerSchedule, at(time.Hour)}, {purge.TriggerSchedule, at(2 * time.Hour)},
		}},
		"a person lifts it before its end": {until: 150 * time.Minute, lifted: 100 * time.Minute, want: []run{
			{purge.TriggerSchedule, at(time.Hour)}, {purge.TriggerSchedule, at(2 * time.Hour)},
		}},
		"a person has to lift it": {lifted: 100 * time.Minute, want: []run{
			{purge.TriggerSchedule, at(time.Hour)}, {purge.TriggerSchedule, at(2 * time.Hour)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, nil, func(w *works) {
				w.SetSchedule(mustParse(t, "@every 1h"))
				change := func(c store.GateChange) {
					w.t.Helper()
					if _, err := w.st.ChangeGates(w.t.Context(), c, store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}); err != nil {
						w.t.Fatal(err)
					}
				}
				until := time.Time{}
				if c.until != 0 {
					until = at(c.until)
				}
				advance(time.Minute)
				change(store.PausePurging("freeze", until))
				if c.lifted != 0 {
					advance(time.Until(at(c.lifted)))
					change(store.ResumePurging("", 0))
				}
				last := c.want[len(c.want)-1]
				advance(time.Until(last.At) - 1)
				w.want(store.StatusDeleted, store.StatusDisabled)
				if got := w.Status().NextRun; !got.Equal(last.At) {
					w.t.Errorf("just before it the next run is at %v; want %v", got, last.At)
				}
				advance(1)
				w.want(store.StatusDeleted, store.StatusDeleted)
				advance(10*time.Minute - 1)
				if diff := cmp.Diff(c.want, w.runs.seen()[1:]); diff != "" {
					w.t.Errorf("passes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestMakeUp_ComesOnceAndBringsTheRetriesAlong has a purge that can be resumed
// when the pause ends.
func TestMakeUp_ComesOnceAndBringsTheRetriesAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := bubbleStart.Add(10 * time.Minute)
		a := newAttempts(bubbleStart.Add(time.Minute))
		a.stop(store.Gates{Pause: &store.Pause{Until: store.Timestamp{Time: end}}})
		r := a.resolved()
		runner := runnerFunc(func(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
			if time.Now().Before(end) {
				r.note(trigger)
				return purge.Report{Result: purge.ResultPaused}, nil
			}
			return r.Run(ctx, trigger)
		})
		s, stop := start(t, Options{Runner: runner, Store: a, Schedule: mustParse(t, rare)})
		s.Trigger(purge.TriggerStartup)
		advance(10*time.Minute - 1)
		wantRuns(t, r, run{purge.TriggerStartup, bubbleStart})
		advance(time.Hour)
		wantRuns(t, r, run{purge.TriggerStartup, bubbleStart}, run{purge.TriggerCatchUp, end})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestMakeUp_AStoreThatFailedEndsTheScheduler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := runnerFunc(func(context.Context, purge.Trigger) (purge.Report, error) {
			return purge.Report{Result: purge.ResultPaused}, nil
		})
		failed := store.Errorf(store.Unavailable, "no disk")
		s, stop := start(t, Options{Runner: runner, Store: gatesFail{nothingDue(), failed}})
		s.Trigger(purge.TriggerStartup)
		synctest.Wait()
		if err := stop(); !errors.Is(err, failed) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// gatesFail is a Store whose gates cannot be read.
type gatesFail struct {
	Store
	err error
}

func (g gatesFail) Gates(context.Context) (store.Gates, error) { return store.Gates{}, g.err }
