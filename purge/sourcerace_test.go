package purge_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// assessed is a store in which something happens around the assessments of a
// pass: the first is made ahead of the turn of a tenant, the second in its turn.
type assessed struct {
	*boltstore.Store
	n             atomic.Int32
	before, after func(n int32)
}

func (s *assessed) Assess(ctx context.Context, id string, req store.ClaimRequest) (store.Assessment, error) {
	n := s.n.Add(1)
	if s.before != nil {
		s.before(n)
	}
	a, err := s.Store.Assess(ctx, id, req)
	if s.after != nil {
		s.after(n)
	}
	return a, err
}

// changeTenant changes a tenant as a person does.
func changeTenant(t *testing.T, s store.Store, id string, c store.Change) {
	t.Helper()
	if _, err := s.Update(context.Background(), id, store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: c}); err != nil {
		t.Error(err)
	}
}

func TestRun_G1_AHoldThatEndsInTheMidstIsNoWayAroundTheSource(t *testing.T) {
	s := &assessed{Store: newStore(t)}
	fill(t, s.Store, []store.Tenant{with(due("acme", ""), func(v *store.Tenant) { v.Hold = &store.Hold{Reason: "legal"} })}, nil)
	s.after = func(n int32) {
		if n == 2 {
			changeTenant(t, s, "acme", store.Release())
		}
	}
	d := &directory{} // which does not know it
	e := newEngine(t, s, source(d))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "blocked: hold by acme"})
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "blocked: vanished by acme"})
}

func TestRun_G1_ASubTenantThatIsNewIsAskedAboutToo(t *testing.T) {
	s := &assessed{Store: newStore(t)}
	row := dueRow("acme", "")
	fill(t, s.Store, []store.Tenant{kept(row)}, nil)
	s.before = func(n int32) {
		if n == 2 {
			b := store.Batch{Tenants: []store.Tenant{active("acme-1", "acme")}}
			if _, err := s.ImportBatch(context.Background(), b, store.Origin{Actor: operator, At: time.Now()}); err != nil {
				t.Error(err)
			}
		}
	}
	d := &directory{}
	d.set(row)
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{"acme": "blocked: vanished by acme-1"})
}

func TestRun_G1_ATenantThatChangedSinceItWasConfirmedHasToBeConfirmedAgain(t *testing.T) {
	s := &assessed{Store: newStore(t)}
	row := dueRow("acme", "")
	fill(t, s.Store, []store.Tenant{kept(row)}, nil)
	name := "Another"
	s.after = func(n int32) {
		if n == 2 {
			changeTenant(t, s, "acme", store.Edit(&name, nil, nil))
		}
	}
	d := &directory{}
	d.set(row)
	e := newEngine(t, s, source(d))
	wantOutcomes(t, mustRun(t, e), map[string]string{})
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
}

func TestRun_TakesOverNothingOfTheSourceButWhatIsMilder(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	row, name := on("acme", ""), "Another"
	row.Tenant.Name = &name
	d := &directory{}
	d.set(row)
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{})
	if v, err := s.Tenant(context.Background(), "acme"); err != nil || v.Status != store.StatusActive || v.Name == name {
		t.Errorf("%+v, %v; want it active, by its old name", v, err)
	}
}

var _ purge.BatchSource = (*batched)(nil)
