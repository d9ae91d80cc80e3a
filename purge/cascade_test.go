package purge_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// family fills s with acme, due, and its descendants, and two targets with
// n resources of each kind for every one of them and for a bystander.
func family(t testing.TB, s store.Importer, n int64) (tenants []string, a, b *fake) {
	t.Helper()
	fill(t, s, []store.Tenant{
		due("acme", ""), active("acme-1", "acme"), active("acme-2", "acme"), active("acme-1-1", "acme-1"), active("globex", ""),
	}, append(resources("acme", 2), resources("acme-1-1", 2)...))
	tenants = []string{"acme-1-1", "acme-1", "acme-2", "acme"} // deepest first
	held := map[string]store.Counts{"globex": each(n, 0)}
	for _, id := range tenants {
		held[id] = each(n, 0)
	}
	return tenants, newFake("crm", held), newFake("idp", held)
}

func TestRun_G3_AccessFirstAndTenantByTenantFromTheDeepest(t *testing.T) {
	s := newStore(t)
	tenants, a, b := family(t, s, 3)
	j := &journal{}
	a.journal, b.journal = j, j
	e := newEngine(t, s, targets(a, b), setting(func(s *purge.Settings) { s.Batch = 2 }))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})

	// In all targets together the kinds follow each other, and within a kind
	// every target goes through the tenants from the deepest, twice each: the
	// batch takes two of three.
	var kinds []store.Kind
	perTarget := map[string][]string{}
	for _, c := range j.all() {
		if c.Op != "purge" {
			continue
		}
		if len(kinds) == 0 || kinds[len(kinds)-1] != c.Kind {
			kinds = append(kinds, c.Kind)
		}
		perTarget[c.Target] = append(perTarget[c.Target], string(c.Kind)+" "+c.Tenant)
	}
	if diff := cmp.Diff(store.Kinds(), kinds); diff != "" {
		t.Errorf("order of kinds (-want +got):\n%s", diff)
	}
	var want []string
	for _, k := range store.Kinds() {
		for _, id := range tenants {
			want = append(want, string(k)+" "+id, string(k)+" "+id)
		}
	}
	for _, name := range []string{"crm", "idp"} {
		if diff := cmp.Diff(want, perTarget[name]); diff != "" {
			t.Errorf("calls of %s (-want +got):\n%s", name, diff)
		}
	}
}

// lastCalls is a store that notes when a tenant's own record goes.
type lastCalls struct {
	store.Store
	j *journal
}

func (s lastCalls) Finish(ctx context.Context, tok store.Token, v store.Verification) (store.Receipt, error) {
	s.j.add(call{Target: "store", Op: "finish", Tenant: tok.TenantID})
	return s.Store.Finish(ctx, tok, v)
}

func (s lastCalls) Erase(ctx context.Context, tok store.Token, at time.Time, lease time.Duration) (store.Erased, error) {
	s.j.add(call{Target: "store", Op: "erase", Tenant: tok.TenantID})
	return s.Store.Erase(ctx, tok, at, lease)
}

func TestRun_G3_G6_TenantGoesLastAfterEveryTargetWasCounted(t *testing.T) {
	s := newStore(t)
	tenants, a, b := family(t, s, 1)
	j := &journal{}
	a.journal, b.journal = j, j
	mustRun(t, newEngine(t, lastCalls{s, j}, targets(a, b)))

	calls := j.all()
	lastPurge := 0
	for i, c := range calls {
		if c.Op == "purge" {
			lastPurge = i
		}
	}
	counted := map[string]int{}
	for _, c := range calls[lastPurge+1 : len(calls)-2] {
		if c.Op != "count" {
			t.Fatalf("%+v between the last deletion and the end", c)
		}
		counted[c.Target+" "+c.Tenant]++
	}
	for _, name := range []string{"crm", "idp"} {
		for _, id := range tenants {
			if n := counted[name+" "+id]; n != len(store.Kinds()) {
				t.Errorf("%s was asked %d times about %q after the deletion, want once a kind", name, n, id)
			}
		}
	}
	if got := calls[len(calls)-2].Op + " " + calls[len(calls)-1].Op; got != "erase finish" {
		t.Errorf("the last calls are %q", got)
	}
}

