package purge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

func mustPlan(t testing.TB, e *purge.Engine) purge.Report {
	t.Helper()
	r, err := e.Plan(context.Background())
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	return r
}

// drawForest draws tenants with all that decides about them.
func drawForest(t *rapid.T) (tenants []store.Tenant, rs []store.Resource) {
	now := store.Trim(time.Now())
	n := rapid.IntRange(1, 24).Draw(t, "tenants")
	for i := range n {
		parent := ""
		if p := rapid.IntRange(-2, i-1).Draw(t, "parent"); p >= 0 {
			parent = tenants[p].ID
		}
		v := active(fmt.Sprintf("t%02d", i), parent)
		if rapid.IntRange(0, 2).Draw(t, "disabled") > 0 {
			v = disabled(v.ID, parent, 0)
			v.EstimatedPurgeDate = now.Add(time.Duration(rapid.IntRange(-9, 2).Draw(t, "hours")) * time.Hour).Add(-time.Minute)
			v.DisabledAt = v.EstimatedPurgeDate.Add(-graceDays * 24 * time.Hour)
		}
		switch rapid.IntRange(0, 9).Draw(t, "hold") {
		case 0:
			v.Hold = &store.Hold{Reason: "litigation"}
		case 1:
			v.Hold = &store.Hold{Reason: "over", Until: now.Add(-time.Hour)}
		}
		if rapid.IntRange(0, 11).Draw(t, "subscriptions") == 0 {
			v.ActiveSubscriptions = 1
		}
		tenants = append(tenants, v)
		rs = append(rs, resources(v.ID, rapid.IntRange(0, 2).Draw(t, "resources"))...)
	}
	return tenants, rs
}

func drawSettings(t *rapid.T) purge.Settings {
	s := unlimited()
	s.Concurrency = 1
	bound := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 15))
	s.PerPass = bound.Draw(t, "perPass")
	s.Limits.PerDay = bound.Draw(t, "perDay")
	s.Limits.PerDayShare = rapid.SampledFrom([]float64{0, 0, 0.3, 0.6}).Draw(t, "share")
	s.Limits.ShareFloor = rapid.Int64Range(0, 4).Draw(t, "floor")
	if s.PerPass == 0 && s.Limits.PerDay == 0 && s.Limits.PerDayShare == 0 {
		// Beyond a limit the order of claims decides; without one it must not.
		s.Concurrency = rapid.IntRange(1, 8).Draw(t, "concurrency")
	}
	s.Protected = rapid.SliceOfN(rapid.SampledFrom([]string{"t00", "t03", "t07", "t11"}), 0, 1).Draw(t, "protected")
	return s
}

func TestPlan_EqualsWhatRunThenDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: t.TempDir(), MmapSize: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		tenants, rs := drawForest(rt)
		fill(t, s, tenants, rs)
		options := []func(*purge.Options){func(o *purge.Options) { o.Settings = drawSettings(rt) }}
		if rapid.Bool().Draw(rt, "target") {
			held := map[string]store.Counts{}
			for _, v := range tenants {
				held[v.ID] = each(rapid.Int64Range(0, 2).Draw(rt, "held"), 0)
			}
			options = append(options, targets(newFake("crm", held)))
		}
		if rapid.IntRange(0, 4).Draw(rt, "paused") == 0 {
			change(t, s, store.PausePurging("test", time.Time{}))
		}
		e := newEngine(t, s, options...)
		for range 2 { // the second time on what the first left behind
			before := state(t, s)
			planned := mustPlan(t, e)
			if diff := cmp.Diff(before, state(t, s)); diff != "" {
				rt.Fatalf("the plan changed the store:\n%s", diff)
			}
			if planned.Result != purge.ResultPlanned { // paused, or halted by the pass before
				planned = opened(rt, planned, mustRun(t, e))
				change(t, s, store.ResumePurging("test", 0))
			}
			ran, err := e.Run(context.Background(), purge.TriggerRun)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(inCommon(planned), inCommon(ran)); diff != "" {
				rt.Fatalf("the pass differs (-plan +run):\n%s", diff)
			}
		}
		if err := s.Check(context.Background()); err != nil {
			rt.Fatal(err)
		}
	})
}

// opened makes of a plan under a closed gate the one without, after comparing it
// with the pass that runs into the gate.
func opened(t *rapid.T, plan, run purge.Report) purge.Report {
	if plan.Result != run.Result || plan.Gate == nil || run.Gate == nil || *plan.Gate != *run.Gate {
		t.Fatalf("plan: %s, %+v; the pass: %s, %+v", plan.Result, plan.Gate, run.Result, run.Gate)
	}
	if len(run.Tenants) > 0 {
		t.Fatalf("a pass under a closed gate did %+v", run.Tenants)
	}
	plan.Result, plan.Gate, plan.Halt = purge.ResultPlanned, plan.Halt, nil
	return plan
}

