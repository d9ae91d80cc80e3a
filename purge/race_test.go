package purge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

func TestRun_G2_ReactivationAndPassDecideOnce(t *testing.T) {
	for _, external := range []bool{false, true} {
		t.Run(fmt.Sprintf("with a target: %t", external), func(t *testing.T) {
			s := newStore(t)
			var won, lost int
			for round := range 6 {
				var tenants []store.Tenant
				var rs []store.Resource
				var ids []string
				held := map[string]store.Counts{}
				for i := range 60 {
					id := fmt.Sprintf("r%d-t%d", round, i)
					ids = append(ids, id)
					tenants = append(tenants, due(id, ""))
					rs = append(rs, resources(id, 2)...)
					held[id] = each(1, 0)
				}
				fill(t, s, tenants, rs)
				f := newFake("crm", held)
				e := newEngine(t, s)
				if external {
					e = newEngine(t, s, targets(f))
				}
				answers := make([]error, len(ids))
				var wg sync.WaitGroup
				wg.Go(func() { mustRun(t, e) })
				const people = 12 // each reactivates one tenant after the other
				for p := range people {
					wg.Go(func() {
						for i := p; i < len(ids); i += people {
							_, answers[i] = s.Update(context.Background(), ids[i], store.Update{
								Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Reactivate(),
							})
						}
					})
				}
				wg.Wait()
				for i, id := range ids {
					switch code := store.CodeOf(answers[i]); code {
					case "":
						won++
						wantStatus(t, s, store.StatusActive, id)
						if n, err := s.Count(context.Background(), id); err != nil || n != each(2, 0) {
							t.Errorf("%q was reactivated and has %+v, %v", id, n, err)
						}
						if f.has(id) != each(1, 0) {
							t.Errorf("%q was reactivated and has %+v in the target", id, f.has(id))
						}
					case store.Gone, store.Precondition:
						lost++
						wantStatus(t, s, store.StatusDeleted, id)
					default:
						t.Errorf("reactivation of %q: %v", id, answers[i])
					}
				}
			}
			t.Logf("%d reactivations came first, %d came late", won, lost)
			if won+lost != 360 {
				t.Errorf("%d tenants decided", won+lost)
			}
		})
	}
}

func TestRun_RefusedReactivationFollowsTheClaim(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	f := newFake("crm", map[string]store.Counts{"acme": each(1, 0)})
	var refusal error
	f.before = func(context.Context, call) error {
		if refusal == nil {
			_, refusal = s.Update(context.Background(), "acme", store.Update{
				Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Reactivate(),
			})
		}
		return nil
	}
	wantOutcomes(t, mustRun(t, newEngine(t, s, targets(f))), map[string]string{"acme": "deleted"})
	if store.CodeOf(refusal) != store.Precondition {
		t.Errorf("reactivation in the midst of the purge: %v", refusal)
	}
	if diff := cmp.Diff(store.Counts{}, f.has("acme")); diff != "" {
		t.Error(diff)
	}
}
