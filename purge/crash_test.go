package purge_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// world is a store's directory and the targets, which outlive processes.
type world struct {
	dir     string
	targets []*fake
	groups  bool // targets take many tenants in a call
}

// newWorld has acme and acme-1, due, with resources in the store and in two
// targets, and a bystander.
func newWorld(t *testing.T, template string) *world {
	w := &world{dir: t.TempDir()}
	copyFile(t, template+"/"+boltstore.FileName, w.dir+"/"+boltstore.FileName)
	crm := newFake("crm", map[string]store.Counts{"acme": {Users: 3, OAuthClients: 2}, "acme-1": {Users: 2}, "globex": each(7, 0)})
	idp := newFake("idp", map[string]store.Counts{"acme": {Users: 3}, "acme-1": {Users: 2}, "globex": each(7, 0)})
	crm.kinds = []store.Kind{store.KindOAuthClient, store.KindUser}
	idp.kinds = []store.Kind{store.KindUser}
	w.targets = []*fake{crm, idp}
	return w
}

// Deleted in all when a purge of the world is complete.
var wholeWorld = store.Counts{Users: 4 + 5 + 5, Credentials: 4, APIKeys: 4, OAuthClients: 4 + 2, SubTenants: 1}

func worldTemplate(t *testing.T) string {
	dir := t.TempDir()
	s := openStore(t, dir)
	fill(t, s, []store.Tenant{due("acme", ""), active("acme-1", "acme"), active("globex", "")},
		append(append(resources("acme", 2), resources("acme-1", 2)...), resources("globex", 3)...))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// live runs a pass in a process that ends by itself or as l says.
func (w *world) live(ctx context.Context, t *testing.T, l *life) purge.Report {
	t.Helper()
	s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: w.dir, MmapSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var list []purge.Target
	for _, f := range w.targets {
		m := mortalTarget{f, l}
		switch {
		case w.groups:
			list = append(list, mortalGroup{mortalAccountant{m, f}, groupFake{fake: f, size: 5}})
		case f.books != nil:
			list = append(list, mortalAccountant{m, f})
		default:
			list = append(list, m)
		}
	}
	e := newEngine(t, mortalStore{s, l}, targets(list...), setting(func(s *purge.Settings) { s.Batch = 2 }))
	r, err := e.Run(ctx, purge.TriggerRun)
	if err != nil && (!l.over() || !errors.Is(err, errKilled)) {
		t.Fatalf("step %d: %v", l.at, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

// check looks at the world after acme was purged, and returns its receipt. exact
// says whether the counts must be.
func (w *world) check(t *testing.T, exact bool) store.Receipt {
	t.Helper()
	s := openStore(t, w.dir)
	defer checkAndClose(t, s)
	wantStatus(t, s, store.StatusDeleted, "acme", "acme-1")
	got := receipt(t, s, "acme")
	if got.Planned != wholeWorld {
		t.Errorf("planned %+v, want %+v", got.Planned, wholeWorld)
	}
	switch {
	case exact && !got.CountsExact:
		t.Error("the receipt says that its counts are not exact")
	case got.CountsExact && got.Deleted != wholeWorld:
		t.Errorf("the receipt says that exactly %+v were deleted; they were %+v", got.Deleted, wholeWorld)
	}
	for _, k := range store.Kinds() {
		if got.Deleted.Of(k) > wholeWorld.Of(k) {
			t.Errorf("%d %s were counted and there were %d", got.Deleted.Of(k), k, wholeWorld.Of(k))
		}
	}
	inTargets := store.Counts{}
	for _, c := range got.Targets {
		inTargets = inTargets.Plus(c)
	}
	inStore := got.Deleted
	for _, k := range store.Kinds() {
		inStore.Add(k, -inTargets.Of(k))
	}
	if inStore != each(4, 1) {
		t.Errorf("the store counted %+v, want exactly %+v", inStore, each(4, 1))
	}
	for _, f := range w.targets {
		if f.has("acme") != (store.Counts{}) || f.has("acme-1") != (store.Counts{}) || f.has("globex") != each(7, 0) {
			t.Errorf("%s holds %+v", f.name, f.held)
		}
	}
	if n, err := s.Count(context.Background(), "globex"); err != nil || n != each(3, 0) {
		t.Errorf("the store holds %+v of the bystander, %v", n, err)
	}
	return got
}

// TestRun_G5_KillAtEveryStepWithAccountsCountsExactly also kills it while it
// asks for the accounts, and once more after it was resumed.
func TestRun_G5_KillAtEveryStepWithAccountsCountsExactly(t *testing.T) {
	t.Parallel()
	template := worldTemplate(t)
	for _, groups := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			steps := 0
			for k := 1; ; k++ {
				w := newWorld(t, template)
				w.groups = groups
				for _, f := range w.targets {
					f.books = map[string]store.Counts{"another": each(9, 0)}
				}
				l := &life{at: k, after: after}
				w.live(context.Background(), t, l)
				if !l.over() {
					break
				}
				w.live(context.Background(), t, &life{at: 1 + k%20, after: !after})
				w.live(context.Background(), t, &life{})
				w.check(t, true)
				if steps++; t.Failed() {
					t.Fatalf("killed at step %d, after the effect: %t, groups: %t", k, after, groups)
				}
			}
			if steps < 15 {
				t.Errorf("%d steps", steps)
			}
		}
	}
}

func TestRun_G5_KillAtEveryStepResumesAndCountsHonestly(t *testing.T) {
	t.Parallel()
	template := worldTemplate(t)
	for _, after := range []bool{false, true} {
		exact, k := 0, 1
		for ; ; k++ {
			w := newWorld(t, template)
			l := &life{at: k, after: after}
			w.live(context.Background(), t, l)
			if !l.over() {
				break
			}
			w.live(context.Background(), t, &life{})
			if w.check(t, false).CountsExact {
				exact++
			}
			if t.Failed() {
				t.Fatalf("killed at step %d, after the effect: %t", k, after)
			}
		}
		if k < 30 || exact == 0 || exact == k-1 {
			t.Errorf("after the effect: %t: %d steps, of which %d left exact counts", after, k-1, exact)
		}
	}
}

func TestRun_G5_StopAtEveryStepResumesWithExactCounts(t *testing.T) {
	t.Parallel()
	template := worldTemplate(t)
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			w := newWorld(t, template)
			ctx, cancel := context.WithCancel(context.Background())
			l := &life{at: k, after: after, end: cancel}
			w.live(ctx, t, l)
			cancel()
			if l.steps < k {
				break
			}
			w.live(context.Background(), t, &life{})
			w.check(t, true)
			if t.Failed() {
				t.Fatalf("stopped at step %d, after the effect: %t", k, after)
			}
		}
	}
}

