package scheduler

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// TestEngine_G11_AWiderWindowLetsWorkBeginAtOnce although the schedule is rare, the
// next attempt was hours away, and nobody asks for a pass.
func TestEngine_G11_AWiderWindowLetsWorkBeginAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		o := store.Origin{Actor: store.Actor{ID: "test"}, At: bubbleStart.AddDate(0, 0, -10)}
		if _, err := st.Create(t.Context(), store.Tenant{ID: "acme"}, o); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Update(t.Context(), "acme", store.Update{Origin: o, Change: store.Deactivate(10, store.DefaultGrace(), nil)}); err != nil {
			t.Fatal(err)
		}
		policy := purge.DefaultPolicy()
		policy.Window, err = purge.ParseWindow("22:00-05:00 UTC")
		if err != nil {
			t.Fatal(err)
		}
		f := &flaky{}
		g, err := purge.Guarded(f, policy, purge.GuardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Hour)
		engine, err := purge.New(purge.Options{Store: st, Settings: purge.DefaultSettings(), Targets: []purge.Target{g}})
		if err != nil {
			t.Fatal(err)
		}
		s, stop := start(t, Options{Runner: engine, Store: st, Schedule: mustParse(t, rare)})
		time.Sleep(time.Hour)
		if calls := f.seen(); len(calls) != 0 {
			t.Fatalf("calls at %v, outside the window", calls)
		}
		policy.Window = purge.Window{}
		if err := g.SetPolicy(policy); err != nil {
			t.Fatal(err)
		}
		if n, err := engine.Reconsider(t.Context()); n != 1 || err != nil {
			t.Errorf("Reconsider = %d, %v; want 1", n, err)
		}
		s.Wake()
		synctest.Wait()
		if _, err := st.Tenant(t.Context(), "acme"); store.CodeOf(err) != store.Gone {
			t.Errorf("acme is not purged at once: %v", err)
		}
		if calls := f.seen(); len(calls) == 0 || calls[0].After(bubbleStart.Add(13*time.Hour)) {
			t.Errorf("calls at %v", calls)
		}
		if err := errors.Join(stop(), st.Check(t.Context()), st.Close()); err != nil {
			t.Error(err)
		}
	})
}
