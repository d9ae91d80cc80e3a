package purge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// TestPace_G5_AStopEndsTheWaitAndTheCountIsExact stops a pass whose target lets
// one request through in 100 s, and goes on without a rate.
func TestPace_G5_AStopEndsTheWaitAndTheCountIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		p := plain()
		p.Rate, p.Timeout, p.Retries, p.BreakerFailures = 0.01, time.Second, 2, 1
		crm := newPaced(20)
		o := &seen{}
		g := guarded(t, crm, p, purge.GuardOptions{Observer: o})
		e := newEngine(t, s, targets(g), setting(func(s *purge.Settings) { s.Attempts = 1 }))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r, err := e.Run(ctx, purge.TriggerRun)
			if err != nil {
				t.Error(err)
			}
			wantOutcomes(t, r, map[string]string{"acme": "retrying"})
		}()
		time.Sleep(350 * time.Second) // the count, and three deletes
		cancel()
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Fatal("the stop waits for the rate")
		}
		removed := 20 - crm.has("acme").Users
		if got := progress(t, s, "acme"); removed != 3 || got.Deleted.Users != removed || got.CountsInexact || got.Attempts != 0 {
			t.Errorf("%d are removed, and on record is %+v", removed, got)
		}
		o.wantOf(t, "up crm false")
		o.wantOf(t, "retried")
		p.Rate = 0
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"}) // the breaker is closed
		if r := receipt(t, s, "acme"); !r.CountsExact || r.Deleted.Users != 20 {
			t.Errorf("the receipt says %+v, exact %t", r.Deleted, r.CountsExact)
		}
	})
}

// TestPace_ALongStepIsRecordedOnTheWay has a batch that takes longer than the lease
// at the rate: what is removed is on record by the minute, and no claim is lost.
func TestPace_ALongStepIsRecordedOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		p := plain()
		p.Rate, p.Timeout = 0.5, time.Second
		crm := newPaced(600)
		e := newEngine(t, s, targets(guarded(t, crm, p)))
		done := make(chan struct{})
		go func() {
			wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
			close(done)
		}()
		for range 18 {
			time.Sleep(time.Minute)
			synctest.Wait()
			behind := 600 - crm.has("acme").Users - progress(t, s, "acme").Deleted.Users
			if behind < 0 || behind > 32 {
				t.Errorf("%d are removed and not on record, at 30 a minute", behind)
			}
		}
		<-done
		if r := receipt(t, s, "acme"); !r.CountsExact || r.Deleted.Users != 600 {
			t.Errorf("the receipt says %+v, exact %t", r.Deleted, r.CountsExact)
		}
	})
}

func TestPace_TheWindowClosesInTheMidstOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		p := windowed(t)
		p.Rate, p.BreakerFailures, p.Retries = 0.1, 1, 2
		crm := newPaced(10)
		o := &seen{}
		e := newEngine(t, s, targets(guarded(t, crm, p, purge.GuardOptions{Observer: o})), setting(func(s *purge.Settings) { s.Attempts = 1 }))
		time.Sleep(5*time.Hour - 35*time.Second)
		closes, opens := time.Now().Add(35*time.Second), time.Now().Add(17*time.Hour+35*time.Second)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		if late := time.Since(closes); late > 5*time.Second+time.Microsecond {
			t.Errorf("the pass ends %s after the window; the wait for the fifth request did after 5 s", late)
		}
		removed := 10 - crm.has("acme").Users
		if got := progress(t, s, "acme"); removed != 3 || got.Deleted.Users != removed || got.CountsInexact || got.Attempts != 0 || !got.NextAttempt.Equal(opens) {
			t.Errorf("%d are removed, and on record is %+v, want the next attempt at %s", removed, got, opens)
		}
		if last := crm.at(); !last[len(last)-1].Before(closes) {
			t.Errorf("a request at %s, after the window closed", last[len(last)-1])
		}
		o.wantOf(t, "up crm false")
		o.wantOf(t, "postponed", "postponed crm window")
		time.Sleep(time.Until(opens))
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		if r := receipt(t, s, "acme"); !r.CountsExact || r.Deleted.Users != 10 {
			t.Errorf("the receipt says %+v, exact %t", r.Deleted, r.CountsExact)
		}
	})
}