func TestRun_G4_TouchesOnlyTheClaimedSubtree(t *testing.T) {
	s := newStore(t)
	tenants, a, b := family(t, s, 5)
	j := &journal{}
	a.journal, b.journal = j, j
	mustRun(t, newEngine(t, s, targets(a, b)))
	for _, c := range j.all() {
		if !slices.Contains(tenants, c.Tenant) {
			t.Errorf("%+v is not about the subtree", c)
		}
	}
	for _, f := range []*fake{a, b} {
		if got := f.has("globex"); got != each(5, 0) {
			t.Errorf("%s holds %+v of the bystander", f.name, got)
		}
	}
}

func TestRun_CountsWhatTargetsHeldAndRemoved(t *testing.T) {
	s := newStore(t)
	_, a, b := family(t, s, 3)
	b.kinds = []store.Kind{store.KindUser}
	r := mustRun(t, newEngine(t, s, targets(a, b)))
	// Two tenants with 2 of each kind in the store, four with 3 in crm, and
	// their users in idp.
	want := each(2*2+4*3, 3)
	want.Users += 4 * 3
	if got := r.Tenants[0].ResourcesDeleted; got != want {
		t.Errorf("deleted %+v, want %+v", got, want)
	}
	got := receipt(t, s, "acme")
	if got.Planned != want || got.Deleted != want || got.Remaining != (store.Counts{}) || !got.CountsExact {
		t.Errorf("receipt %+v", got)
	}
	diff := cmp.Diff(map[string]store.Counts{"crm": each(12, 0), "idp": {Users: 12}}, got.Targets)
	if diff != "" {
		t.Errorf("targets of the receipt (-want +got):\n%s", diff)
	}
}

func TestRun_G6_LeftoversPreventTheEndAndAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		_, a, b := family(t, s, 1)
		late := true
		b.after = func(_ context.Context, c call) error {
			if late && c.Tenant == "acme-1" && c.Kind == store.KindUser {
				late = false // somebody signs up behind the deletion
				b.mu.Lock()
				defer b.mu.Unlock()
				b.held["acme-1"] = store.Counts{Users: 2}
			}
			return nil
		}
		e := newEngine(t, s, targets(a, b))
		r := mustRun(t, e)
		wantResult(t, r, purge.ResultPartial)
		wantOutcomes(t, r, map[string]string{"acme": "retrying"})
		if !strings.Contains(r.Tenants[0].Error, "user: 2 left (counted 4, removed 4, found gone 0)") {
			t.Errorf("error %q", r.Tenants[0].Error)
		}
		wantStatus(t, s, store.StatusPurging, "acme", "acme-1")
		wantOutcomes(t, attemptAfterWait(t, e), map[string]string{"acme": "deleted"})
		if got := receipt(t, s, "acme").Targets["idp"]; got.Users != 4+2 {
			t.Errorf("idp removed %+v", got)
		}
	})
}

// attemptAfterWait lets the longest wait pass.
func attemptAfterWait(t *testing.T, e *purge.Engine) purge.Report {
	t.Helper()
	time.Sleep(12 * time.Hour)
	return mustRun(t, e)
}

func TestRun_NoProgressIsAnErrorAndSlowIsNot(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("stuck", ""), due("slow", "")}, nil)
	f := &sluggish{left: 3}
	r := mustRun(t, newEngine(t, s, targets(f)))
	wantOutcomes(t, r, map[string]string{"stuck": "retrying", "slow": "deleted"})
	for _, row := range r.Tenants {
		if row.ID == "stuck" && !strings.Contains(row.Error, "no progress") {
			t.Errorf("error %q", row.Error)
		}
	}
}