// state is all of a store that a plan might change.
func state(t testing.TB, s store.Store) [2]any {
	t.Helper()
	st, err := s.Stats(context.Background(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Gates(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	st.Size = store.FileStats{}
	return [2]any{st, g}
}

// inCommon leaves what a plan and a pass have in common.
func inCommon(r purge.Report) map[string]any {
	gate := store.GateReason("")
	if r.Gate != nil {
		gate = r.Gate.Reason
	}
	if r.Result == purge.ResultPlanned {
		r.Result = purge.ResultOK
		if gate == store.GateHalted {
			r.Result = purge.ResultHalted
		}
	}
	rows := slices.Clone(r.Tenants)
	for i := range rows {
		rows[i].Targets = nil
	}
	return map[string]any{"result": r.Result, "gate": gate, "rows": rows, "totals": r.Totals}
}

func TestPlan_ListsNothingBeyondALimitThatWouldHalt(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(6, 2), nil)
	e := newEngine(t, s, setting(func(s *purge.Settings) { s.PerPass = 5 }))
	for range 2 { // planning twice uses nothing up
		r := mustPlan(t, e)
		wantResult(t, r, purge.ResultPlanned)
		if r.Gate == nil || r.Gate.Reason != store.GateHalted || r.Trigger != purge.TriggerPlan {
			t.Errorf("gate %+v, trigger %q", r.Gate, r.Trigger)
		}
		wantOutcomes(t, r, map[string]string{"t000": "deleted", "t001": "deleted"})
	}
	if g, err := s.Gates(context.Background()); err != nil || g.Halt != nil {
		t.Errorf("a plan halted purging: %+v, %v", g, err)
	}
	if runs, err := s.Runs(context.Background(), 1); err != nil || len(runs) != 0 {
		t.Errorf("a plan is on record as a pass: %+v, %v", runs, err)
	}
}

func TestPlan_UnderAClosedGateSaysWhichAndWhatFollows(t *testing.T) {
	for name, tc := range map[string]struct {
		stop    func(t *testing.T, s *boltstore.Store)
		perPass int64
		result  purge.Result
		halt    bool
	}{
		"paused": {func(t *testing.T, s *boltstore.Store) { change(t, s, store.PausePurging("migration", time.Time{})) }, 0, purge.ResultPaused, false},
		"paused, and then a limit": {func(t *testing.T, s *boltstore.Store) {
			change(t, s, store.PausePurging("migration", time.Time{}))
		}, 2, purge.ResultPaused, true},
		"importing": {func(t *testing.T, s *boltstore.Store) {
			if err := s.BeginImport(context.Background(), store.Import{Digest: "x"}, store.Origin{Actor: operator, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}, 0, purge.ResultImport, false},
		"halted, and then again": {func(t *testing.T, s *boltstore.Store) {
			e := newEngine(t, s, setting(func(s *purge.Settings) { s.Limits.PerDay = 1 }))
			wantResult(t, mustRun(t, e), purge.ResultHalted)
		}, 2, purge.ResultHalted, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			fill(t, s, append(forest(2, 2), with(due("z-held", ""), func(v *store.Tenant) { v.Hold = &store.Hold{Reason: "litigation"} })), nil)
			tc.stop(t, s)
			before := state(t, s)
			r := mustPlan(t, newEngine(t, s, setting(func(s *purge.Settings) { s.PerPass = tc.perPass })))
			if diff := cmp.Diff(before, state(t, s)); diff != "" {
				t.Errorf("the plan changed the store:\n%s", diff)
			}
			wantResult(t, r, tc.result)
			if r.Gate == nil || (r.Halt != nil) != tc.halt {
				t.Errorf("gate %+v, halt %+v", r.Gate, r.Halt)
			}
			want := map[string]string{"t000": "deleted", "t001": "deleted", "z-held": "blocked: hold by z-held"}
			if tc.halt {
				delete(want, "t001")
				delete(want, "z-held")
			}
			wantOutcomes(t, r, want)
		})
	}
}

func TestPlan_IncludesWhatIsToBeResumedWithAllItsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		_, a, b := family(t, s, 3)
		fail := true
		b.before = func(_ context.Context, c call) error {
			if fail && c.Op == "purge" && c.Kind == store.KindUser {
				return store.Errorf(store.Unavailable, "down")
			}
			return nil
		}
		e := newEngine(t, s, targets(a, b))
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		wantOutcomes(t, mustPlan(t, e), map[string]string{}) // its next attempt has not come
		time.Sleep(time.Hour)
		fail = false
		plan, run := mustPlan(t, e), mustRun(t, e)
		if diff := cmp.Diff(inCommon(plan), inCommon(run)); diff != "" {
			t.Errorf("the pass differs (-plan +run):\n%s", diff)
		}
		if got := run.Tenants[0].ResourcesDeleted; got != each(4+12+12, 3) {
			t.Errorf("deleted %+v", got)
		}
	})
}

func TestPlan_PredictsThatATargetWhichCannotBeCountedFails(t *testing.T) {
	for want, err := range map[string]error{
		"retrying": errors.New("down"), "failed": purge.Permanent(errors.New("gone for good")),
	} {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", ""), due("bad", "")}, nil)
		f := newFake("crm", map[string]store.Counts{"acme": each(1, 0)})
		f.before = func(_ context.Context, c call) error {
			if c.Tenant == "bad" {
				return err
			}
			return nil
		}
		e := newEngine(t, s, targets(f))
		plan := mustPlan(t, e)
		wantOutcomes(t, plan, map[string]string{"acme": "deleted", "bad": want})
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted", "bad": want})
	}
}

