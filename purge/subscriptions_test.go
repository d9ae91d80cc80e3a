package purge_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

type (
	counts = map[string]int64
	wanted = map[string]string
)

// planned makes a plan that must say what is wanted.
func planned(t testing.TB, e *purge.Engine, want wanted) {
	t.Helper()
	wantOutcomes(t, mustPlan(t, e), want)
}

// rowOf returns the row of a tenant.
func rowOf(t testing.TB, r purge.Report, id string) purge.Row {
	t.Helper()
	for _, row := range r.Tenants {
		if row.ID == id {
			return row
		}
	}
	t.Fatalf("no row of %q in %+v", id, r.Tenants)
	return purge.Row{}
}

func TestRun_ActiveSubscriptionsOfATargetBlockAsThePlanSays(t *testing.T) {
	for name, c := range map[string]struct {
		active counts
		want   wanted
	}{
		"nobody":               {nil, wanted{"acme": "deleted"}},
		"somebody else":        {counts{"globex": 3}, wanted{"acme": "deleted"}},
		"the tenant":           {counts{"acme": 1}, wanted{"acme": "blocked: active_subscriptions by acme", "acme-2": "deleted"}},
		"a sub-tenant":         {counts{"acme-1": 7}, wanted{"acme": "blocked: active_subscriptions by acme-1", "acme-2": "deleted"}},
		"one far below":        {counts{"acme-1-1": 1}, wanted{"acme": "blocked: active_subscriptions by acme-1-1", "acme-2": "deleted"}},
		"one that is due":      {counts{"acme-2": 1}, wanted{"acme": "blocked: active_subscriptions by acme-2", "acme-2": "blocked: active_subscriptions by acme-2"}},
		"several, the top too": {counts{"acme-1": 1, "acme": 1}, wanted{"acme": "blocked: active_subscriptions by acme", "acme-2": "deleted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			fill(t, s, []store.Tenant{due("acme", ""), active("acme-1", "acme"), active("acme-1-1", "acme-1"), due("acme-2", "acme")}, nil)
			b := newBiller(c.active)
			crm := newFake("crm", map[string]store.Counts{"acme": {Users: 2}})
			e := newEngine(t, s, targets(crm, guarded(t, b, purge.DefaultPolicy())))
			unchanged(t, s, "a plan", func() { planned(t, e, c.want) })
			r := mustRun(t, e)
			wantOutcomes(t, r, c.want)
			wantResult(t, r, purge.ResultOK)
			if c.want["acme"] == "deleted" {
				if got := receipt(t, s, "acme").Targets; len(got) != 1 || got["crm"].Users != 2 {
					t.Errorf("the receipt has the targets %v; want crm, which alone holds something", got)
				}
				return
			}
			wantStatus(t, s, store.StatusDisabled, "acme")
			if v, err := s.Tenant(context.Background(), "acme"); err != nil || v.Purge != nil || v.Block == nil || v.Block.Reason != store.BlockActiveSubscriptions {
				t.Errorf("acme: %+v, %v; want the block on the record", v, err)
			}
			if crm.has("acme").Users != 2 {
				t.Error("what the tenant has in another target was removed")
			}
			b.set(nil, nil)
			if r := mustRun(t, e); outcomes(r)["acme"] != "deleted" {
				t.Errorf("the subscriptions have ended, and %v", outcomes(r))
			}
		})
	}
}

