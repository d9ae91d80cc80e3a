package purge_test

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// only returns the one row of progress.
func only(t *testing.T, rows []purge.TargetProgress) purge.TargetProgress {
	t.Helper()
	if len(rows) != 1 {
		t.Fatalf("%d rows of progress, want one: %+v", len(rows), rows)
	}
	return rows[0]
}

func TestProgress_TellsDoneRemainingRateAndETAAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", ""), active("acme-1", "acme")}, nil)
		f := newFake("crm", map[string]store.Counts{"acme": {Users: 300}, "acme-1": {Users: 700}})
		f.kinds = []store.Kind{store.KindUser}
		var stuck atomic.Bool
		f.before = func(_ context.Context, c call) error {
			switch {
			case c.Op == "count":
			case stuck.Swap(false):
				time.Sleep(10 * time.Minute)
			default:
				time.Sleep(time.Second)
			}
			return nil
		}
		p := plain()
		p.Timeout = time.Hour
		g := guarded(t, f, p)
		e := newEngine(t, s, targets(g), setting(func(s *purge.Settings) { s.Batch = 5 }))
		if _, err := e.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := e.Progress(); len(got) != 0 {
			t.Errorf("a plan left progress: %+v", got)
		}
		began := time.Now()
		done := make(chan purge.Report, 1)
		go func() { done <- mustRun(t, e) }()
		time.Sleep(90*time.Second + time.Millisecond)
		synctest.Wait()
		row := only(t, e.Progress())
		if row.TenantID != "acme" || row.Target != "crm" || row.Done != 450 || row.Remaining != 550 || !row.Began.Equal(began) ||
			!row.Progressed.Equal(began.Add(90*time.Second)) || row.Reason != "" {
			t.Errorf("after 90 s at 5 a second: %+v", row)
		}
		if math.Abs(row.Rate-5) > 0.2 || row.ETA.Sub(began.Add(200*time.Second)).Abs() > 5*time.Second {
			t.Errorf("rate %f, ETA after %s; want 5 a second and 200 s", row.Rate, row.ETA.Sub(began))
		}
		if got := only(t, g.Progress()); got != row {
			t.Errorf("the target says %+v, the engine %+v", got, row)
		}
		// Slow is told from stuck: the rate falls, and the last progress is old.
		stuck.Store(true)
		time.Sleep(9 * time.Minute)
		was := row
		row = only(t, e.Progress())
		if row.Rate > was.Rate/5 || row.ETA.Before(was.ETA) || time.Since(row.Progressed) < 8*time.Minute {
			t.Errorf("stuck for 9 minutes: %+v", row)
		}
		wantResult(t, <-done, purge.ResultOK)
		if got := e.Progress(); len(got) != 0 {
			t.Errorf("progress after the end: %+v", got)
		}
	})
}

// TestProgress_TheRateIsThatOfTheLastMinute: ten times as slow after a long time
// is told within a minute or so.
func TestProgress_TheRateIsThatOfTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		f := newFake("crm", map[string]store.Counts{"acme": {Users: 100_000}})
		f.kinds = []store.Kind{store.KindUser}
		slow := time.Now().Add(5 * time.Minute)
		f.before = func(_ context.Context, c call) error {
			switch {
			case c.Op == "count":
			case time.Now().Before(slow):
				time.Sleep(time.Second)
			default:
				time.Sleep(10 * time.Second)
			}
			return nil
		}
		e := newEngine(t, s, targets(guarded(t, f, plain())), setting(func(s *purge.Settings) { s.Batch = 5 }))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := e.Run(ctx, purge.TriggerRun); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(5*time.Minute + 90*time.Second + time.Millisecond)
		synctest.Wait()
		if row := only(t, e.Progress()); math.Abs(row.Rate-0.5) > 0.2 {
			t.Errorf("after 90 s at one in two seconds the rate is %f", row.Rate)
		}
		stop()
		<-done
	})
}

func TestProgress_SaysWhatIsPutOffAndIsCountedAnewAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		opens := noon()
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		f := newFake("crm", map[string]store.Counts{"acme": {Users: 300}})
		for range 2 { // the second engine is a restart
			g := guarded(t, f, windowed(t))
			e := newEngine(t, s, targets(g))
			if got := e.Progress(); len(got) != 0 {
				t.Errorf("at the start: %+v", got)
			}
			mustRun(t, e)
			row := only(t, e.Progress())
			if row.Done != 0 || row.Remaining != 300 || row.Reason != purge.PostponeWindow || !row.Until.Equal(opens) || !row.ETA.IsZero() || !row.Progressed.IsZero() {
				t.Errorf("outside the window: %+v", row)
			}
			retry(t, s, "acme")
		}
		// What was counted again is not planned twice.
		time.Sleep(time.Until(opens))
		e := newEngine(t, s, targets(guarded(t, f, windowed(t))))
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		if got := receipt(t, s, "acme").Planned; got != (store.Counts{Users: 300}) {
			t.Errorf("planned %+v", got)
		}
	})
}

func TestProgress_OfAFailedTenantIsForgotten(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("bad", "")}, nil)
	e := newEngine(t, s, targets(failing("crm", purge.Permanent(errDown), "bad")))
	wantOutcomes(t, mustRun(t, e), map[string]string{"bad": "failed"})
	if got := e.Progress(); len(got) != 0 {
		t.Errorf("progress %+v", got)
	}
}
