package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// TestRun_G1_AScheduledPassPurgesFromTheDateOnAndNotBefore has the real engine
// and the real store behind the scheduler.
func TestRun_G1_AScheduledPassPurgesFromTheDateOnAndNotBefore(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		st, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		}()
		leave := func(id string, at time.Time) {
			t.Helper()
			o := store.Origin{Actor: store.Actor{ID: "test"}, At: at}
			if _, err := st.Create(ctx, store.Tenant{ID: id}, o); err != nil {
				t.Fatal(err)
			}
			change := store.Deactivate(10, store.DefaultGrace(), nil)
			if _, err := st.Update(ctx, id, store.Update{Origin: o, Change: change}); err != nil {
				t.Fatal(err)
			}
		}
		status := func(id string) store.Status {
			t.Helper()
			tenant, err := st.Tenant(ctx, id)
			if store.CodeOf(err) == store.Gone {
				return store.StatusDeleted
			}
			if err != nil {
				t.Fatal(err)
			}
			return tenant.Status
		}
		leave("due", bubbleStart)                           // at midnight, ten days on
		leave("later", bubbleStart.Add(time.Millisecond))   // one millisecond after that
		leave("overdue", bubbleStart.Add(-300*time.Hour+1)) // before the process began

		engine, err := purge.New(purge.Options{Store: st, Settings: purge.DefaultSettings()})
		if err != nil {
			t.Fatal(err)
		}
		s, stop := start(t, Options{Runner: engine, Store: st, Schedule: mustParse(t, "@daily")})
		ticket := s.Trigger(purge.TriggerSignal)
		if report, err := ticket.Wait(ctx); err != nil || report.Result != purge.ResultOK {
			t.Fatalf("%+v, %v", report, err)
		}
		if got := status("overdue"); got != store.StatusDeleted {
			t.Errorf("after the pass at start-up, overdue is %s", got)
		}
		midnight := bubbleStart.AddDate(0, 0, 10)
		advance(time.Until(midnight) - 1)
		if got := status("due"); got != store.StatusDisabled {
			t.Errorf("before its date, due is %s", got)
		}
		advance(1)
		if due, later := status("due"), status("later"); due != store.StatusDeleted || later != store.StatusDisabled {
			t.Errorf("at %v due is %s and later is %s", time.Now().UTC(), due, later)
		}
		advance(24 * time.Hour)
		if got := status("later"); got != store.StatusDeleted {
			t.Errorf("a day on, later is %s", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := st.Check(ctx); err != nil {
			t.Error(err)
		}
	})
}
