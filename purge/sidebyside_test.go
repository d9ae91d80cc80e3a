package purge_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// In every kind all targets are called at the same instant, and no kind begins
// before the one ahead of it has ended in the slowest target.
func TestRun_G3_TargetsOfAKindSideBySideAndKindsInOrderAcrossAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		var list []purge.Target
		var began, ended [3][4]time.Duration
		start := time.Now()
		kinds := store.Kinds()
		for i := range 3 {
			f := newFake(fmt.Sprint("target", i), map[string]store.Counts{"acme": each(1, 0)})
			f.before = func(_ context.Context, c call) error {
				if c.Op != "purge" {
					return nil
				}
				k := slices.Index(kinds, c.Kind)
				began[i][k] = time.Since(start)
				time.Sleep(time.Duration(i+1) * time.Second)
				ended[i][k] = time.Since(start)
				return nil
			}
			list = append(list, guarded(t, f, plain()))
		}
		wantOutcomes(t, mustRun(t, newEngine(t, s, targets(list...))), map[string]string{"acme": "deleted"})
		for k := range kinds {
			for i := range list {
				if want := time.Duration(3*k) * time.Second; began[i][k] != want {
					t.Errorf("%s in target %d began at %s, want %s: with the others, after the slowest", kinds[k], i, began[i][k], want)
				}
				if k > 0 && began[i][k] < ended[2][k-1] {
					t.Errorf("%s in target %d began before %s had ended in all", kinds[k], i, kinds[k-1])
				}
			}
		}
	})
}

// Tenants are not held up by a giant one, neither in the pass nor in the line
// for a target that takes one call at a time.
func TestRun_G11_AGiantTenantWithASlowTargetDoesNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		list := []store.Tenant{with(due("giant", ""), func(v *store.Tenant) { // the first of all
			*v = disabled("giant", "", -48*time.Hour)
		})}
		held := map[string]store.Counts{"giant": {Users: 1000}}
		for i := range 40 {
			id := fmt.Sprint("small", i)
			list, held[id] = append(list, due(id, "")), store.Counts{Users: 1}
		}
		fill(t, s, list, nil)
		f := newFake("crm", held)
		f.kinds = []store.Kind{store.KindUser}
		f.before = func(context.Context, call) error { time.Sleep(time.Second); return nil }
		p := plain()
		p.Concurrency = 1
		e := newEngine(t, s, targets(guarded(t, f, p)), setting(func(s *purge.Settings) { s.Batch, s.Concurrency = 1, 4 }))
		began := time.Now()
		done := make(chan purge.Report, 1)
		go func() { done <- mustRun(t, e) }()
		// A small one takes three calls, and while it does the giant has as many:
		// in the line one of four is the giant's.
		time.Sleep(40*3*4/3*time.Second + 10*time.Second)
		for i := range 40 {
			if got := status(t, s, fmt.Sprint("small", i)); got != store.StatusDeleted {
				t.Errorf("small%d is %s after %s", i, got, time.Since(began))
			}
		}
		wantStatus(t, s, store.StatusPurging, "giant")
		wantResult(t, <-done, purge.ResultOK)
	})
}

// A target that hangs costs the others of a tenant one time-out for each kind
// until its breaker opens, and from then on nothing.
func TestRun_G11_AHangingTargetHoldsUpNoOtherOnceItsBreakerIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		held := map[string]store.Counts{}
		var list []store.Tenant
		for i := range 200 {
			id := fmt.Sprint("t", i)
			list, held[id] = append(list, due(id, "")), each(2, 0)
		}
		fill(t, s, list, nil)
		hung := newFake("hung", held)
		hung.before = func(ctx context.Context, _ call) error { <-ctx.Done(); return ctx.Err() }
		good := newFake("good", held)
		p := purge.DefaultPolicy()
		p.Timeout, p.BreakerFailures, p.BreakerCooldown = 10*time.Second, 5, time.Hour
		e := newEngine(t, s, targets(guarded(t, hung, p), guarded(t, good, purge.DefaultPolicy())),
			setting(func(s *purge.Settings) { s.Concurrency = 4 }))
		began := time.Now()
		r := mustRun(t, e)
		if r.Totals.Retrying != 200 {
			t.Errorf("totals %+v", r.Totals)
		}
		// Four at a time wait for two time-outs, and then it is open.
		if took, most := time.Since(began), time.Minute; took > most {
			t.Errorf("the pass took %s, want at most %s", took, most)
		}
		for id := range held {
			if got := good.has(id); got != (store.Counts{}) {
				t.Fatalf("the good target still holds %+v of %s", got, id)
			}
		}
	})
}
