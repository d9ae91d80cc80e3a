package purge_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// windowed is a policy that lets purges in from 22:00 on.
func windowed(t *testing.T) purge.Policy {
	p := plain()
	p.Window = window(t, "22:00-05:00 UTC")
	return p
}

// noon lets the bubble's midnight become noon, and returns when windowed opens.
func noon() (opens time.Time) {
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	time.Sleep(12 * time.Hour)
	return midnight.Add(22 * time.Hour)
}

// retry ends the wait of a tenant, as a person does.
func retry(t *testing.T, s store.Store, id string) {
	t.Helper()
	up := store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Retry()}
	if _, err := s.Update(t.Context(), id, up); err != nil {
		t.Fatal(err)
	}
}

func TestRun_AClosedWindowIsNoAttemptAndTheTenantGoesOnWhenItOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		opens := noon()
		_, a, b := family(t, s, 2)
		reg := prometheus.NewPedanticRegistry()
		m := metrics.New(reg, metrics.Build{})
		log, logs := observed(zapcore.InfoLevel)
		e := newEngine(t, s, targets(guarded(t, a, plain()), guarded(t, b, windowed(t), purge.GuardOptions{Observer: m})), log,
			setting(func(s *purge.Settings) { s.Attempts = 1 }), func(o *purge.Options) { o.Metrics = m })
		for range 3 { // one attempt would be all
			r := mustRun(t, e)
			wantOutcomes(t, r, map[string]string{"acme": "retrying"})
			if text := r.Tenants[0].Error; !strings.Contains(text, "window") || !strings.Contains(text, store.FormatTime(opens)) {
				t.Errorf("the report says %q", text)
			}
			p := progress(t, s, "acme")
			if p.Attempts != 0 || !p.NextAttempt.Equal(opens) || p.CountsInexact || !p.LeaseEnd.IsZero() {
				t.Errorf("on record is %+v, want no attempt, and the next at %s", p, opens)
			}
			if n, err := s.NextAttempt(t.Context(), time.Now()); err != nil || !n.Equal(opens) {
				t.Errorf("the next attempt is at %s, %v", n, err)
			}
			wantOutcomes(t, mustRun(t, e), map[string]string{}) // nothing before that
			// A person may have it looked at again.
			retry(t, s, "acme")
		}
		if got := a.has("acme"); got != (store.Counts{}) {
			t.Errorf("the other target still holds %+v", got)
		}
		if got := b.has("acme"); got != each(2, 0) {
			t.Errorf("outside its window the target holds %+v", got)
		}
		for _, l := range logs.FilterMessage("tenant not purged yet").All() {
			if l.Level != zapcore.InfoLevel {
				t.Errorf("logged as %s: it is no trouble", l.Level)
			}
		}
		// The kinds after the first are not asked for: three passes, one call.
		if err := testutil.GatherAndCompare(reg, strings.NewReader(`
			# HELP purger_target_postponed_total Calls of a target that were put off: by its window, its breaker, or a wait that it asked for.
			# TYPE purger_target_postponed_total counter
			purger_target_postponed_total{reason="breaker",target="crm"} 0
			purger_target_postponed_total{reason="breaker",target="idp"} 0
			purger_target_postponed_total{reason="breaker",target="store"} 0
			purger_target_postponed_total{reason="retry_after",target="crm"} 0
			purger_target_postponed_total{reason="retry_after",target="idp"} 0
			purger_target_postponed_total{reason="retry_after",target="store"} 0
			purger_target_postponed_total{reason="window",target="crm"} 0
			purger_target_postponed_total{reason="window",target="idp"} 3
			purger_target_postponed_total{reason="window",target="store"} 0
			# HELP purger_target_retries_total Failed calls and attempts at a target that are made again.
			# TYPE purger_target_retries_total counter
			purger_target_retries_total{target="crm"} 0
			purger_target_retries_total{target="idp"} 0
			purger_target_retries_total{target="store"} 0
		`), "purger_target_postponed_total", "purger_target_retries_total"); err != nil {
			t.Error(err)
		}
		runs, err := s.Runs(t.Context(), 10)
		for _, r := range runs {
			if r.Failed != 0 {
				t.Errorf("a pass is kept with %d failed tenants", r.Failed)
			}
		}
		if err != nil || len(runs) == 0 {
			t.Errorf("%d passes are kept, %v", len(runs), err)
		}

		// Another wait, to see both sides of the boundary.
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		time.Sleep(time.Until(opens) - time.Millisecond) // the store's resolution
		wantOutcomes(t, mustRun(t, e), map[string]string{})
		time.Sleep(time.Millisecond)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		if r := receipt(t, s, "acme"); !r.CountsExact || r.Targets["idp"] != each(8, 0) {
			t.Errorf("the receipt says %+v, exact %t", r.Targets["idp"], r.CountsExact)
		}
	})
}

