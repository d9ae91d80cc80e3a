package purge_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func policy(p purge.DeletePolicy) func(*purge.Options) {
	return setting(func(s *purge.Settings) { s.ImmediateDelete = p })
}

func TestDelete_PolicySaysWhichTenantsMayGo(t *testing.T) {
	for _, c := range []struct {
		policy purge.DeletePolicy
		id     string
		want   store.Code
	}{
		{purge.DeleteNever, "disabled", store.Forbidden},
		{purge.DeleteNever, "active", store.Forbidden},
		{purge.DeleteDisabled, "disabled", ""},
		{purge.DeleteDisabled, "active", store.Precondition},
		{purge.DeleteAny, "disabled", ""},
		{purge.DeleteAny, "active", ""},
		{purge.DeleteAny, "nobody", store.NotFound},
	} {
		t.Run(string(c.policy)+" "+c.id, func(t *testing.T) {
			s := newStore(t)
			fill(t, s, []store.Tenant{
				disabled("disabled", "", time.Hour), active("disabled-1", "disabled"), active("active", ""),
			}, append(resources("disabled-1", 2), resources("active", 2)...))
			e := newEngine(t, s, policy(c.policy))
			r, err := e.Delete(context.Background(), purge.Deletion{ID: c.id, Actor: operator})
			if store.CodeOf(err) != c.want {
				t.Fatalf("error %v, want code %q", err, c.want)
			}
			if err != nil {
				for _, id := range []string{"disabled", "active"} {
					wantStatus(t, s, store.Status(id), id)
				}
				return
			}
			wantStatus(t, s, store.StatusDeleted, c.id)
			if !r.Immediate || r.ClaimedBy != operator.ID || r.TenantID != c.id || r.Deleted.Users != 2 {
				t.Errorf("receipt %+v", r)
			}
			if _, err := e.Delete(context.Background(), purge.Deletion{ID: c.id, Actor: operator}); store.CodeOf(err) != store.Gone {
				t.Errorf("deleting again: %v, want gone", err)
			}
		})
	}
}

func TestDelete_GoesThroughTheSameCascade(t *testing.T) {
	s := newStore(t)
	_, a, b := family(t, s, 3)
	r, err := newEngine(t, s, targets(a, b)).Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator})
	if err != nil {
		t.Fatal(err)
	}
	if want := each(4+12+12, 3); r.Deleted != want || r.Planned != want || !r.CountsExact || len(r.Targets) != 2 {
		t.Errorf("receipt %+v", r)
	}
}

