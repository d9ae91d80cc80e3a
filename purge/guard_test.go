package purge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// wantPostponed makes a step that must not reach the target.
func wantPostponed(t *testing.T, g *purge.GuardedTarget, tenant string, reason purge.PostponeReason, until time.Time) {
	t.Helper()
	_, err := step(g, tenant)
	var put *purge.PostponedError
	if !errors.As(err, &put) {
		t.Errorf("a step at %s: %v, want to be put off until %s", time.Now(), err, until)
		return
	}
	if put.Reason != reason || put.Target != g.Name() || put.Until.Sub(until).Abs() > time.Second || store.CodeOf(err) != store.Unavailable || purge.IsPermanent(err) {
		t.Errorf("put off by %+v (code %s), want %s until %s", put, store.CodeOf(err), reason, until)
	}
}

func TestGuard_WaitsEndWithTheContextAndAreNoLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, change := range map[string]func(*purge.Policy){
			"slot":        func(p *purge.Policy) { p.Concurrency = 1 },
			"rate":        func(p *purge.Policy) { p.Rate = 0.001 },
			"retry after": func(p *purge.Policy) { p.BackoffMax = time.Hour },
		} {
			s := &script{name: "crm", answer: func(_ context.Context, _ int, c call) (purge.Removed, error) {
				if c.Tenant == "first" {
					time.Sleep(time.Second)
					return purge.Removed{}, askedToWait{time.Minute}
				}
				return purge.Removed{}, nil
			}}
			p := plain()
			change(&p)
			g := guarded(t, s, p)
			go func() { _, _ = step(g, "first") }()
			synctest.Wait()
			if name == "retry after" {
				time.Sleep(2 * time.Second)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			began := time.Now()
			_, err := g.Purge(ctx, purge.Request{TenantID: "a", Kind: store.KindUser, Limit: 1})
			cancel()
			if time.Since(began) != 500*time.Millisecond || store.CodeOf(err) != store.Unavailable ||
				errors.Is(err, context.DeadlineExceeded) || len(s.at()) != 1 {
				t.Errorf("%s: %v after %s and %d calls", name, err, time.Since(began), len(s.at()))
			}
			time.Sleep(2 * time.Minute)
			// Who gave up left nothing taken.
			if name != "rate" {
				if _, err := step(g, "b"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

func TestGuard_WindowPutsPurgesOffAndLetsCountsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		s := &script{name: "crm", answer: fine}
		p := plain()
		p.Window = window(t, "22:00-05:00 UTC")
		o := &seen{}
		g := guarded(t, s, p, purge.GuardOptions{Observer: o})
		midnight := time.Now().UTC().Truncate(24 * time.Hour)
		time.Sleep(time.Until(midnight.Add(5*time.Hour - time.Nanosecond)))
		if _, err := step(g, "a"); err != nil {
			t.Errorf("just before it closes: %v", err)
		}
		time.Sleep(time.Nanosecond)
		wantPostponed(t, g, "a", purge.PostponeWindow, midnight.Add(22*time.Hour))
		o.wantOf(t, "postponed", "postponed crm window")
		if n, err := g.Count(context.Background(), "a", store.KindUser); n != 1 || err != nil {
			t.Errorf("Count outside the window: %d, %v", n, err)
		}
		time.Sleep(17*time.Hour - time.Nanosecond)
		wantPostponed(t, g, "a", purge.PostponeWindow, midnight.Add(22*time.Hour))
		time.Sleep(time.Nanosecond)
		if _, err := step(g, "a"); err != nil {
			t.Errorf("at the opening: %v", err)
		}
		p.Window = window(t, "01:00-02:00 UTC")
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		wantPostponed(t, g, "a", purge.PostponeWindow, midnight.Add(25*time.Hour))
	})
}

func TestGuard_SetPolicy_RefusesWhatIsWrongAndKeepsTheOld(t *testing.T) {
	g := guarded(t, &script{name: "crm", answer: fine}, plain())
	for key, change := range map[string]func(*purge.Policy){
		"concurrency":     func(p *purge.Policy) { p.Concurrency = 0 },
		"rate":            func(p *purge.Policy) { p.Rate = -1 },
		"burst":           func(p *purge.Policy) { p.Burst = 0 },
		"timeout":         func(p *purge.Policy) { p.Timeout = time.Millisecond },
		"retries":         func(p *purge.Policy) { p.Retries = -1 },
		"backoffInitial":  func(p *purge.Policy) { p.BackoffInitial = 0 },
		"backoffMax":      func(p *purge.Policy) { p.BackoffMax = p.BackoffInitial - 1 },
		"breakerFailures": func(p *purge.Policy) { p.BreakerFailures = -1 },
		"breakerCooldown": func(p *purge.Policy) { p.BreakerFailures, p.BreakerCooldown = 1, 0 },
	} {
		p := plain()
		change(&p)
		err := g.SetPolicy(p)
		if store.CodeOf(err) != store.Invalid || !strings.Contains(err.Error(), key+" ") {
			t.Errorf("%s: %v", key, err)
		}
		if err := p.Validate("targets[3]."); !strings.Contains(fmt.Sprint(err), "targets[3]."+key+" ") {
			t.Errorf("%s: %v does not say where", key, err)
		}
		if got, want := fmt.Sprint(g.Policy()), fmt.Sprint(plain()); got != want {
			t.Errorf("%s: the policy became %s", key, got)
		}
		if _, err := purge.Guarded(&script{name: "crm"}, p, purge.GuardOptions{}); err == nil {
			t.Errorf("%s: Guarded took it", key)
		}
	}
	if err := purge.DefaultPolicy().Validate(""); err != nil {
		t.Errorf("the default policy: %v", err)
	}
	if _, err := purge.Guarded(nil, plain(), purge.GuardOptions{}); store.CodeOf(err) != store.Invalid {
		t.Errorf("Guarded(nil): %v", err)
	}
}

// able is a script with abilities.
type able struct {
	script
	check error
}

func (a *able) Check(context.Context) error { return a.check }

func TestGuard_AsSeesThroughAndProbeTellsTheObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &able{script: script{name: "crm", answer: failingWith(errDown)}}
		p := plain()
		p.BreakerFailures, p.Window = 1, window(t, "22:00-23:00 UTC")
		o := &seen{}
		g := guarded(t, a, p, purge.GuardOptions{Observer: o})
		if c, ok := purge.As[purge.Checker](g); !ok || c != purge.Checker(a) {
			t.Error("As does not find the Checker within")
		}
		if _, ok := purge.As[purge.Doctor](g); ok {
			t.Error("As finds a Doctor that is not there")
		}
		if _, err := g.Count(context.Background(), "a", store.KindUser); err == nil { // opens the breaker
			t.Error("the count did not fail")
		}
		for _, err := range []error{nil, errDown, store.Errorf(store.Unauthenticated, "who")} {
			a.check = err
			if got := g.Probe(context.Background()); !errors.Is(got, err) {
				t.Errorf("Probe = %v, want %v", got, err)
			}
		}
		o.wantOf(t, "up", "up crm false", "up crm true", "up crm false", "up crm true")
		o.wantOf(t, "request crm check", slices.Repeat([]string{"request crm check 0s"}, 3)...)
		plainOne := guarded(t, &script{name: "idp"}, plain())
		if err := plainOne.Probe(context.Background()); store.CodeOf(err) != store.Precondition {
			t.Errorf("Probe without a Checker: %v", err)
		}
	})
}