func TestRun_G5_KilledAgainAndAgainEndsAtLast(t *testing.T) {
	t.Parallel()
	template := worldTemplate(t)
	for every := 24; every <= 40; every += 4 {
		w := newWorld(t, template)
		done := false
		for lives := 0; !done; lives++ {
			if lives == 50 {
				t.Fatalf("killed every %d steps: no end after %d lives", every, lives)
			}
			l := &life{at: every, after: lives%2 == 0}
			r := w.live(context.Background(), t, l)
			done = !l.over() && r.Totals.Retrying == 0
		}
		w.check(t, false)
	}
}

func TestRun_G5_KillAtEveryStepOfALargeTreeInTheStoreCountsExactly(t *testing.T) {
	t.Parallel()
	template := t.TempDir()
	s := openStore(t, template)
	tenants := []store.Tenant{due("acme", "")}
	rs := resources("acme", 10)
	for i := range 5000 { // more than one transaction takes
		id := fmt.Sprintf("acme-%d", i)
		tenants = append(tenants, active(id, "acme"))
		if i%100 == 0 {
			rs = append(rs, resources(id, 3)...)
		}
	}
	fill(t, s, tenants, rs)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			w := &world{dir: t.TempDir()}
			copyFile(t, template+"/"+boltstore.FileName, w.dir+"/"+boltstore.FileName)
			l := &life{at: k, after: after}
			w.live(context.Background(), t, l)
			if l.over() {
				w.live(context.Background(), t, &life{})
			}
			s := openStore(t, w.dir)
			got := receipt(t, s, "acme")
			checkAndClose(t, s)
			if got.Deleted != each(10+50*3, 5000) || !got.CountsExact || len(got.Tenants) != 5001 {
				t.Fatalf("killed at step %d, after the effect: %t: receipt of %d tenants, %+v, exact %t",
					k, after, len(got.Tenants), got.Deleted, got.CountsExact)
			}
			if !l.over() {
				if k < 4 {
					t.Errorf("the purge took only %d steps: the tree is too small for this test", k-1)
				}
				break
			}
		}
	}
}

func TestRun_G5_PanicAtEveryCallOfATargetIsRetried(t *testing.T) {
	t.Parallel()
	template := worldTemplate(t)
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			w := newWorld(t, template)
			n := 0
			var mu sync.Mutex
			fault := func(context.Context, call) error {
				mu.Lock()
				defer mu.Unlock()
				if n++; n == k {
					panic("boom")
				}
				return nil
			}
			for _, f := range w.targets {
				if after {
					f.after = fault
				} else {
					f.before = fault
				}
			}
			s := openStore(t, w.dir)
			e := newEngine(t, s, targets(w.targets[0], w.targets[1]), setting(func(s *purge.Settings) { s.Batch = 2 }))
			r := mustRun(t, e)
			if n < k {
				wantOutcomes(t, r, map[string]string{"acme": "deleted"})
				break
			}
			wantOutcomes(t, r, map[string]string{"acme": "retrying"})
			if _, err := s.Update(context.Background(), "acme", store.Update{
				Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Retry(),
			}); err != nil {
				t.Fatal(err)
			}
			wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			w.check(t, false)
			if t.Failed() {
				t.Fatalf("panicked at call %d, after the effect: %t", k, after)
			}
		}
	}
}

// trusting is a store that leaves it to the engine to say that a claim which
// was taken over may have lost a count.
type trusting struct {
	store.Store
	told atomic.Bool
}

func (s *trusting) Resume(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	c, err := s.Store.Resume(ctx, id, req)
	if err == nil {
		p := *c.Tenant.Purge
		p.CountsInexact = false
		c.Tenant.Purge = &p
	}
	return c, err
}

func (s *trusting) Record(ctx context.Context, tok store.Token, a store.Advance) error {
	if a.Inexact {
		s.told.Store(true)
	}
	return s.Store.Record(ctx, tok, a)
}

func TestRun_G5_TellsTheStoreThatACrashMayHaveLostACount(t *testing.T) {
	for _, crashed := range []bool{false, true} {
		w := newWorld(t, worldTemplate(t))
		ctx, cancel := context.WithCancel(context.Background())
		l := &life{at: 12}
		if !crashed {
			l.end = cancel // a stop is no crash
		}
		w.live(ctx, t, l)
		cancel()
		s := &trusting{Store: openStore(t, w.dir)}
		wantOutcomes(t, mustRun(t, newEngine(t, s, targets(w.targets[0], w.targets[1]))), map[string]string{"acme": "deleted"})
		if s.told.Load() != crashed {
			t.Errorf("crashed: %t, told the store: %t", crashed, s.told.Load())
		}
	}
}
