package metrics

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantpurge/purger/store"
)

func run(result string, finished time.Time) store.Run {
	return store.Run{Trigger: "schedule", Result: result, FinishedAt: store.Timestamp{Time: finished}}
}

// lastSuccess fails unless the last success was at the time.
func lastSuccess(t *testing.T, reg prometheus.Gatherer, want string) {
	t.Helper()
	text := "# HELP purger_last_success_timestamp_seconds When the last pass ended that did all that was due, 0 when none is remembered; a retry takes nothing new, and does not count.\n" +
		"# TYPE purger_last_success_timestamp_seconds gauge\npurger_last_success_timestamp_seconds " + want + "\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "purger_last_success_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}

func TestLastPasses_SurviveARestart(t *testing.T) {
	m, reg := fresh(t)
	m.WatchStore(&view{runs: []store.Run{ // the newest first
		run("halted", start.Add(3*time.Hour)),
		run("of a later version", start.Add(2*time.Hour)),
		run("ok", start.Add(time.Hour)),
		run("ok", start),
	}})
	want := `
# HELP purger_last_run_timestamp_seconds When the last pass ended with the result, 0 when none is remembered.
# TYPE purger_last_run_timestamp_seconds gauge
purger_last_run_timestamp_seconds{result="error"} 0
purger_last_run_timestamp_seconds{result="halted"} 1.7723772e+09
purger_last_run_timestamp_seconds{result="import"} 0
purger_last_run_timestamp_seconds{result="interrupted"} 0
purger_last_run_timestamp_seconds{result="ok"} 1.77237e+09
purger_last_run_timestamp_seconds{result="other"} 1.7723736e+09
purger_last_run_timestamp_seconds{result="partial"} 0
purger_last_run_timestamp_seconds{result="paused"} 0
purger_last_run_timestamp_seconds{result="space"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "purger_last_run_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	lastSuccess(t, reg, "1.77237e+09")
}

func TestLastPasses_WhatThisProcessDidIsNewerThanTheStore(t *testing.T) {
	m, reg := fresh(t)
	m.RunFinished("startup", "ok", start, start.Add(time.Hour))
	m.WatchStore(&view{runs: []store.Run{run("ok", start)}})
	lastSuccess(t, reg, "1.77237e+09")
	m.RunFinished("startup", "ok", start, start.Add(2*time.Hour))
	lastSuccess(t, reg, "1.7723736e+09")
}

func TestLastPasses_OnlyAPassThatDidEverythingIsASuccess(t *testing.T) {
	m, reg := fresh(t)
	m.RunFinished("schedule", "ok", start, start)
	for _, r := range results() {
		if r != "ok" {
			m.RunFinished("schedule", r, start, start.Add(time.Hour))
		}
	}
	lastSuccess(t, reg, "1.7723664e+09")
}

// A retry takes nothing that has come due. If it counted, PurgerRunStale would
// not fire as long as one tenant fails now and then.
func TestLastPasses_ARetryIsNoSuccess(t *testing.T) {
	m, reg := fresh(t)
	m.RunFinished("schedule", "ok", start, start)
	m.RunFinished("retry", "ok", start, start.Add(time.Hour))
	lastSuccess(t, reg, "1.7723664e+09")

	m, reg = fresh(t) // the next process
	retried := run("ok", start.Add(time.Hour))
	retried.Trigger = "retry"
	m.WatchStore(&view{runs: []store.Run{retried, run("ok", start)}})
	lastSuccess(t, reg, "1.7723664e+09")
}

func TestLastPasses_TheStoreIsReadOnceAndAgainAfterAnError(t *testing.T) {
	m, reg := fresh(t)
	v := &view{runs: []store.Run{run("ok", start)}, runsErr: errors.New("not now")}
	m.WatchStore(v)
	if _, err := reg.Gather(); err == nil {
		t.Error("the first scrape did not tell the error")
	}
	v.runsErr = nil
	for range 3 {
		lastSuccess(t, reg, "1.7723664e+09")
	}
	if v.runCalls != 2 {
		t.Errorf("the passes were read %d times, want 2: once in vain", v.runCalls)
	}
}