func TestDelete_G2_StaleVersionIsAConflictAndChangesNothing(t *testing.T) {
	for _, id := range []string{"disabled", "active"} {
		s := newStore(t)
		fill(t, s, []store.Tenant{disabled("disabled", "", time.Hour), active("active", "")}, nil)
		name := "New name"
		v, err := s.Update(context.Background(), id, store.Update{
			Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Edit(&name, nil, nil),
		})
		if err != nil {
			t.Fatal(err)
		}
		e := newEngine(t, s, policy(purge.DeleteAny))
		if _, err := e.Delete(context.Background(), purge.Deletion{ID: id, Version: v.Version - 1, Actor: operator}); store.CodeOf(err) != store.Conflict {
			t.Errorf("%s: error %v, want a conflict", id, err)
		}
		wantStatus(t, s, store.Status(id), id)
		if _, err := e.Delete(context.Background(), purge.Deletion{ID: id, Version: v.Version, Actor: operator}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestDelete_OverrulesDatesAndNothingElse(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{
		active("held", ""), with(active("held-1", "held"), func(t *store.Tenant) { t.Hold = &store.Hold{Reason: "litigation"} }),
		disabled("paying", "", time.Hour), with(active("paying-1", "paying"), func(t *store.Tenant) { t.ActiveSubscriptions = 1 }),
		disabled("later", "", time.Hour), disabled("later-1", "later", 2*time.Hour),
		disabled("guarded", "", time.Hour), active("guarded-1", "guarded"),
		disabled("many", "", time.Hour), active("many-1", "many"), active("many-2", "many"), active("many-3", "many"),
		disabled("last", "", time.Hour),
	}, nil)
	e := newEngine(t, s, policy(purge.DeleteAny), setting(func(s *purge.Settings) {
		s.Protected, s.Limits.PerDay = []string{"guarded-1"}, 4
	}))
	del := func(id string) error {
		_, err := e.Delete(context.Background(), purge.Deletion{ID: id, Actor: operator})
		return err
	}
	if err := del("held"); !isBlocked(err, store.BlockHold, "held-1") {
		t.Errorf("a held descendant: %v", err)
	}
	wantStatus(t, s, store.StatusActive, "held") // as before
	if err := del("paying"); !isBlocked(err, store.BlockActiveSubscriptions, "paying-1") {
		t.Errorf("a paying descendant: %v", err)
	}
	if err := del("guarded"); !isBlocked(err, store.BlockProtected, "guarded-1") {
		t.Errorf("a protected descendant: %v", err)
	}
	if err := del("later"); err != nil {
		t.Errorf("later dates: %v", err)
	}
	change(t, s, store.PausePurging("migration", time.Time{}))
	var gate *store.GateError
	if err := del("last"); !errors.As(err, &gate) || gate.Gate.Reason != store.GatePaused {
		t.Errorf("while paused: %v", err)
	}
	change(t, s, store.ResumePurging("go on", 0))
	if err := del("many"); store.CodeOf(err) != store.Exhausted { // 2 of 4 are used, it takes 4
		t.Errorf("beyond a limit: %v", err)
	}
	if err := del("last"); !errors.As(err, &gate) || gate.Gate.Reason != store.GateHalted {
		t.Errorf("after the halt: %v", err)
	}
	wantStatus(t, s, store.StatusDisabled, "paying", "guarded", "many", "last")
}

func TestDelete_ProtectedTenantIsNotEvenDeactivated(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{active("acme", "")}, nil)
	e := newEngine(t, s, policy(purge.DeleteAny), setting(func(s *purge.Settings) { s.Protected = []string{"acme"} }))
	if _, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator}); store.CodeOf(err) != store.Precondition {
		t.Errorf("error %v", err)
	}
	if v, err := s.Tenant(context.Background(), "acme"); err != nil || v.Status != store.StatusActive || v.Version != 1 {
		t.Errorf("tenant %+v, %v", v, err)
	}
}

func TestDelete_IsAConflictWhileAPassWorksOnTheTenant(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	f := newFake("crm", map[string]store.Counts{"acme": each(1, 0)})
	var e *purge.Engine
	var second error
	f.before = func(context.Context, call) error {
		if second == nil {
			_, second = e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator})
		}
		return nil
	}
	e = newEngine(t, s, targets(f))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
	if store.CodeOf(second) != store.Conflict {
		t.Errorf("error %v, want a conflict", second)
	}
}

func TestDelete_UnfinishedIsGoneOnWithByAPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		_, a, _ := family(t, s, 2)
		down := store.Errorf(store.Unavailable, "connection refused")
		a.before = func(_ context.Context, c call) error {
			if c.Op == "purge" && c.Kind == store.KindUser {
				return down
			}
			return nil
		}
		e := newEngine(t, s, targets(a))
		_, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator})
		if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "next attempt") {
			t.Errorf("error %v", err)
		}
		if _, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator}); store.CodeOf(err) != store.Conflict {
			t.Errorf("while it waits: %v, want a conflict", err)
		}
		a.before = nil
		time.Sleep(time.Minute)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		if r := receipt(t, s, "acme"); !r.Immediate || r.ClaimedBy != operator.ID {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestDelete_FailedForGoodSaysSo(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	e := newEngine(t, s, targets(failing("crm", purge.Permanent(store.Errorf(store.NotFound, "no such realm")), "acme")))
	_, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator})
	if store.CodeOf(err) != store.Internal || !strings.Contains(err.Error(), "no such realm") {
		t.Errorf("error %v: want internal, not the code of the target", err)
	}
	wantStatus(t, s, store.StatusFailed, "acme")
}

