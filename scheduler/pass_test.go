package scheduler

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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

// explode is named in the stack that is logged.
func explode() { panic("boom") }

func TestRun_G11_APassThatPanicsDoesNotStopTheNext(t *testing.T) {
	for name, tc := range map[string]struct {
		how    func()
		reason string
	}{
		"panic":  {explode, "boom"},
		"Goexit": {runtime.Goexit, "runtime.Goexit was called"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{during: func(_ context.Context, n int) error {
					if n == 1 {
						<-time.After(3 * time.Second)
						tc.how()
					}
					return nil
				}}
				core, logs := observer.New(zap.ErrorLevel)
				reg := prometheus.NewPedanticRegistry()
				s, stop := start(t, Options{Runner: r, Logger: zap.New(core), Metrics: metrics.New(reg, metrics.Build{})})
				first := s.Trigger(purge.TriggerSignal)
				synctest.Wait()
				second := s.Trigger(purge.TriggerAPI)

				report, err := first.Wait(t.Context())
				want := "the purge pass panicked: " + tc.reason
				if err == nil || err.Error() != want || store.CodeOf(err) != store.Internal {
					t.Errorf("its ticket: %v; want %s", err, want)
				}
				if report.Result != purge.ResultError || report.Error != want || report.Tenants == nil ||
					!report.StartedAt.Equal(bubbleStart) || !report.FinishedAt.Equal(bubbleStart.Add(3*time.Second)) {
					t.Errorf("its report: %+v", report)
				}
				if _, err := second.Wait(t.Context()); err != nil {
					t.Errorf("the next pass: %v", err)
				}
				if s.Status().Running {
					t.Error("the pass is still said to run")
				}
				if err := testutil.GatherAndCompare(reg, strings.NewReader(`
					# HELP purger_run_in_progress Whether a pass is running (1) or not (0).
					# TYPE purger_run_in_progress gauge
					purger_run_in_progress 0
				`), "purger_run_in_progress"); err != nil {
					t.Error(err)
				}
				if got := runsTotal(t, reg, "signal", "error"); got != 1 {
					t.Errorf("runs_total{signal,error} = %v", got)
				}
				lines := logs.All()
				if len(lines) != 1 {
					t.Fatalf("logged %v", lines)
				}
				fields := lines[0].ContextMap()
				stack := fmt.Sprint(fields["stack"])
				if fields["panic"] != tc.reason || name == "panic" && !strings.Contains(stack, "scheduler.explode") {
					t.Errorf("logged %v", fields)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// runsTotal returns the value of purger_runs_total.
func runsTotal(t *testing.T, g prometheus.Gatherer, trigger, result string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "purger_runs_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["trigger"] == trigger && labels["result"] == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no purger_runs_total{trigger=%q,result=%q}", trigger, result)
	return 0
}

func TestRun_EndsWhenTheStoreFailedAndOnlyThen(t *testing.T) {
	for _, tc := range []struct {
		why  string
		err  error
		ends bool
	}{
		{"the store cannot be written", store.Errorf(store.Unavailable, "disk full"), true},
		{"a record is damaged", store.Errorf(store.Internal, "bad record"), false},
		{"wrapped", fmt.Errorf("pass: %w", store.Errorf(store.Unavailable, "closed")), true},
		{"of an unknown kind", errors.New("what?"), false},
		{"another pass runs", store.Errorf(store.Conflict, "a pass is running already"), false},
		{"a limit is reached", store.Errorf(store.Exhausted, "limits.perPass"), false},
		{"a gate is closed", &store.GateError{Gate: store.Gate{Reason: store.GatePaused}}, false},
		{"a gate is closed, wrapped", fmt.Errorf("pass: %w", &store.GateError{Gate: store.Gate{Reason: store.GateHalted}}), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{during: func(context.Context, int) error { return tc.err }}
			s := newScheduler(t, Options{Runner: r})
			ended := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { ended <- s.Run(ctx) }()
			ticket := s.Trigger(purge.TriggerAPI)
			if report, err := ticket.Wait(ctx); !errors.Is(err, tc.err) || report.ID != "1" {
				t.Errorf("%s: ticket: %v, %v", tc.why, report, err)
			}
			synctest.Wait()
			if !tc.ends {
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("%s: Run ended with %v", tc.why, err)
				}
				return
			}
			select {
			case err := <-ended:
				if !errors.Is(err, tc.err) || store.CodeOf(err) != store.CodeOf(tc.err) {
					t.Errorf("%s: Run = %v", tc.why, err)
				}
			default:
				t.Fatalf("%s: Run goes on", tc.why)
			}
			if _, err := s.Trigger(purge.TriggerAPI).Wait(ctx); !errors.Is(err, ErrStopped) {
				t.Errorf("%s: a later trigger: %v", tc.why, err)
			}
		})
	}
}

func TestRun_AStoreThatFailsStopsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := store.Errorf(store.Unavailable, "disk full")
		r := &recorder{during: func(context.Context, int) error {
			<-time.After(time.Second)
			return broken
		}}
		s, stop := start(t, Options{Runner: r})
		s.Trigger(purge.TriggerSignal)
		synctest.Wait()
		waiting := s.Trigger(purge.TriggerSignal)
		if _, err := waiting.Wait(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("what waited: %v", err)
		}
		if err := stop(); !errors.Is(err, broken) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestNew_NamesTheOptionAtFault(t *testing.T) {
	good := Options{Runner: &recorder{}, Store: nothingDue(), Schedule: mustParse(t, "@hourly")}
	for want, change := range map[string]func(*Options){
		"Runner":       func(o *Options) { o.Runner = nil },
		"Store":        func(o *Options) { o.Store = nil },
		"Schedule":     func(o *Options) { o.Schedule = nil },
		"Heartbeat":    func(o *Options) { o.Heartbeat = -1 },
		"DrainTimeout": func(o *Options) { o.DrainTimeout = -1 },
	} {
		o := good
		change(&o)
		s, err := New(o)
		var e *store.Error
		if s != nil || !errors.As(err, &e) || e.Code != store.Invalid || e.Field != want {
			t.Errorf("%s: %v, %v", want, s, err)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