// Absence is never consent.
func TestRun_ATargetThatDoesNotTellSubscriptionsPurgesNobodyAndHoldsUpNoOther_G11(t *testing.T) {
	for name, ask := range map[string]func(context.Context) error{
		"an error":    func(context.Context) error { return errDown },
		"no code":     func(context.Context) error { return errors.New("odd") },
		"a panic":     func(context.Context) error { panic("boom") },
		"goexit":      func(context.Context) error { runtime.Goexit(); return nil },
		"no answer":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"not heeding": func(context.Context) error { time.Sleep(time.Hour); return nil },
		"not allowed": func(context.Context) error { return store.Errorf(store.Forbidden, "403") },
		"not there":   func(context.Context) error { return store.Errorf(store.NotFound, "404") },
		"too many":    func(context.Context) error { return store.Errorf(store.Exhausted, "429") },
		"never": func(context.Context) error {
			return purge.Permanent(store.Errorf(store.Invalid, "an id that it cannot have"))
		},
		"less than no": nil,
	} {
		for _, guard := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, guarded %t", name, guard), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStore(t)
					fill(t, s, []store.Tenant{due("a", ""), active("a-1", "a"), due("b", ""), due("c", "")}, nil)
					b := newBiller(counts{"c": 1})
					b.ask = func(ctx context.Context, id string) error {
						if id == "a-1" && ask != nil {
							return ask(ctx)
						}
						return nil
					}
					if ask == nil {
						b.active["a-1"] = -1
					}
					var target purge.Target = b
					if guard {
						target = guarded(t, b, plain())
					}
					e := newEngine(t, s, targets(target), setting(func(s *purge.Settings) { s.CallTimeout = 7 * time.Second }))
					want := wanted{"a": "retrying", "b": "deleted", "c": "blocked: active_subscriptions by c"}
					planned(t, e, want)
					r := mustRun(t, e)
					wantOutcomes(t, r, want)
					wantResult(t, r, purge.ResultPartial)
					if text := rowOf(t, r, "a").Error; !strings.Contains(text, "target billing") || !strings.Contains(text, `"a-1"`) {
						t.Errorf("the reason is %q; want it to name target and tenant", text)
					}
					if v, err := s.Tenant(context.Background(), "a"); err != nil || v.Status != store.StatusDisabled || v.Purge != nil {
						t.Errorf("a: %+v, %v; want it disabled, and no attempt counted", v, err)
					}
					b.set(nil, nil)
					wantOutcomes(t, mustRun(t, e), wanted{"a": "deleted", "c": "deleted"})
					time.Sleep(2 * time.Hour) // for the call that was left behind
				})
			})
		}
	}
}

func TestRun_G2_AReactivationWhileATargetIsAskedWins(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		t.Run(fmt.Sprintf("immediate %t", immediate), func(t *testing.T) {
			s := newStore(t)
			fill(t, s, []store.Tenant{due("acme", ""), active("acme-1", "acme")}, resources("acme", 1))
			b := newBiller(nil)
			b.ask = func(_ context.Context, id string) error {
				if id != "acme-1" {
					return nil
				}
				_, err := s.Update(context.Background(), "acme", store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Reactivate()})
				return err
			}
			e := newEngine(t, s, targets(b))
			if immediate {
				if _, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator}); store.CodeOf(err) != store.Precondition {
					t.Errorf("Delete: %v; want it refused", err)
				}
			} else {
				wantOutcomes(t, mustRun(t, e), wanted{})
			}
			wantStatus(t, s, store.StatusActive, "acme", "acme-1")
			if n, err := s.Count(context.Background(), "acme"); err != nil || n.Users != 1 {
				t.Errorf("%+v, %v; want it untouched", n, err)
			}
		})
	}
}

func TestDelete_AsksForSubscriptionsToo(t *testing.T) {
	for name, c := range map[string]struct {
		active counts
		ask    func(context.Context, string) error
		want   store.Code
		by     string
	}{
		"none":         {nil, nil, "", ""},
		"one":          {counts{"acme": 1}, nil, store.Precondition, "acme"},
		"a sub-tenant": {counts{"sub": 2}, nil, store.Precondition, "sub"},
		"no answer":    {nil, down, store.Unavailable, ""},
		"not allowed":  {nil, func(context.Context, string) error { return store.Errorf(store.Forbidden, "403") }, store.Unavailable, ""},
	} {
		for _, was := range []store.Status{store.StatusDisabled, store.StatusActive} {
			t.Run(fmt.Sprintf("%s, %s", name, was), func(t *testing.T) {
				t.Parallel()
				s := newStore(t)
				acme := disabled("acme", "", 24*time.Hour)
				if was == store.StatusActive {
					acme = active("acme", "")
				}
				fill(t, s, []store.Tenant{acme, active("sub", "acme")}, nil)
				b := newBiller(c.active)
				b.ask = c.ask
				e := newEngine(t, s, targets(b), policy(purge.DeleteAny))
				before := auditHead(t, s)
				_, err := e.Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator})
				if store.CodeOf(err) != c.want {
					t.Fatalf("Delete: %v; want %q", err, c.want)
				}
				switch {
				case c.want == "":
					wantStatus(t, s, store.StatusDeleted, "acme")
					return
				case c.by != "" && !isBlocked(err, store.BlockActiveSubscriptions, c.by):
					t.Errorf("Delete: %v; want it blocked by %s", err, c.by)
				case c.by == "" && !strings.Contains(err.Error(), "target billing"):
					t.Errorf("Delete: %v; want the target in it", err)
				}
				v, err := s.Tenant(context.Background(), "acme")
				if err != nil || v.Status != was || v.Version != 1 {
					t.Errorf("%+v, %v; want it as it was", v, err)
				}
				kept := c.by != "" && was == store.StatusDisabled
				if got := v.Block != nil; got != kept || auditHead(t, s) > before != kept {
					t.Errorf("the block on the record is %+v", v.Block)
				}
			})
		}
	}
}