func TestDelete_StopLeavesTheRestToAPass(t *testing.T) {
	s := newStore(t)
	_, a, _ := family(t, s, 2)
	ctx, cancel := context.WithCancel(context.Background())
	a.before = func(_ context.Context, c call) error {
		if c.Op == "purge" {
			cancel()
		}
		return nil
	}
	e := newEngine(t, s, targets(a))
	if _, err := e.Delete(ctx, purge.Deletion{ID: "acme", Actor: operator}); store.CodeOf(err) != store.Unavailable {
		t.Errorf("error %v", err)
	}
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
	if r := receipt(t, s, "acme"); !r.CountsExact || r.Targets["crm"] != each(8, 0) {
		t.Errorf("receipt %+v", r)
	}
}

// What a refused deletion deactivated on its way is active again, also below a
// tenant that is not: else it would go at a date that nobody asked for.
func TestDelete_G1_RefusedLeavesAnActiveChildOfADisabledParentActive(t *testing.T) {
	s := newStore(t)
	child := with(active("child", "top"), func(v *store.Tenant) { v.ActiveSubscriptions = 1 })
	fill(t, s, []store.Tenant{disabled("top", "", 1000*time.Hour), child}, nil)
	e := newEngine(t, s, setting(func(s *purge.Settings) { s.ImmediateDelete = purge.DeleteAny }))
	_, err := e.Delete(context.Background(), purge.Deletion{ID: "child", Actor: operator})
	if !isBlocked(err, store.BlockActiveSubscriptions, "child") {
		t.Errorf("error %v", err)
	}
	wantStatus(t, s, store.StatusActive, "child")
}

func TestDelete_OnlyDisabledHoldsWhateverThePolicy(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{active("active", ""), disabled("disabled", "", time.Hour)}, nil)
	e := newEngine(t, s, policy(purge.DeleteAny))
	_, err := e.Delete(context.Background(), purge.Deletion{ID: "active", OnlyDisabled: true, Actor: operator})
	if store.CodeOf(err) != store.Precondition {
		t.Errorf("error %v", err)
	}
	wantStatus(t, s, store.StatusActive, "active")
	if v, err := s.Tenant(context.Background(), "active"); err != nil || v.Version != 1 {
		t.Errorf("tenant %+v, %v", v, err)
	}
	if _, err := e.Delete(context.Background(), purge.Deletion{ID: "disabled", OnlyDisabled: true, Actor: operator}); err != nil {
		t.Error(err)
	}
}

// What was checked is what is deleted.
func TestDelete_G2_CheckIsOfTheVersionThatIsDeleted(t *testing.T) {
	for _, id := range []string{"disabled", "active"} {
		s := newStore(t)
		fill(t, s, []store.Tenant{disabled("disabled", "", time.Hour), active("active", "")}, nil)
		e := newEngine(t, s, policy(purge.DeleteAny))
		refusal := store.Errorf(store.Invalid, "not this one")
		_, err := e.Delete(context.Background(), purge.Deletion{ID: id, Actor: operator, Check: func(store.Tenant) error { return refusal }})
		if !errors.Is(err, refusal) {
			t.Errorf("%s: error %v", id, err)
		}
		name := "renamed"
		_, err = e.Delete(context.Background(), purge.Deletion{ID: id, Actor: operator, Check: func(v store.Tenant) error {
			if v.ID != id {
				t.Errorf("checked %+v", v)
			}
			_, err := s.Update(context.Background(), id, store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Edit(&name, nil, nil)})
			return err
		}})
		if store.CodeOf(err) != store.Conflict {
			t.Errorf("%s: error %v, want a conflict", id, err)
		}
		wantStatus(t, s, store.Status(id), id)
	}
}
