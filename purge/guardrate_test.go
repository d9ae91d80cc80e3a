package purge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
)

func TestGuard_ConcurrencyIsBoundedAndServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: func(context.Context, int, call) (purge.Removed, error) {
			time.Sleep(time.Second)
			return purge.Removed{}, nil
		}}
		p := plain()
		p.Concurrency = 2
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { _, _ = step(g, fmt.Sprint("t", i)) })
			synctest.Wait()
		}
		wg.Wait()
		if took := time.Since(began); took != 5*time.Second || s.most() != 2 {
			t.Errorf("10 calls of 1 s, two at a time, took %s, and %d were under way", took, s.most())
		}
		for i, c := range s.calls { // two begin at the same instant, in any order
			if a, b := fmt.Sprint("t", i), fmt.Sprint("t", i^1); c.Tenant != a && c.Tenant != b {
				t.Errorf("call %d is of %s, want one of %s and %s", i, c.Tenant, a, b)
			}
		}
	})
}

func TestGuard_SetPolicy_MoreConcurrencyLetsThoseInWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: func(context.Context, int, call) (purge.Removed, error) {
			time.Sleep(time.Hour)
			return purge.Removed{}, nil
		}}
		p := plain()
		p.Concurrency, p.Timeout = 1, time.Hour
		g := guarded(t, s, p)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { _, _ = step(g, "a") })
		}
		synctest.Wait()
		p.Concurrency = 4
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.most(); got != 4 {
			t.Errorf("%d calls are under way, want 4", got)
		}
		p.Concurrency = 1 // what is under way ends; after that it is one
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		wg.Wait()
		if took := time.Since(began); took != 3*time.Hour {
			t.Errorf("the rest took %s, want the hour of the four, and one for each of two", took)
		}
	})
}

func TestGuard_RateAtTheInstantBeforeAndAtTheBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: fine}
		p := plain()
		p.Rate, p.Burst = 2, 3
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for range 7 {
			wg.Go(func() { _, _ = step(g, "a") })
		}
		synctest.Wait()
		if n := len(s.at()); n != 3 {
			t.Errorf("%d calls at once, want the burst of 3", n)
		}
		for i := range 4 {
			time.Sleep(500*time.Millisecond - time.Nanosecond)
			synctest.Wait()
			if n := len(s.at()); n != 3+i {
				t.Errorf("%d calls before %s, want %d", n, time.Since(began), 3+i)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if n := len(s.at()); n != 4+i {
				t.Errorf("%d calls at %s, want %d", n, time.Since(began), 4+i)
			}
		}
		wg.Wait()
	})
}

func TestGuard_SetPolicy_ANewRateIsInForceForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: fine}
		p := plain()
		p.Rate = 0.001 // one in 1,000 s
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for range 11 {
			wg.Go(func() { _, _ = step(g, "a") })
		}
		time.Sleep(time.Second)
		if n := len(s.at()); n != 1 {
			t.Fatalf("%d calls, want 1", n)
		}
		p.Rate = 10
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		// 0.001 of a token was there after the first second.
		if took := time.Since(began) - time.Second; took < 990*time.Millisecond || took > time.Second {
			t.Errorf("10 calls at 10 a second took %s", took)
		}
		// To reload again and again is no way around the limit.
		n, began := len(s.at()), time.Now()
		wg.Go(func() {
			for range 1000 {
				if err := g.SetPolicy(p); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
		for time.Since(began) < time.Second {
			if _, err := step(g, "a"); err != nil {
				t.Fatal(err)
			}
		}
		wg.Wait()
		if got := len(s.at()) - n; got < 9 || got > 12 {
			t.Errorf("%d calls in a second of reloads at 10 a second", got)
		}
		// Without a rate nobody waits.
		p.Rate = 0
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		for range 100 {
			_, _ = step(g, "a")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("100 calls without a rate took %s", took)
		}
	})
}