func TestPlan_TellsWhatIsInWhichTarget(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", ""), due("acme-eu", "acme")}, resources("acme", 1))
	e := newEngine(t, s, targets(
		newFake("crm", map[string]store.Counts{"acme": {Users: 3}, "acme-eu": {Users: 4}}),
		newFake("idp", map[string]store.Counts{"acme-eu": {OAuthClients: 5}}), newFake("none", nil)))
	row := mustPlan(t, e).Tenants[0]
	want := map[string]store.Counts{"crm": {Users: 7}, "idp": {OAuthClients: 5}, "none": {}}
	if diff := cmp.Diff(want, row.Targets); diff != "" {
		t.Error(diff)
	}
	inStore := row.ResourcesDeleted
	for _, n := range want {
		inStore.Users -= n.Users
		inStore.OAuthClients -= n.OAuthClients
	}
	if held := (store.Counts{Users: 1, Credentials: 1, APIKeys: 1, OAuthClients: 1, SubTenants: 1}); inStore != held {
		t.Errorf("%+v without what is in targets, want %+v", inStore, held)
	}
	for _, row := range mustRun(t, e).Tenants {
		if row.Targets != nil {
			t.Errorf("a pass tells %v", row.Targets)
		}
	}
}

// TestPlan_G11_TellsWhatGoesWhereOneTargetCannotGoOn: a pass empties the others.
func TestPlan_G11_TellsWhatGoesWhereOneTargetCannotGoOn(t *testing.T) {
	held := map[string]store.Counts{"acme": {Users: 2}}
	for name, stuck := range map[string]func() purge.Target{
		"broken": func() purge.Target {
			f := newFake("idp", held)
			f.before = func(context.Context, call) error { return store.Errorf(store.Unavailable, "away") }
			return f
		},
		"window": func() purge.Target { return guarded(t, newFake("idp", held), windowed(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				noon()
				s := newStore(t)
				fill(t, s, []store.Tenant{due("acme", "")}, resources("acme", 1))
				e := newEngine(t, s, targets(stuck(), newFake("crm", map[string]store.Counts{"acme": {Users: 3}})))
				plan, err := e.Plan(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				wantOutcomes(t, plan, map[string]string{"acme": "retrying"})
				row := plan.Tenants[0]
				if row.ResourcesDeleted != (store.Counts{Users: 3}) || !strings.Contains(row.Error, "idp") {
					t.Errorf("the plan says %+v, %q", row.ResourcesDeleted, row.Error)
				}
				if diff := cmp.Diff(map[string]store.Counts{"crm": {Users: 3}}, row.Targets); diff != "" {
					t.Errorf("by target: %s", diff)
				}
				r := mustRun(t, e)
				wantOutcomes(t, r, map[string]string{"acme": "retrying"})
				if got := r.Tenants[0].ResourcesDeleted; got != row.ResourcesDeleted {
					t.Errorf("the pass removed %+v, the plan had said %+v", got, row.ResourcesDeleted)
				}
			})
		})
	}
}

func TestPlan_EndedContextIsAnError(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := newEngine(t, s).Plan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPlan_MayRunBesideAPass(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", ""), active("globex", "")}, nil)
	f := newFake("crm", nil)
	var e *purge.Engine
	planned := false
	f.before = func(context.Context, call) error {
		if !planned {
			planned = true
			wantOutcomes(t, mustPlan(t, e), map[string]string{}) // it is being worked on
		}
		return nil
	}
	e = newEngine(t, s, targets(f))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
}

// A descendant whose retry has come is resumed, and its ancestor waits for it;
// the plan knows.
func TestPlan_AncestorWaitsForAResumedDescendant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		crm := newFake("crm", map[string]store.Counts{"child": each(2, 0), "top": each(1, 0)})
		down := true
		crm.before = func(_ context.Context, c call) error {
			if down && c.Op == "purge" && c.Kind == store.KindUser {
				return store.Errorf(store.Unavailable, "down")
			}
			if !down {
				time.Sleep(time.Second) // the resumed work lasts while the ancestor is decided
			}
			return nil
		}
		fill(t, s, []store.Tenant{disabled("top", "", 2*time.Hour), due("child", "top")}, append(resources("child", 3), resources("top", 1)...))
		e := newEngine(t, s, targets(crm))
		mustRun(t, e)
		down = false
		time.Sleep(3 * time.Hour)
		plan, run := mustPlan(t, e), mustRun(t, e)
		want := map[string]string{"child": string(purge.OutcomeDeleted), "top": "blocked: purging by child"}
		wantOutcomes(t, plan, want)
		wantOutcomes(t, run, want)
		if plan.Totals != run.Totals {
			t.Errorf("plan %+v, run %+v", plan.Totals, run.Totals)
		}
	})
}
