package purge_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// TestRun_G2_ACustomerWhoComesBackWhileTargetsAreAskedIsNotPurged: neither by a
// pass nor by a person's deletion.
func TestRun_G2_ACustomerWhoComesBackWhileTargetsAreAskedIsNotPurged(t *testing.T) {
	for name, purgeIt := range map[string]func(*testing.T, *purge.Engine){
		"Pass": func(t *testing.T, e *purge.Engine) { mustRun(t, e) },
		"Delete": func(t *testing.T, e *purge.Engine) {
			_, err := e.Delete(t.Context(), purge.Deletion{ID: "acme", Actor: operator})
			if store.CodeOf(err) != store.Precondition {
				t.Errorf("Delete = %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				fill(t, s, []store.Tenant{due("acme", "")}, nil)
				d := &directory{}
				d.set(off("acme", "", -time.Hour))
				b := newBiller(nil)
				b.ask = func(context.Context, string) error {
					time.Sleep(10 * time.Second)
					d.set(on("acme", ""))
					time.Sleep(15 * time.Second)
					return nil
				}
				crm := newFake("crm", map[string]store.Counts{"acme": {Users: 2}})
				e := newEngine(t, s, targets(crm, guarded(t, b, purge.DefaultPolicy())), func(o *purge.Options) { o.Source = d })
				purgeIt(t, e)
				if crm.has("acme").Users != 2 {
					t.Errorf("%d users are left", crm.has("acme").Users)
				}
				if got := status(t, s, "acme"); got == store.StatusPurging || got == store.StatusDeleted {
					t.Errorf("acme is %s", got)
				}
			})
		})
	}
}

// TestRun_G6_ATargetThatWasTakenOutInTheMidstHoldsThePurgeUp, as does a kind of it,
// however far it was. Put back, it goes on.
func TestRun_G6_ATargetThatWasTakenOutInTheMidstHoldsThePurgeUp(t *testing.T) {
	withouts := map[string]func(crm *fake) []purge.Target{
		"Target": func(*fake) []purge.Target { return nil },
		"Kind": func(crm *fake) []purge.Target {
			crm.kinds = []store.Kind{store.KindAPIKey}
			return []purge.Target{crm}
		},
	}
	steps := 0
	for when, away := range map[string]func(call) bool{
		"BeforeItWasCounted": func(call) bool { return true },
		"BeforeTheKind":      func(c call) bool { return c.Op == "purge" && c.Kind == store.KindUser },
		"AfterAStep":         func(c call) bool { return c.Op == "purge" && c.Kind == store.KindUser && steps == 2 },
	} {
		for name, without := range withouts {
			for _, others := range []bool{true, false} {
				t.Run(when+"/"+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						steps = 0
						s := newStore(t)
						fill(t, s, []store.Tenant{due("acme", "")}, nil)
						crm := newFake("crm", map[string]store.Counts{"acme": {APIKeys: 1, Users: 5}})
						crm.before = func(_ context.Context, c call) error {
							if c.Op == "purge" && c.Kind == store.KindUser {
								steps++
							}
							if away(c) {
								return store.Errorf(store.Unavailable, "away")
							}
							return nil
						}
						var idp []purge.Target
						if others {
							idp = append(idp, newFake("idp", nil))
						}
						small := setting(func(s *purge.Settings) { s.Batch = 2 })
						mustRun(t, newEngine(t, s, targets(append(idp, crm)...), small))
						crm.before = nil
						time.Sleep(time.Hour)
						mustRun(t, newEngine(t, s, targets(append(idp, without(crm)...)...), small))
						wantStatus(t, s, store.StatusPurging, "acme")
						if p := progress(t, s, "acme"); !strings.Contains(p.LastError, "crm") || !strings.Contains(p.LastError, "put") {
							t.Errorf("on record is %q", p.LastError)
						}
						crm.kinds = nil
						time.Sleep(24 * time.Hour)
						mustRun(t, newEngine(t, s, targets(append(idp, crm)...), small))
						if r := receipt(t, s, "acme"); r.Deleted.Users != 5 || crm.has("acme").Users != 0 {
							t.Errorf("deleted %+v, left %+v", r.Deleted, crm.has("acme"))
						}
					})
				})
			}
		}
	}
}

// releasing is a store in which a hold ends right after an assessment.
type releasing struct {
	store.Store
	t  *testing.T
	id string
}

func (r *releasing) Assess(ctx context.Context, id string, req store.ClaimRequest) (store.Assessment, error) {
	a, err := r.Store.Assess(ctx, id, req)
	if r.id == id {
		r.id = ""
		up := store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Release()}
		if _, err := r.Update(ctx, id, up); err != nil {
			r.t.Error(err)
		}
	}
	return a, err
}

func TestDelete_NobodyIsDeletedWhoseSubscriptionsWereNotAskedFor(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{with(due("acme", ""), func(v *store.Tenant) { v.Hold = &store.Hold{Reason: "litigation"} })}, nil)
	b := newBiller(map[string]int64{"acme": 3})
	e := newEngine(t, &releasing{s, t, "acme"}, targets(guarded(t, b, purge.DefaultPolicy())))
	if _, err := e.Delete(t.Context(), purge.Deletion{ID: "acme", Actor: operator}); !isBlocked(err, store.BlockHold, "acme") {
		t.Errorf("Delete = %v; want the hold that was there when it was asked about", err)
	}
	if _, err := e.Delete(t.Context(), purge.Deletion{ID: "acme", Actor: operator}); !isBlocked(err, store.BlockActiveSubscriptions, "acme") {
		t.Errorf("Delete = %v", err)
	}
	wantStatus(t, s, store.StatusDisabled, "acme")
}
