package purge_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// breaking is a policy with a breaker alone.
func breaking(failures int) purge.Policy {
	p := plain()
	p.BreakerFailures, p.BreakerCooldown = failures, time.Minute
	return p
}

func TestBreaker_OpensAfterFailuresInARowAndOneProbeDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer error = errDown
		s := &script{name: "crm", answer: func(context.Context, int, call) (purge.Removed, error) {
			time.Sleep(time.Millisecond)
			return purge.Removed{}, answer
		}}
		core, logs := observer.New(zapcore.InfoLevel)
		o := &seen{}
		g := guarded(t, s, breaking(3), purge.GuardOptions{Observer: o, Logger: zap.New(core)})
		for range 2 {
			_, _ = step(g, "a")
		}
		answer = nil // a success begins the row anew
		_, _ = step(g, "a")
		answer = errDown
		for i := range 3 {
			if _, err := step(g, "a"); !errors.Is(err, errDown) {
				t.Fatalf("failure %d: %v", i, err)
			}
		}
		opened := time.Now()
		wantPostponed(t, g, "b", purge.PostponeBreaker, opened.Add(time.Minute))
		if _, err := g.Count(context.Background(), "b", store.KindUser); !errors.As(err, new(*purge.PostponedError)) {
			t.Errorf("a count: %v", err)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		wantPostponed(t, g, "b", purge.PostponeBreaker, opened.Add(time.Minute))
		time.Sleep(time.Nanosecond)

		// One call goes through, those beside it do not, and it fails.
		before := len(s.at())
		results := make(chan error, 10)
		for i := range 10 {
			go func() { _, err := step(g, fmt.Sprint("t", i)); results <- err }()
		}
		put, down := 0, 0
		for range 10 {
			err := <-results
			var p *purge.PostponedError
			switch {
			case errors.As(err, &p):
				put++
				if !p.Until.After(time.Now()) {
					t.Errorf("put off until %s, which is past", p.Until)
				}
			case errors.Is(err, errDown):
				down++
			}
		}
		if n := len(s.at()) - before; n != 1 || put != 9 || down != 1 {
			t.Fatalf("half open: %d calls, %d put off, %d failed; want 1, 9, 1", n, put, down)
		}
		reopened := time.Now()
		wantPostponed(t, g, "a", purge.PostponeBreaker, reopened.Add(time.Minute))
		time.Sleep(time.Minute - time.Nanosecond)
		wantPostponed(t, g, "a", purge.PostponeBreaker, reopened.Add(time.Minute))
		time.Sleep(time.Nanosecond)

		// The probe succeeds: closed, and the row begins anew.
		answer = nil
		if _, err := step(g, "a"); err != nil {
			t.Errorf("the probe: %v", err)
		}
		answer = errDown
		for range 3 {
			if _, err := step(g, "a"); !errors.Is(err, errDown) {
				t.Errorf("closed again, and %v", err)
			}
		}
		wantPostponed(t, g, "a", purge.PostponeBreaker, time.Now().Add(time.Minute))
		if n := logs.FilterMessage("target is not called for a while: too many calls failed in a row").Len(); n != 3 {
			t.Errorf("%d lines say that it opened, want 3", n)
		}
		if n := logs.FilterMessage("target is called again").Len(); n != 1 {
			t.Errorf("%d lines say that it closed, want 1", n)
		}
	})
}

// A tenant that the system cannot digest does not keep the others from it.
func TestBreaker_G11_OneTenantDoesNotOpenItUnlessTheSystemIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poison := errors.New("500 internal server error")
		for _, c := range []struct {
			name    string
			err     error
			tenants []string
			opens   bool
		}{
			{"one tenant, an error of its own", poison, []string{"a", "a", "a", "a", "a", "a"}, false},
			{"one tenant, time-outs", context.DeadlineExceeded, []string{"a", "a", "a", "a"}, false},
			{"one tenant, not reached", errDown, []string{"a", "a", "a"}, true},
			{"two tenants", poison, []string{"a", "a", "b"}, true},
			{"wrong credentials", store.Errorf(store.Unauthenticated, "401"), []string{"a", "b", "c"}, true},
			{"throttled", store.Errorf(store.Exhausted, "429"), []string{"a", "b", "c"}, true},
			{"refused each", store.Errorf(store.Forbidden, "403"), []string{"a", "b", "c", "d"}, false},
			{"wrong each", store.Errorf(store.Invalid, "400"), []string{"a", "b", "c", "d"}, false},
		} {
			s := &script{name: "crm", answer: failingWith(c.err)}
			g := guarded(t, s, breaking(3))
			for _, id := range c.tenants {
				_, _ = step(g, id)
			}
			_, err := step(g, "z")
			if open := errors.As(err, new(*purge.PostponedError)); open != c.opens {
				t.Errorf("%s: open is %t, want %t", c.name, open, c.opens)
			}
		}
	})
}

func TestBreaker_CallsThatBeganBeforeItOpenedDoNotDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: func(_ context.Context, _ int, c call) (purge.Removed, error) {
			if c.Tenant == "slow" {
				time.Sleep(10 * time.Second)
				return purge.Removed{}, nil
			}
			return purge.Removed{}, errDown
		}}
		g := guarded(t, s, breaking(2))
		go func() { _, _ = step(g, "slow") }()
		synctest.Wait()
		_, _ = step(g, "a")
		_, _ = step(g, "b")
		opened := time.Now()
		time.Sleep(11 * time.Second) // the slow one has succeeded
		wantPostponed(t, g, "a", purge.PostponeBreaker, opened.Add(time.Minute))
	})
}

func TestBreaker_OpeningWithinAStepEndsItWithItsOwnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: failingWith(errDown)}
		p := breaking(2)
		p.Retries = 10
		if _, err := step(guarded(t, s, p), "a"); !errors.Is(err, errDown) || errors.As(err, new(*purge.PostponedError)) || len(s.at()) != 2 {
			t.Errorf("%d calls and %v, want 2 and the error of the call", len(s.at()), err)
		}
	})
}

func TestBreaker_ZeroFailuresIsNever(t *testing.T) {
	s := &script{name: "crm", answer: failingWith(errDown)}
	g := guarded(t, s, breaking(0))
	for i := range 100 {
		if _, err := step(g, fmt.Sprint(i)); !errors.Is(err, errDown) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
}