// sluggish removes a user only in every third call, and of "stuck" none.
type sluggish struct {
	calls, left int64
}

func (*sluggish) Name() string        { return "sluggish" }
func (*sluggish) Kinds() []store.Kind { return []store.Kind{store.KindUser} }
func (f *sluggish) Count(_ context.Context, id string, _ store.Kind) (int64, error) {
	if id == "stuck" {
		return 1, nil
	}
	return f.left, nil
}

func (f *sluggish) Purge(_ context.Context, r purge.Request) (purge.Removed, error) {
	if r.TenantID == "stuck" {
		return purge.Removed{More: true}, nil
	}
	if f.calls++; f.calls%3 != 0 {
		return purge.Removed{More: true}, nil
	}
	f.left--
	return purge.Removed{Deleted: 1, More: f.left > 0}, nil
}

func TestRun_G5_LostAnswerMakesCountsALowerBoundAndRefusalDoesNot(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		exact bool
	}{
		"no code":     {errors.New("connection reset"), false},
		"internal":    {store.Errorf(store.Internal, "what was that?"), false},
		"deadline":    {store.Errorf(store.Unavailable, "too slow: %w", context.DeadlineExceeded), false},
		"unavailable": {store.Errorf(store.Unavailable, "connection refused"), true},
		"forbidden":   {store.Errorf(store.Forbidden, "no"), true},
		"permanent":   {purge.Permanent(store.Errorf(store.Forbidden, "no")), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				tenants, a, b := family(t, s, 2)
				failed := false
				inject := func(_ context.Context, k call) error {
					if k.Op == "purge" && k.Tenant == "acme-1" && k.Kind == store.KindAPIKey && !failed {
						failed = true
						return c.err
					}
					return nil
				}
				if c.exact {
					b.before = inject // refused: nothing happened
				} else {
					b.after = inject // it happened, and nobody was told
				}
				e := newEngine(t, s, targets(a, b))
				r := mustRun(t, e)
				if purge.IsPermanent(c.err) {
					wantOutcomes(t, r, map[string]string{"acme": "failed"})
					if _, err := s.Update(context.Background(), "acme", store.Update{
						Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Retry(),
					}); err != nil {
						t.Fatal(err)
					}
				} else {
					wantOutcomes(t, r, map[string]string{"acme": "retrying"})
				}
				wantOutcomes(t, attemptAfterWait(t, e), map[string]string{"acme": "deleted"})
				got := receipt(t, s, "acme")
				if got.CountsExact != c.exact {
					t.Errorf("countsExact %t, want %t", got.CountsExact, c.exact)
				}
				want := each(2*int64(len(tenants)), 0)
				if !c.exact {
					want.APIKeys -= 2
				}
				if got.Targets["idp"] != want {
					t.Errorf("idp removed %+v, want %+v", got.Targets["idp"], want)
				}
				if got.Planned != each(4+8+8, 3) {
					t.Errorf("planned %+v: it was counted more than once or not at all", got.Planned)
				}
			})
		})
	}
}

func TestRun_TellsATargetWhenAnEarlierAnswerWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		_, a, _ := family(t, s, 1)
		j := &journal{}
		a.journal = j
		first := true
		a.after = func(context.Context, call) error {
			if first {
				first = false
				return context.DeadlineExceeded
			}
			return nil
		}
		e := newEngine(t, s, targets(a))
		mustRun(t, e)
		n := len(j.all())
		wantOutcomes(t, attemptAfterWait(t, e), map[string]string{"acme": "deleted"})
		for i, c := range j.all() {
			if c.Op == "purge" && c.Resumed != (i >= n) {
				t.Errorf("call %d of %d (the first attempt made %d): resumed is %t", i, len(j.all()), n, c.Resumed)
			}
		}
	})
}
