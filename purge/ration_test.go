package purge_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// marker is a system that marks what is deleted and lists it as before, until it is
// mended: then a step removes what it says.
type marker struct {
	holds, removed int64
	steps          int
	mended         bool
	watch          func() // between steps
}

func (*marker) Name() string        { return "idp" }
func (*marker) Kinds() []store.Kind { return []store.Kind{store.KindUser} }

func (m *marker) Count(context.Context, string, store.Kind) (int64, error) { return m.holds, nil }

func (m *marker) Purge(_ context.Context, r purge.Request) (purge.Removed, error) {
	if m.steps++; m.steps > 10_000 {
		return purge.Removed{}, purge.Permanent(store.Errorf(store.Internal, "deleted from for ever"))
	}
	if m.watch != nil {
		m.watch()
	}
	n := min(m.holds, int64(r.Limit))
	if m.removed += n; m.mended {
		m.holds -= n
		return purge.Removed{Deleted: n, More: m.holds > 0}, nil
	}
	return purge.Removed{Deleted: n, More: true}, nil
}

func TestRun_G5_ASoftDeleteEndsAndMakesTheCountsInexact(t *testing.T) {
	for name, holds := range map[string]int64{"a few": 8, "many": 20_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &marker{holds: holds}
				s := newStore(t)
				fill(t, s, []store.Tenant{due("acme", "")}, nil)
				e := newEngine(t, s, targets(m), setting(func(s *purge.Settings) { s.Batch, s.Attempts = 1000, 3 }))
				m.watch = func() {
					for _, row := range e.Progress() {
						if row.Remaining == 0 {
							t.Errorf("after %d of %d the progress is that nothing remains", row.Done, holds)
						}
					}
				}
				wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
				p := progress(t, s, "acme")
				if m.removed > 4*holds+40 || p.Attempts != 1 || !strings.Contains(p.LastError, "a soft delete?") {
					t.Errorf("%d of %d were removed in an attempt, %d are spent, %q", m.removed, holds, p.Attempts, p.LastError)
				}
				if p.Unaccounted["idp"].Counts.Users != holds-m.removed {
					t.Errorf("on record is %+v, want %d", p.Unaccounted, holds-m.removed)
				}
				before := m.removed
				time.Sleep(time.Hour)
				wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
				if m.removed == before {
					t.Error("the second attempt did nothing")
				}

				m.mended = true
				time.Sleep(12 * time.Hour)
				wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
				r := receipt(t, s, "acme")
				if diff := cmp.Diff(map[string]store.Counts{"idp": {Users: holds - m.removed}}, r.Unaccounted); diff != "" || r.CountsExact {
					t.Errorf("exact %t; unaccounted for (-want +got):\n%s", r.CountsExact, diff)
				}
			})
		})
	}
}

func TestRun_G5_ASoftDeleteSpendsItsAttemptsAndIsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &marker{holds: 8}
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		e := newEngine(t, s, targets(m), setting(func(s *purge.Settings) { s.Attempts = 2 }))
		mustRun(t, e)
		time.Sleep(time.Hour)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "failed"})
	})
}

// More than was counted is no fault while it goes down: the first count missed some.
func TestRun_G5_MoreThanWasCountedIsRemovedWhileItGoesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(50_000)
		x.down = func(counts, steps int) bool { return counts == 1 && steps == 0 }
		e, s := doubtful(t, x, setting(func(s *purge.Settings) { s.Batch = 7 }))
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		r := receipt(t, s, "acme")
		if r.Deleted.Users != 50_000 || r.CountsExact || r.Unaccounted["idp"].Users != -50_000 {
			t.Errorf("deleted %d of 50000, exact %t, unaccounted for %+v; none was counted", r.Deleted.Users, r.CountsExact, r.Unaccounted)
		}
		if x.counts > 20 {
			t.Errorf("%d counts", x.counts)
		}
	})
}
