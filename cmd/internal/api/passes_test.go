package api

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
)

// withScheduler adds a scheduler that has not begun yet.
func withScheduler(t *testing.T, runner func(scheduler.Runner) scheduler.Runner) func(*Options) {
	return func(o *Options) {
		schedule, err := scheduler.ParseSchedule("0 3 * * *")
		if err != nil {
			t.Fatal(err)
		}
		var run scheduler.Runner = o.Engine
		if runner != nil {
			run = runner(run)
		}
		s, err := scheduler.New(scheduler.Options{Runner: run, Store: o.Store, Schedule: schedule})
		if err != nil {
			t.Fatal(err)
		}
		o.Scheduler = s
	}
}

// begin runs the rig's scheduler until the test ends.
func (r *rig) begin(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.options.Scheduler.(*scheduler.Scheduler).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("scheduler: %v", err)
		}
	})
	// After one pass the start-up is over: what becomes due now waits for a trigger.
	if _, err := r.Run(t.Context(), purge.TriggerAPI); err != nil {
		t.Fatal(err)
	}
}

func TestPlan_PredictsAndChangesNothing(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "later"})
		r.fill(t, "acme")
		r.disable(t, days(11), "acme")
		r.disable(t, days(9), "later")
		report, err := r.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report.Result != purge.ResultPlanned || len(report.Tenants) != 1 || report.Tenants[0].ID != "acme" ||
			report.Tenants[0].Outcome != purge.OutcomeDeleted || report.Totals.Users != 4 || report.Totals.Tenants != 1 {
			t.Errorf("plan %+v", report)
		}
		if got, err := r.Tenant(t.Context(), "acme", false); err != nil || got.Status != store.StatusDisabled {
			t.Errorf("after the plan: %+v, %v", got, err)
		}
		if runs, err := r.Runs(t.Context(), 0); err != nil || len(runs) != 0 {
			t.Errorf("a plan is on record as a pass: %+v, %v", runs, err)
		}
	})
}

func TestRun_WaitsForTheReport(t *testing.T) {
	for name, change := range map[string][]func(*Options){
		"without a scheduler": nil,
		"with a scheduler":    {withScheduler(t, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, r *rig) {
				r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "held"})
				r.fill(t, "acme")
				if r.options.Scheduler != nil {
					r.begin(t)
				}
				if _, err := r.Hold(t.Context(), "held", client.HoldRequest{Reason: "litigation"}); err != nil {
					t.Fatal(err)
				}
				r.disable(t, days(11), "acme", "held")
				report, err := r.Run(t.Context(), purge.TriggerRun)
				if err != nil {
					t.Fatal(err)
				}
				if report.Trigger != purge.TriggerRun || report.Result != purge.ResultOK || len(report.Tenants) != 2 || report.Totals.Users != 4 {
					t.Errorf("report %+v", report)
				}
				for _, row := range report.Tenants {
					if row.ID == "held" && (row.Block == nil || row.Block.Reason != store.BlockHold || row.Block.By != "held") {
						t.Errorf("row %+v", row)
					}
				}
				runs, err := r.Runs(t.Context(), 1)
				if err != nil || len(runs) != 1 || runs[0].ID != report.ID || runs[0].Tenants != 1 || runs[0].Blocked != 1 {
					t.Errorf("on record: %+v, %v", runs, err)
				}
			}, change...)
		})
	}
}

func TestRun_JSONIsThatOfTheCommand(t *testing.T) {
	r := newRig(t).inProcess(t)
	res := raw(t, r, "POST /api/v1/purges?wait=true", "")
	got := res.json(t)
	for _, name := range []string{"trigger", "startedAt", "finishedAt", "result", "tenants", "totals"} {
		if _, ok := got[name]; !ok {
			t.Errorf("member %q is missing in %s", name, res.body)
		}
	}
	if d := cmp.Diff([]any{}, got["tenants"]); d != "" {
		t.Errorf("no tenants is not []: %s", res.body)
	}
}

