package purge_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestRun_SubscriptionsAreAskedForByThePolicyOfTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var list []store.Tenant
		for i := range 24 {
			list = append(list, due(fmt.Sprintf("t%02d", i), ""))
		}
		fill(t, s, list, nil)
		fails := true
		b := newBiller(nil)
		b.ask = func(_ context.Context, id string) error {
			time.Sleep(time.Second)
			if id == "t23" && fails {
				fails = false
				return errDown
			}
			return nil
		}
		p := purge.DefaultPolicy()
		p.Concurrency = 4
		closed, err := purge.ParseWindow(time.Now().UTC().Add(time.Hour).Format("15:04") + "-" + time.Now().UTC().Add(2*time.Hour).Format("15:04"))
		if err != nil {
			t.Fatal(err)
		}
		p.Window = closed // to ask changes nothing, and is allowed
		o := &seen{}
		e := newEngine(t, s, targets(guarded(t, b, p, purge.GuardOptions{Observer: o})))
		if r := mustRun(t, e); r.Totals.Deleted != 24 {
			t.Errorf("%v; want all purged, the one that failed at first after another call", outcomes(r))
		}
		if ids, most := b.asked(); len(ids) != 25 || most != 4 {
			t.Errorf("%d calls, %d at a time; want 25, and 4", len(ids), most)
		}
		o.wantOf(t, "retried", "retried billing")
		o.mu.Lock()
		defer o.mu.Unlock()
		if n := strings.Count(strings.Join(o.lines, "\n"), "request billing subscriptions 1s"); n != 25 {
			t.Errorf("%d calls were timed as subscriptions: %q", n, o.lines)
		}
	})
}

func TestRun_RetryAfterOfSubscriptionsPutsTenantsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("a", ""), due("b", ""), due("c", "")}, nil)
		b := newBiller(nil)
		b.ask = func(context.Context, string) error { return askedToWait{time.Hour} }
		log, logs := observed(zapcore.InfoLevel)
		p := plain()
		p.Concurrency = 1
		e := newEngine(t, s, targets(guarded(t, b, p)), log)
		began := time.Now()
		r := mustRun(t, e)
		wantOutcomes(t, r, wanted{"a": "retrying", "b": "retrying", "c": "retrying"})
		if ids, _ := b.asked(); len(ids) != 1 {
			t.Errorf("asked about %v; want one question until the hour is over", ids)
		}
		if got := fmt.Sprint(r.Tenants); !strings.Contains(got, "is not called before "+store.FormatTime(began.Add(time.Hour))+": it asked to wait") {
			t.Errorf("rows %s; want the instant in one", got)
		}
		if n := logs.FilterMessage("tenant not purged yet").FilterLevelExact(zapcore.InfoLevel).Len(); n != 2 {
			t.Errorf("%d tenants were put off without an error, says the log: %v", n, logs.All())
		}
		planned(t, e, wanted{"a": "retrying", "b": "retrying", "c": "retrying"})
		b.set(nil, nil)
		time.Sleep(time.Hour - p.BackoffMax - time.Nanosecond) // what is left is too long to be waited for
		wantOutcomes(t, mustRun(t, e), wanted{"a": "retrying", "b": "retrying", "c": "retrying"})
		time.Sleep(time.Nanosecond)
		began = time.Now()
		wantOutcomes(t, mustRun(t, e), wanted{"a": "deleted", "b": "deleted", "c": "deleted"})
		if took := time.Since(began); took != p.BackoffMax {
			t.Errorf("the pass took %s; want it to have waited for the rest", took)
		}
	})
}

// While one tries the target nobody else is let through: those with a place are put
// off, and those that take the places of such as came before it.
func TestRun_ATargetWithAnOpenBreakerIsNotAskedForEachTenant(t *testing.T) {
	places := 4 * purge.DefaultSettings().Concurrency
	for name, c := range map[string]struct{ tenants, concurrency, putOff int }{
		"one at a time":     {100, 1, 0},
		"many side by side": {1000, purge.DefaultSettings().Concurrency, 2 * (places - 1)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				var list []store.Tenant
				for i := range c.tenants {
					list = append(list, due(fmt.Sprintf("t%03d", i), ""))
				}
				fill(t, s, list, nil)
				b := newBiller(nil)
				b.ask = func(context.Context, string) error { return errDown }
				concurrency := setting(func(s *purge.Settings) { s.Concurrency = c.concurrency })
				e := newEngine(t, s, targets(guarded(t, b, purge.DefaultPolicy())), concurrency)
				all := int64(c.tenants)
				r := mustRun(t, e)
				if ids, _ := b.asked(); r.Totals.Retrying != all || len(ids) > 5+8 {
					t.Errorf("%d are to be retried, and the target was asked %d times", r.Totals.Retrying, len(ids))
				}
				time.Sleep(time.Minute)
				// Whatever can happen beside the one that tries it does.
				var slow sync.Once
				b.set(nil, func(context.Context, string) error {
					slow.Do(func() { time.Sleep(time.Second) })
					return nil
				})
				first := mustRun(t, e).Totals
				if first.Deleted < all-int64(c.putOff) || first.Deleted+first.Retrying != all {
					t.Errorf("%+v after the cooldown; want at most %d put off", first, c.putOff)
				}
				if next := mustRun(t, e).Totals; first.Deleted+next.Deleted != all {
					t.Errorf("%+v, and then %+v; want all purged", first, next)
				}
			})
		})
	}
}