func TestRun_SubscriptionsAreAskedForOnceTheSourceConfirms(t *testing.T) {
	s := newStore(t)
	rows := []purge.SourceRow{dueRow("acme", ""), dueRow("gone", ""), dueRow("back", ""), dueRow("paying", "")}
	held := with(due("held", ""), func(v *store.Tenant) { v.Hold = &store.Hold{Reason: "legal"} })
	fill(t, s, []store.Tenant{kept(rows[0]), kept(rows[1]), kept(rows[2]), kept(rows[3]), held}, nil)
	d := &directory{}
	d.set(rows[0], on("back", ""), rows[3])
	b := newBiller(counts{"paying": 1})
	e := newEngine(t, s, source(d), targets(b))
	want := wanted{
		"acme": "deleted", "gone": "blocked: vanished by gone", "held": "blocked: hold by held", "paying": "blocked: active_subscriptions by paying",
	}
	planned(t, e, want)
	_, _ = b.asked()
	wantOutcomes(t, mustRun(t, e), want)
	if ids, _ := b.asked(); !cmp.Equal(ids, []string{"acme", "paying"}) {
		t.Errorf("asked about %v; want those that nothing else holds up", ids)
	}
	wantStatus(t, s, store.StatusActive, "back")
}

func TestRun_WithoutATargetThatCountsSubscriptionsNothingIsAsked(t *testing.T) {
	off := newBiller(nil)
	off.off = true
	s := &assessor{Store: newStore(t)}
	list := []store.Tenant{due("a", ""), due("b", "")}
	fill(t, s.Store.(store.Importer), list, nil)
	both := struct {
		*fake
		purge.SubscriptionCounter
	}{newFake("both", nil), off}
	wantOutcomes(t, mustRun(t, newEngine(t, s, targets(newFake("crm", nil), both, guarded(t, newFake("iam", nil), plain())))),
		wanted{"a": "deleted", "b": "deleted"})
	if ids, _ := off.asked(); s.n != 0 || len(ids) != 0 {
		t.Errorf("the store was asked %d times, the target about %v", s.n, ids)
	}
}

func TestRun_WhatIsClaimedIsNotAskedAboutAgain(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	b := newBiller(nil)
	broken := true
	crm := newFake("crm", nil)
	crm.before = func(context.Context, call) error {
		if broken {
			return errDown
		}
		return nil
	}
	e := newEngine(t, s, targets(crm, b))
	wantOutcomes(t, mustRun(t, e), wanted{"acme": "retrying"})
	wantStatus(t, s, store.StatusPurging, "acme")
	broken = false
	b.set(counts{"acme": 1}, down)
	_, _ = b.asked()
	if _, err := s.Update(context.Background(), "acme", store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Retry()}); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, mustRun(t, e), wanted{"acme": "deleted"})
	if ids, _ := b.asked(); len(ids) != 0 {
		t.Errorf("asked about %v", ids)
	}
}

func TestRun_ASubscriptionThatIsKnownOutranksAnAnswerThatIsMissing(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", ""), active("acme-1", "acme"), active("acme-2", "acme")}, nil)
	b, shop := newBiller(counts{"acme-2": 1}), newBiller(nil)
	shop.name, shop.ask = "shop", down
	e := newEngine(t, s, targets(shop, b))
	want := wanted{"acme": "blocked: active_subscriptions by acme-2"}
	planned(t, e, want)
	wantOutcomes(t, mustRun(t, e), want)
	shop.set(nil, nil)
	b.set(counts{"acme": 1}, nil)
	want = wanted{"acme": "blocked: active_subscriptions by acme"}
	planned(t, e, want)
	wantOutcomes(t, mustRun(t, e), want)
}

func TestNew_ATargetHoldsAKindOrCountsSubscriptions(t *testing.T) {
	off := newBiller(nil)
	off.off = true
	for _, target := range []purge.Target{off, guarded(t, off, plain())} {
		if _, err := purge.New(purge.Options{Store: newStore(t), Targets: []purge.Target{target}, Settings: unlimited()}); store.CodeOf(err) != store.Invalid {
			t.Errorf("New: %v; want invalid", err)
		}
	}
	g := guarded(t, off, plain())
	if _, err := g.ActiveSubscriptions(t.Context(), "a"); store.CodeOf(err) != store.Precondition || g.CountsSubscriptions() {
		t.Errorf("a target that does not count says %v", err)
	}
}