func TestRun_AnOpenBreakerIsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var list []store.Tenant
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			list = append(list, due(id, ""))
		}
		fill(t, s, list, nil)
		down := true
		f := newFake("crm", nil)
		f.kinds = []store.Kind{store.KindUser}
		f.before = func(context.Context, call) error {
			if down {
				return errDown
			}
			return nil
		}
		e := newEngine(t, s, targets(guarded(t, f, breaking(2))), setting(func(s *purge.Settings) {
			s.Concurrency, s.Attempts, s.BackoffInitial, s.BackoffMax = 1, 3, time.Hour, time.Hour
		}))
		began := time.Now()
		r := mustRun(t, e)
		if r.Totals.Retrying != 6 {
			t.Fatalf("totals %+v", r.Totals)
		}
		attempts, waiting := 0, 0
		for _, v := range list {
			switch p := progress(t, s, v.ID); p.Attempts {
			case 1:
				attempts++
			case 0:
				waiting++
				if !p.NextAttempt.Equal(store.Trim(began.Add(time.Minute))) {
					t.Errorf("%s goes on at %s, want the end of the cooldown", v.ID, p.NextAttempt)
				}
			default:
				t.Errorf("%s had %d attempts", v.ID, p.Attempts)
			}
		}
		if attempts != 2 || waiting != 4 {
			t.Errorf("%d were tried and %d wait; want the 2 that opened the breaker, and 4", attempts, waiting)
		}
		// It is down for a day: probes are attempts, the rest is not.
		for range 24 * 60 {
			time.Sleep(time.Minute)
			mustRun(t, e)
			if time.Since(began) == 30*time.Minute {
				down = false
			}
		}
		for _, v := range list {
			if got := status(t, s, v.ID); got == store.StatusPurging {
				t.Errorf("%s is %s", v.ID, got)
			}
		}
	})
}

// What is put off and what failed go together: a tenant is not failed before
// the target that waits had its turn.
func TestRun_G11_AFailingTargetDoesNotFailTheTenantBeforeTheOtherWindowOpens(t *testing.T) {
	for name, fault := range map[string]error{
		"attempts are spent": store.Errorf(store.Forbidden, "not yours"),
		"permanent":          purge.Permanent(store.Errorf(store.Invalid, "never")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				opens := noon()
				fill(t, s, []store.Tenant{due("bad", "")}, nil)
				idp := newFake("idp", map[string]store.Counts{"bad": each(3, 0)})
				e := newEngine(t, s, targets(failing("crm", fault, "bad"), guarded(t, idp, windowed(t))),
					setting(func(s *purge.Settings) { s.Attempts = 2 }))
				for range 24 {
					mustRun(t, e)
					if time.Now().Before(opens) {
						wantStatus(t, s, store.StatusPurging, "bad")
						if p := progress(t, s, "bad"); p.Attempts == 0 || !strings.Contains(p.LastError, "crm") {
							t.Fatalf("on record is %+v", p)
						} else if purge.IsPermanent(fault) && !p.NextAttempt.Equal(opens) {
							t.Fatalf("the next attempt is at %s; nothing changes before %s", p.NextAttempt, opens)
						}
					}
					time.Sleep(time.Hour)
				}
				wantStatus(t, s, store.StatusFailed, "bad")
				if got := idp.has("bad"); got != (store.Counts{}) {
					t.Errorf("idp still holds %+v", got)
				}
			})
		})
	}
}