// One that the target cannot digest must not be the probe of each pass.
func TestRun_G11_ATenantThatTheTargetCannotDigestDoesNotStarveTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		odd := disabled("odd", "", -3*time.Hour) // the oldest
		fill(t, s, []store.Tenant{odd, disabled("odd-1", "odd", -4*time.Hour), due("a", ""), due("b", "")}, nil)
		b := newBiller(nil)
		b.ask = func(_ context.Context, id string) error {
			if id == "odd" || id == "odd-1" {
				return errDown
			}
			return nil
		}
		p := purge.DefaultPolicy()
		p.Concurrency, p.BreakerFailures, p.Retries = 1, 2, 1
		e := newEngine(t, s, targets(guarded(t, b, p)), setting(func(s *purge.Settings) { s.Concurrency = 1 }))
		wantOutcomes(t, mustRun(t, e), wanted{"odd": "retrying", "odd-1": "retrying", "a": "retrying", "b": "retrying"})
		time.Sleep(time.Hour)
		wantOutcomes(t, mustRun(t, e), wanted{"odd": "retrying", "odd-1": "retrying", "a": "deleted", "b": "deleted"})
	})
}

func TestRun_SubscriptionsOfManyTenantsAreAskedForSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		list := []store.Tenant{due("wide", "")}
		for i := range 50 {
			list = append(list, due(fmt.Sprintf("t%02d", i), ""), active(fmt.Sprintf("w%02d", i), "wide"))
		}
		fill(t, s, list, nil)
		b := newBiller(nil)
		b.ask = func(context.Context, string) error { time.Sleep(2 * time.Second); return nil }
		e := newEngine(t, s, targets(b))
		began := time.Now()
		r := mustRun(t, e)
		// A subtree of 51 takes 7 times 2 s, 8 at a time.
		if took := time.Since(began); r.Totals.Deleted != 51 || took != 14*time.Second {
			t.Errorf("%d were purged in %s; want 51, in 14 s", r.Totals.Deleted, took)
		}
		if ids, most := b.asked(); len(ids) != 101 || most > 50+8 {
			t.Errorf("%d questions, %d at a time", len(ids), most)
		}
	})
}

// Depth is data: nobody is asked again for each tenant of a line.
func TestRun_ALongLineIsAskedAboutOnce(t *testing.T) {
	const depth = 200
	id := func(i int) string { return fmt.Sprintf("t%03d", i) }
	var list []store.Tenant
	for i := range depth {
		parent := ""
		if i > 0 {
			parent = id(i - 1)
		}
		list = append(list, due(id(i), parent))
	}
	t.Run("the deepest pays", func(t *testing.T) {
		s := newStore(t)
		fill(t, s, list, nil)
		b := newBiller(counts{id(depth - 1): 1})
		e := newEngine(t, s, targets(b))
		for what, make := range map[string]func(testing.TB, *purge.Engine) purge.Report{"plan": mustPlan, "pass": mustRun} {
			r := make(t, e)
			if ids, _ := b.asked(); r.Totals.Blocked != depth || len(ids) > 2*depth {
				t.Errorf("%s: %d are blocked, after %d questions", what, r.Totals.Blocked, len(ids))
			}
			if row := rowOf(t, r, id(depth/2)); row.Block == nil || row.Block.By != id(depth-1) {
				t.Errorf("%s: %+v; want it blocked by the deepest", what, row)
			}
		}
	})
	t.Run("nobody is answered for", func(t *testing.T) {
		s := newStore(t)
		fill(t, s, list, nil)
		b := newBiller(nil)
		b.ask = func(context.Context, string) error { return errDown }
		r := mustRun(t, newEngine(t, s, targets(b)))
		if ids, _ := b.asked(); r.Totals.Retrying != depth || len(ids) > 2*depth {
			t.Errorf("%d are to be retried, after %d questions", r.Totals.Retrying, len(ids))
		}
	})
}

func TestRun_AStopWhileATargetIsAskedClaimsNothing(t *testing.T) {
	for name, parent := range map[string]string{"ahead of their turn": "", "in their turn": "b"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				fill(t, s, []store.Tenant{due("b", ""), disabled("a", parent, -2*time.Hour)}, nil)
				b := newBiller(nil)
				ctx, stop := context.WithCancel(context.Background())
				b.ask = func(context.Context, string) error { time.Sleep(time.Second); stop(); return errDown }
				e := newEngine(t, s, targets(guarded(t, b, purge.DefaultPolicy())))
				r, err := e.Run(ctx, purge.TriggerRun)
				if err != nil {
					t.Fatal(err)
				}
				wantResult(t, r, purge.ResultInterrupted)
				wantOutcomes(t, r, wanted{})
				wantStatus(t, s, store.StatusDisabled, "a", "b")
				if _, err := e.Plan(ctx); store.CodeOf(err) != store.Unavailable {
					t.Errorf("Plan: %v", err)
				}
				if _, err := e.Delete(ctx, purge.Deletion{ID: "b", Actor: operator}); store.CodeOf(err) != store.Unavailable {
					t.Errorf("Delete: %v", err)
				}
			})
		})
	}
}

func TestRun_QuestionsAboutSubscriptionsAreMeasured(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("a", ""), due("b", "")}, nil)
	b := newBiller(nil)
	b.ask = func(_ context.Context, id string) error {
		if id == "b" {
			return errDown
		}
		return nil
	}
	one := setting(func(s *purge.Settings) { s.Concurrency = 1 })
	metered, read := measured(t)
	wantOutcomes(t, mustRun(t, newEngine(t, s, targets(b), metered, one)), wanted{"a": "deleted", "b": "retrying"})
	want(t, read, "purger_target_request_duration_seconds{operation=subscriptions,target=billing}", 2)
	want(t, read, "purger_target_up{target=billing}", 0)
	want(t, read, "purger_purge_failures_total{kind=none,reason=unavailable,target=billing}", 1)
}