func TestTrigger_IsAcceptedAtOnce(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		res := raw(t, r, "POST /api/v1/purges", "{}")
		if res.status != 202 || res.body != "{\"status\":\"accepted\"}\n" {
			t.Errorf("before the scheduler runs: status %d: %s", res.status, res.body)
		}
		r.begin(t)
		got, err := r.Trigger(t.Context())
		if err != nil || got.Status != "accepted" {
			t.Errorf("%+v, %v", got, err)
		}
		// A pass that begins after this one ends after it.
		if _, err := r.Run(t.Context(), purge.TriggerAPI); err != nil {
			t.Fatal(err)
		}
		runs, err := r.Runs(t.Context(), 0)
		if err != nil || len(runs) == 0 {
			t.Errorf("no pass was made: %v", err)
		}
	}, withScheduler(t, nil))
}

func TestTrigger_WithoutASchedulerThePassIsMadeBeforeTheAnswer(t *testing.T) {
	r := newRig(t).inProcess(t)
	if got, err := r.Trigger(t.Context()); err != nil || got.Status != "accepted" {
		t.Fatalf("%+v, %v", got, err)
	}
	if runs, err := r.Runs(t.Context(), 0); err != nil || len(runs) != 1 {
		t.Errorf("passes %+v, %v", runs, err)
	}
}

func TestRun_UnknownTriggersAreRefused(t *testing.T) {
	r := newRig(t).inProcess(t)
	for _, trigger := range []purge.Trigger{"schedule", "", "plan"} {
		_, err := r.Run(t.Context(), trigger)
		wantCode(t, err, store.Invalid)
	}
	for _, what := range []string{"wait=1", "wait=true&wait=true", "dry=true"} {
		if res := raw(t, r, "POST /api/v1/purges?"+what, ""); res.status != 400 {
			t.Errorf("%s: status %d", what, res.status)
		}
	}
	if runs, err := r.Runs(t.Context(), 0); err != nil || len(runs) != 0 {
		t.Errorf("a refused request made a pass: %+v, %v", runs, err)
	}
}

// slow is a runner whose passes, once armed, last until they are let go.
type slow struct {
	scheduler.Runner
	armed       atomic.Bool
	begun, free chan struct{}
}

func (s *slow) Run(ctx context.Context, t purge.Trigger) (purge.Report, error) {
	if !s.armed.Load() {
		return s.Runner.Run(ctx, t)
	}
	s.begun <- struct{}{}
	select {
	case <-s.free:
	case <-ctx.Done():
	}
	return s.Runner.Run(ctx, t)
}

func TestRun_ACallerThatLeavesDoesNotEndThePassOfTheScheduler(t *testing.T) {
	s := &slow{begun: make(chan struct{}, 9), free: make(chan struct{})}
	r := newRig(t, withScheduler(t, func(r scheduler.Runner) scheduler.Runner { s.Runner = r; return s })).onSocket(t)
	r.create(t, client.NewTenant{ID: "acme"})
	r.begin(t)
	s.armed.Store(true)
	r.disable(t, days(11), "acme")
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := r.Run(ctx, purge.TriggerAPI)
		left <- err
	}()
	<-s.begun
	st, err := r.Status(t.Context())
	if err != nil || st.Running == nil || st.Running.Trigger != "api" || st.Running.Since.IsZero() {
		t.Errorf("status while it runs: %+v, %v", st.Running, err)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that left: %v", err)
	}
	close(s.free)
	if _, err := r.Run(t.Context(), purge.TriggerAPI); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Tenant(t.Context(), "acme", true); err != nil || got.Status != store.StatusDeleted {
		t.Errorf("after the pass: %+v, %v", got, err)
	}
}

func TestRun_G1_ExactlyAtTheDateOverTheWholeStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).inProcess(t)
		r.create(t, client.NewTenant{ID: "acme"})
		d, err := r.Deactivate(t.Context(), "acme", client.DeactivateRequest{PurgeAfterDays: ptr(10)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(d.EstimatedPurgeDate.Time) - time.Millisecond)
		if report, err := r.Run(t.Context(), purge.TriggerRun); err != nil || len(report.Tenants) != 0 {
			t.Errorf("a millisecond early: %+v, %v", report.Tenants, err)
		}
		time.Sleep(time.Millisecond)
		if report, err := r.Run(t.Context(), purge.TriggerRun); err != nil || len(report.Tenants) != 1 {
			t.Errorf("at the date: %+v, %v", report.Tenants, err)
		}
	})
}
