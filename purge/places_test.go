package purge_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// slow is a target in which a step of a giant takes a second, and one of others none.
type slow struct {
	left map[string]int // steps of giants

	mu    sync.Mutex
	began time.Time
	steps []call
	ended map[string]time.Duration // the last step of each
	now   map[string]bool
	most  int
}

func newSlow(giants, steps int) *slow {
	f := &slow{left: map[string]int{}, ended: map[string]time.Duration{}, now: map[string]bool{}, began: time.Now()}
	for i := range giants {
		f.left[fmt.Sprintf("giant-%02d", i)] = steps
	}
	return f
}

func (*slow) Name() string        { return "slow" }
func (*slow) Kinds() []store.Kind { return []store.Kind{store.KindAPIKey, store.KindUser} }
func (*slow) SeesAll() bool       { return true }

func (f *slow) Count(_ context.Context, id string, _ store.Kind) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(f.left[id]), nil
}

func (f *slow) Purge(_ context.Context, r purge.Request) (purge.Removed, error) {
	f.mu.Lock()
	f.steps = append(f.steps, call{"slow", "purge", r.TenantID, r.Kind, false})
	f.now[r.TenantID] = true
	f.most = max(f.most, len(f.now))
	giant := f.left[r.TenantID] > 0
	f.mu.Unlock()
	if giant {
		time.Sleep(time.Second)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.now, r.TenantID)
	f.ended[r.TenantID] = time.Since(f.began)
	if !giant || r.Kind == store.KindAPIKey {
		return purge.Removed{}, nil
	}
	f.left[r.TenantID]--
	return purge.Removed{Deleted: 1, More: f.left[r.TenantID] > 0}, nil
}

// last returns when the last step in a tenant with a prefix ended.
func (f *slow) last(prefix string) (d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, at := range f.ended {
		if strings.HasPrefix(id, prefix) {
			d = max(d, at)
		}
	}
	return d
}

func TestRun_G11_GiantsInASlowTargetLeavePlacesToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places, giants, small, steps = 4, 6, 30, 600
		f := newSlow(giants, steps)
		s := newStore(t)
		var list []store.Tenant
		for i := range giants {
			list = append(list, disabled(fmt.Sprintf("giant-%02d", i), "", -time.Duration(100-i)*time.Hour))
		}
		for i := range small {
			list = append(list, due(fmt.Sprintf("small-%02d", i), ""))
		}
		fill(t, s, list, nil)
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) {
			s.Concurrency, s.Batch, s.Lease = places, 1, 10*time.Second
		}))
		other := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Lease = 10 * time.Second }))
		done := make(chan purge.Report)
		go func() { done <- mustRun(t, e) }()
		// While giants wait, their claims are the engine's.
		for range 20 {
			time.Sleep(30 * time.Second)
			for _, row := range mustRun(t, other).Tenants {
				t.Errorf("another engine took %s: %s %s", row.ID, row.Outcome, row.Error)
			}
		}
		r := <-done
		if r.Totals.Deleted != giants+small {
			t.Errorf("deleted %d of %d: %v", r.Totals.Deleted, giants+small, outcomes(r))
		}
		if f.most > places {
			t.Errorf("%d tenants were in a step at a time, in %d places", f.most, places)
		}
		// The first turns of the giants, two at the most, and nothing more.
		if d := f.last("small"); d > 25*time.Second {
			t.Errorf("the last small tenant was done after %s", d)
		}
		// No giant is held up by the others: all are done within a turn of each other.
		if d, all := f.last("giant"), time.Duration(giants*steps/places)*time.Second; d > all+5*time.Minute {
			t.Errorf("the giants took %s, want little more than %s: places were empty", d, all)
		}
		var first, last = f.last("giant"), time.Duration(0)
		for i := range giants {
			d := f.last(fmt.Sprintf("giant-%02d", i))
			first, last = min(first, d), max(last, d)
		}
		if last-first > 2*time.Minute {
			t.Errorf("the first giant was done %s before the last one: turns were not shared", last-first)
		}
		// G3: the order of kinds in each.
		for i := range giants {
			id := fmt.Sprintf("giant-%02d", i)
			of := slices.DeleteFunc(slices.Clone(f.steps), func(c call) bool { return c.Tenant != id })
			if !slices.IsSortedFunc(of, func(a, b call) int {
				return slices.Index(store.Kinds(), a.Kind) - slices.Index(store.Kinds(), b.Kind)
			}) {
				t.Errorf("%s: kinds out of order (G3)", id)
			}
		}
	})
}

// A giant that nobody waits behind has no turns.
func TestRun_G11_AGiantKeepsItsPlaceWhileNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSlow(2, 100)
		s := newStore(t)
		fill(t, s, []store.Tenant{due("giant-00", ""), due("giant-01", "")}, nil)
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Concurrency, s.Batch = 2, 1 }))
		mustRun(t, e)
		if d := time.Since(f.began); d > 102*time.Second {
			t.Errorf("two giants in two places took %s, want 101 s each", d)
		}
	})
}

// A stop ends the wait for a place, and gives the claim back at once.
func TestRun_G12_AStopReleasesTenantsThatWaitForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSlow(3, 1000)
		s := newStore(t)
		fill(t, s, []store.Tenant{due("giant-00", ""), due("giant-01", ""), due("giant-02", "")}, nil)
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Concurrency, s.Batch = 1, 1 }))
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		r, err := e.Run(ctx, purge.TriggerRun)
		if err != nil || r.Result != purge.ResultInterrupted || time.Since(f.began) > 47*time.Second {
			t.Errorf("result %s after %s, %v", r.Result, time.Since(f.began), err)
		}
		for _, id := range []string{"giant-00", "giant-01", "giant-02"} {
			if p := progress(t, s, id); !p.LeaseEnd.IsZero() || p.Attempts != 0 || p.CountsInexact {
				t.Errorf("%s: leased until %s, %d attempts, inexact %t", id, p.LeaseEnd, p.Attempts, p.CountsInexact)
			}
		}
	})
}

// Those that wait in the midst of their purge are bounded: each has no way back.
func TestRun_G11_NotEveryGiantIsBegunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSlow(30, 1000)
		s := newStore(t)
		var list []store.Tenant
		for id := range f.left {
			list = append(list, due(id, ""))
		}
		fill(t, s, list, nil)
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Concurrency, s.Batch = 1, 1 }))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		if _, err := e.Run(ctx, purge.TriggerRun); err != nil {
			t.Fatal(err)
		}
		if n := len(f.ended); n < 16 || n > 18 {
			t.Errorf("%d giants were begun in 20 minutes, want 16 that wait for the one place, and little more", n)
		}
		for id, at := range f.ended {
			if at < 15*time.Minute {
				t.Errorf("%s had its last turn after %s: those that wait do not get theirs", id, at)
			}
		}
	})
}