func TestRun_GoesOnWhenTheFirstOfSeveralWindowsOpens(t *testing.T) {
	for early := range 3 {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t)
			opens := noon()
			fill(t, s, []store.Tenant{due("acme", "")}, nil)
			var all []*fake
			var list []purge.Target
			for i, name := range []string{"a", "b", "c"} {
				p := windowed(t)
				if i != early {
					p.Window = window(t, "23:00-05:00 UTC")
				}
				f := newFake(name, map[string]store.Counts{"acme": each(3, 0)})
				all, list = append(all, f), append(list, guarded(t, f, p))
			}
			e := newEngine(t, s, targets(list...))
			for _, want := range []time.Time{opens, opens.Add(time.Hour)} {
				mustRun(t, e)
				if p := progress(t, s, "acme"); !p.NextAttempt.Equal(want) {
					t.Fatalf("the next attempt is at %s, want %s", p.NextAttempt, want)
				}
				time.Sleep(time.Until(want))
			}
			for i, f := range all {
				if emptied := f.has("acme") == (store.Counts{}); emptied != (i == early) {
					t.Errorf("%s holds %+v", f.name, f.has("acme"))
				}
			}
		})
	}
}

func TestRun_AWaitThatTheSystemAskedForIsKeptBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("a", ""), due("b", "")}, nil)
		throttling := failing("crm", askedToWait{5 * time.Hour}, "a", "b")
		e := newEngine(t, s, targets(guarded(t, throttling, plain())), setting(func(s *purge.Settings) { s.Concurrency = 1 }))
		time.Sleep(1500 * time.Microsecond) // a store keeps milliseconds
		began := time.Now()
		wantOutcomes(t, mustRun(t, e), map[string]string{"a": "retrying", "b": "retrying"})
		at := began.Add(5*time.Hour + 500*time.Microsecond)
		a, b := progress(t, s, "a"), progress(t, s, "b")
		if a.Attempts != 1 || b.Attempts != 0 || at.Sub(a.NextAttempt.Time) > time.Millisecond || !b.NextAttempt.Equal(at) {
			t.Errorf("a: %d attempts, next %s; b: %d, %s; want the one that was called to have one, and both to go on at %s",
				a.Attempts, a.NextAttempt, b.Attempts, b.NextAttempt, at)
		}
	})
}

// A stop does not wait until it is a call's turn, and what was not sent is not
// in doubt.
func TestRun_AStopEndsTheWaitForATurnAndLeavesCountsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, change := range map[string]func(*purge.Policy){
			"rate":    func(p *purge.Policy) { p.Rate = 0.001 },
			"slot":    func(p *purge.Policy) { p.Concurrency = 1 },
			"backoff": func(p *purge.Policy) { p.Retries, p.BackoffInitial, p.BackoffMax = 3, time.Hour, time.Hour },
			"purge":   func(p *purge.Policy) { p.Retries, p.BackoffInitial, p.BackoffMax = 3, time.Hour, time.Hour },
		} {
			s := newStore(t)
			fill(t, s, []store.Tenant{due("a", ""), due("b", "")}, nil)
			f := newFake("crm", map[string]store.Counts{"a": each(1, 0), "b": each(1, 0)})
			f.before = func(_ context.Context, c call) error {
				switch {
				case name == "backoff" || name == "purge" && c.Op == "purge":
					return errDown
				case name != "purge":
					time.Sleep(time.Second)
				}
				return nil
			}
			p := plain()
			change(&p)
			e := newEngine(t, s, targets(guarded(t, f, p)))
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			began := time.Now()
			r, err := e.Run(ctx, purge.TriggerRun)
			cancel()
			if err != nil || r.Result != purge.ResultInterrupted {
				t.Errorf("%s: result %s, %v", name, r.Result, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: the stop took %s, want the call under way and no more", name, took)
			}
			for _, id := range []string{"a", "b"} {
				if p := progress(t, s, id); p.CountsInexact || p.Attempts != 0 {
					t.Errorf("%s: on record of %s is %+v", name, id, p)
				}
			}
		}
	})
}

// A lost answer within a step is on record although the step went well.
func TestRun_G5_ARetryWithinAStepLeavesTheCountInexact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("a", ""), due("b", "")}, nil)
		f := newFake("crm", map[string]store.Counts{"a": each(3, 0), "b": each(3, 0)})
		lost := false
		f.after = func(_ context.Context, c call) error {
			if c.Tenant == "a" && c.Kind == store.KindUser && !lost {
				lost = true
				return errors.New("connection reset")
			}
			return nil
		}
		p := plain()
		p.Retries = 1
		wantOutcomes(t, mustRun(t, newEngine(t, s, targets(guarded(t, f, p)))), map[string]string{"a": "deleted", "b": "deleted"})
		if a, b := receipt(t, s, "a"), receipt(t, s, "b"); a.CountsExact || !b.CountsExact {
			t.Errorf("exact: a %t, b %t; want false, true", a.CountsExact, b.CountsExact)
		}
	})
}
