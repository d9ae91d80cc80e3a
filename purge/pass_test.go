package purge_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestRun_DrainEndsTheCallRecordsItAndLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("giant", ""), due("other", "")}, nil)
		ctx, cancel := context.WithCancel(context.Background())
		f := newFake("crm", map[string]store.Counts{"giant": {Users: 100}, "other": {Users: 1}})
		f.before = func(callCtx context.Context, c call) error {
			if c.Op == "purge" && c.Kind == store.KindUser {
				cancel()
				time.Sleep(20 * time.Second)
				return callCtx.Err() // a stop must not reach a call under way
			}
			return nil
		}
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Concurrency, s.Batch = 1, 10 }))
		r, err := e.Run(ctx, purge.TriggerRun)
		if err != nil {
			t.Fatalf("a stop is no error: %v", err)
		}
		wantResult(t, r, purge.ResultInterrupted)
		wantOutcomes(t, r, map[string]string{"giant": "retrying"})
		if p := progress(t, s, "giant"); p.Deleted.Users != 10 || !p.LeaseEnd.IsZero() || p.Attempts != 0 || p.CountsInexact {
			t.Errorf("progress %+v", p)
		}
		wantStatus(t, s, store.StatusDisabled, "other")
		f.before = nil
		r = mustRun(t, e)
		wantResult(t, r, purge.ResultOK)
		wantOutcomes(t, r, map[string]string{"giant": "deleted", "other": "deleted"})
		if got := receipt(t, s, "giant"); got.Deleted.Users != 100 || !got.CountsExact || got.Planned.Users != 100 {
			t.Errorf("receipt %+v", got)
		}
	})
}

func TestRun_EndedContextPurgesNothing(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(3, 1), nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := newEngine(t, s).Run(ctx, purge.TriggerRun)
	if err != nil {
		t.Fatal(err)
	}
	wantResult(t, r, purge.ResultInterrupted)
	if len(r.Tenants) != 0 || purged(t, s) != 0 {
		t.Errorf("report %+v", r)
	}
}

func TestRun_GiantTenantHoldsOnePlaceAndNewOnesPassIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		tenants := append(forest(30, 1), disabled("giant", "", -1000*time.Hour), disabled("later", "", 10*time.Minute))
		fill(t, s, tenants, nil)
		f := newFake("crm", map[string]store.Counts{"giant": {Users: 600}})
		var calls, most atomic.Int32
		f.before = func(_ context.Context, c call) error {
			if c.Tenant != "giant" || c.Op != "purge" {
				return nil
			}
			most.Store(max(most.Load(), calls.Add(1)))
			time.Sleep(6 * time.Second)
			calls.Add(-1)
			return nil
		}
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Concurrency, s.Batch = 2, 1 }))
		began := time.Now()
		done := make(chan purge.Report)
		go func() {
			r, err := e.Run(context.Background(), purge.TriggerRun)
			done <- r
			if err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(time.Second)
		if n := purged(t, s); n != 30 {
			t.Errorf("%d small tenants were purged beside the giant, want 30", n)
		}
		time.Sleep(11*time.Minute + time.Second)
		wantStatus(t, s, store.StatusDeleted, "later") // due in the midst of the pass
		wantStatus(t, s, store.StatusPurging, "giant")
		r := <-done
		wantResult(t, r, purge.ResultOK)
		if r.Totals.Tenants != 32 || time.Since(began) < time.Hour || most.Load() != 1 {
			t.Errorf("totals %+v after %s with up to %d calls for the giant at a time", r.Totals, time.Since(began), most.Load())
		}
	})
}

func TestRun_ResumesBeforeItClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, append(forest(5, 1), disabled("begun", "", -time.Minute)), nil)
		j := &journal{}
		f := newFake("crm", nil)
		f.journal = j
		f.before = func(_ context.Context, c call) error {
			if c.Tenant == "begun" {
				return store.Errorf(store.Unavailable, "down")
			}
			return nil
		}
		protect := func(s *purge.Settings) {
			s.Concurrency = 1
			s.Protected = []string{"t000", "t001", "t002", "t003", "t004"}
		}
		wantOutcome := func(r purge.Report, id, want string) {
			if got := outcomes(r)[id]; got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		e := newEngine(t, s, targets(f), setting(protect))
		wantOutcome(mustRun(t, e), "begun", "retrying")
		f.before = nil
		if err := e.Configure(func() purge.Settings { v := unlimited(); v.Concurrency = 1; return v }()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		n := len(j.all())
		wantOutcome(mustRun(t, e), "begun", "deleted")
		if calls := j.all()[n:]; calls[0].Tenant != "begun" || calls[len(calls)-1].Tenant == "begun" {
			t.Errorf("the first call is for %q and the last for %q", calls[0].Tenant, calls[len(calls)-1].Tenant)
		}
	})
}
