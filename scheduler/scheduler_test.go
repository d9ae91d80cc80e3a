package scheduler

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestSetSchedule_TakesEffectAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, stop := start(t, Options{Runner: r, Schedule: mustParse(t, "0 12 * * *")})
		advance(10 * time.Second)
		s.SetSchedule(mustParse(t, "@every 20s")) // sooner, and sooner than a heartbeat
		if want := bubbleStart.Add(30 * time.Second); !s.Status().NextRun.Equal(want) {
			t.Errorf("next run %v; want %v", s.Status().NextRun, want)
		}
		advance(20*time.Second - 1)
		wantRuns(t, r)
		advance(1)
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(30 * time.Second)})
		s.SetSchedule(mustParse(t, "0 1 * * *")) // later
		advance(59*time.Minute + 30*time.Second - 1)
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(30 * time.Second)})
		advance(1)
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(30 * time.Second)},
			run{purge.TriggerSchedule, bubbleStart.Add(time.Hour)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSetSchedule_TheSameAgainDoesNotPutTheRunOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, stop := start(t, Options{Runner: r, Schedule: mustParse(t, "@every 1h")})
		for range 4 {
			advance(15 * time.Minute)
			s.SetSchedule(mustParse(t, "@every 1h"))
		}
		synctest.Wait()
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(time.Hour)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSetSchedule_DoesNotLoseARunOfTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, step, stop := stepped(t, Options{Runner: r, Schedule: mustParse(t, "0 1 * * *")})
		step(2 * time.Hour) // 01:00 was slept through, and no beat has come
		s.SetSchedule(mustParse(t, "0 12 * * *"))
		synctest.Wait()
		wantRuns(t, r, run{purge.TriggerCatchUp, bubbleStart})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSetSchedule_BeforeRunIsTheOneThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := newScheduler(t, Options{Runner: r, Schedule: mustParse(t, "* * * * *")})
		s.SetSchedule(mustParse(t, "*/2 * * * *"))
		stop := launch(t, s)
		advance(2 * time.Minute)
		wantRuns(t, r, run{purge.TriggerSchedule, bubbleStart.Add(2 * time.Minute)})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSetSchedule_NilChangesNothingAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		s, stop := start(t, Options{Schedule: mustParse(t, "@daily"), Logger: zap.New(core)})
		before := s.Status()
		s.SetSchedule(nil)
		if after := s.Status(); after != before || logs.Len() != 1 {
			t.Errorf("%+v, then %+v; %d log lines", before, after, logs.Len())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStatus_ShowsThePassThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, release := held()
		s := newScheduler(t, Options{Runner: r, Schedule: mustParse(t, "CRON_TZ=Europe/Berlin 0 3 * * *")})
		if st, want := s.Status(), (Status{Schedule: "CRON_TZ=Europe/Berlin 0 3 * * *"}); st != want {
			t.Errorf("before Run: %+v", st)
		}
		stop := launch(t, s)
		advance(time.Second)
		s.Trigger(purge.TriggerSignal)
		advance(time.Second)
		st := s.Status()
		began := bubbleStart.Add(time.Second)
		if !st.Running || st.Trigger != purge.TriggerSignal || !st.Since.Equal(began) || !st.NextRun.Equal(bubbleStart.Add(2*time.Hour)) {
			t.Errorf("while it runs: %+v", st)
		}
		release <- struct{}{}
		synctest.Wait()
		if st := s.Status(); st.Running || st.Trigger != "" || !st.Since.IsZero() {
			t.Errorf("after the pass: %+v", st)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStatus_LastBeatAdvancesWithTheLoopAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The loop is stuck here, as in a store that does not answer.
		answer := make(chan struct{})
		stuck := statsFunc(func(context.Context, time.Time) (store.Stats, error) {
			<-answer
			return store.Stats{}, nil
		})
		r := slowToEnd(150*time.Second, nil)
		s, stop := start(t, Options{Runner: r, Store: stuck, DrainTimeout: time.Hour, Schedule: mustParse(t, "@yearly")})
		beat := func() time.Duration { return s.Status().LastBeat.Sub(bubbleStart) }
		for range 5 {
			advance(time.Minute)
			s.Trigger(purge.TriggerSignal)
			s.SetSchedule(mustParse(t, "@monthly"))
			if got := beat(); got != 0 {
				t.Fatalf("a stuck loop showed life at %v", got)
			}
		}
		close(answer)
		synctest.Wait()
		if got := beat(); got != 5*time.Minute {
			t.Errorf("after it came loose: last beat at %v", got)
		}
		// A pass runs now, for long.
		advance(time.Minute - 1)
		if got := beat(); got != 5*time.Minute {
			t.Errorf("before the next beat: %v", got)
		}
		advance(1)
		if got := beat(); got != 6*time.Minute || !s.Status().Running {
			t.Errorf("at the next beat: %v", got)
		}
		// The drain is alive too.
		advance(30 * time.Second)
		drained := make(chan error, 1)
		go func() { drained <- stop() }()
		advance(2 * time.Minute)
		if got, want := beat(), 8*time.Minute+30*time.Second; got != want {
			t.Errorf("during the drain: %v; want %v", got, want)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		advance(time.Hour)
		if got, want := beat(), 8*time.Minute+30*time.Second; got != want {
			t.Errorf("after the end: %v; want %v", got, want)
		}
	})
}

func TestStatus_LastBeatStaysRightWhenTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, step, stop := stepped(t, Options{Schedule: mustParse(t, "@yearly")})
		step(-1000 * time.Hour)
		advance(time.Minute)
		if got := time.Since(s.Status().LastBeat); got != 0 {
			t.Errorf("the loop has not moved for %v", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestWall_HasNoMonotonicReading(t *testing.T) {
	// With one on both sides, times are compared by the clock that stands still
	// while the machine sleeps and knows nothing of a clock that was set.
	if s := newScheduler(t, Options{}); strings.Contains(s.wall().String(), " m=") {
		t.Error(s.wall())
	}
}

func TestNextRun_IsInTheLogAndTheMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		reg := prometheus.NewPedanticRegistry()
		check := func(want time.Time) {
			t.Helper()
			var seconds int64
			if !want.IsZero() {
				seconds = want.Unix()
			}
			if err := testutil.GatherAndCompare(reg, strings.NewReader(fmt.Sprintf(`
				# HELP purger_next_run_timestamp_seconds When the schedule begins the next pass, 0 when it never does.
				# TYPE purger_next_run_timestamp_seconds gauge
				purger_next_run_timestamp_seconds %d
			`, seconds)), "purger_next_run_timestamp_seconds"); err != nil {
				t.Error(err)
			}
		}
		s, stop := start(t, Options{Schedule: mustParse(t, "*/5 * * * *"), Logger: zap.New(core), Metrics: metrics.New(reg, metrics.Build{})})
		check(bubbleStart.Add(5 * time.Minute))
		advance(5 * time.Minute)
		check(bubbleStart.Add(10 * time.Minute))
		s.SetSchedule(mustParse(t, "@daily"))
		check(bubbleStart.Add(24 * time.Hour))
		var told []string
		for _, l := range logs.FilterMessage("next scheduled run").All() {
			told = append(told, fmt.Sprint(l.ContextMap()["schedule"], " ", l.ContextMap()["next_run"].(time.Time).Format(time.RFC3339)))
		}
		if got, want := strings.Join(told, "; "), "*/5 * * * * 2000-01-01T00:05:00Z; @daily 2000-01-02T00:00:00Z"; got != want {
			t.Errorf("logged %q; want %q", got, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		check(time.Time{})
	})
}
