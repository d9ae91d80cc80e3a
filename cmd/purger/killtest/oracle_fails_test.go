package killtest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// scene is an oracle and a store that is as it must be: left was purged, kept and
// held are there, and coming is in the midst of its import.
type scene struct {
	*snapshot
	oracle                   *oracle
	left, kept, held, coming *tenant
}

func newScene(t *testing.T) *scene {
	t.Helper()
	g := &generator{rng: rand.New(rand.NewPCG(1, 2)), now: store.Trim(time.Now())}
	s := &scene{oracle: newOracle(), snapshot: &snapshot{
		live: map[string]store.Tenant{}, resources: map[string]map[store.Kind]map[string]string{},
		stones: map[string]store.Tombstone{}, receipts: map[string]store.Receipt{},
	}}
	s.left, s.kept, s.held, s.coming = g.root(g.due()), g.root(g.later()), g.root(g.due()), g.root(g.active())
	s.left.child(g.active())
	s.held.spec.held = true
	for _, n := range []*tenant{s.left, s.kept, s.held, s.coming} {
		for _, n := range n.subtree() {
			n.holds = store.Counts{Users: 2, APIKeys: 1}
			s.oracle.expect(n)
			s.put(n)
		}
	}
	s.coming.importOf = &file{tenants: []*tenant{s.coming}}
	s.gates.Import = &store.Import{}
	delete(s.resources[s.coming.id][store.KindUser], s.coming.resourceID(store.KindUser, 1))
	s.purge(t, s.left)
	s.enter(t, store.Entry{Action: store.ActionImportOpen})
	return s
}

// put makes the record and the resources of a tenant.
func (s *scene) put(n *tenant) {
	r := store.Tenant{ID: n.id, Status: n.spec.status, DisabledAt: n.spec.disabledAt, PurgeAfterDays: n.spec.days}
	if n.above != nil {
		r.ParentID = n.above.id
	}
	if n.spec.status == store.StatusDisabled {
		r.EstimatedPurgeDate = n.spec.date()
	}
	if n.spec.held {
		r.Hold = &store.Hold{Reason: "litigation"}
	}
	s.live[n.id] = r
	s.resources[n.id] = map[store.Kind]map[string]string{}
	for _, k := range store.Kinds() {
		s.resources[n.id][k] = map[string]string{}
		for i := range n.holds.Of(k) {
			s.resources[n.id][k][n.resourceID(k, i)] = n.resourceData(k, i)
		}
	}
}

// purge makes what is left of a subtree.
func (s *scene) purge(t *testing.T, top *tenant) {
	t.Helper()
	r := store.Receipt{ID: "receipt", TenantID: top.id, CountsExact: true, DeletedAt: store.Timestamp{Time: time.Now()}}
	r.DisabledAt.Time, r.EstimatedPurgeDate.Time = top.spec.disabledAt, top.spec.date()
	for _, n := range top.subtree() {
		delete(s.live, n.id)
		s.stones[n.id] = store.Tombstone{ID: n.id, PurgedWith: top.id, Deleted: n.holds}
		r.Tenants, r.Deleted = append(r.Tenants, n.id), r.Deleted.Plus(n.holds)
	}
	r.Deleted.SubTenants = int64(len(r.Tenants) - 1)
	r.Planned = r.Deleted
	s.receipts[top.id] = r
	s.enter(t, store.Entry{Action: store.ActionClaim, TenantID: top.id})
	s.enter(t, store.Entry{Action: store.ActionPurge, TenantID: top.id, Detail: map[string]string{"receiptSha256": r.Digest()}})
}

// enter adds an entry to the audit trail.
func (s *scene) enter(t *testing.T, e store.Entry) {
	t.Helper()
	before := ""
	if n := len(s.audit); n > 0 {
		before = s.audit[n-1].Hash
	}
	e.Seq = uint64(len(s.audit) + 1)
	e.Seal(before)
	s.audit = append(s.audit, e)
}

// alter changes the receipt of what was purged.
func (s *scene) alter(f func(*store.Receipt)) {
	r := s.receipts[s.left.id]
	r.Tenants = slices.Clone(r.Tenants)
	f(&r)
	s.receipts[s.left.id] = r
}

func TestOracle_IsContentWithAStoreThatIsAsItMustBe(t *testing.T) {
	s := newScene(t)
	s.oracle.judge(s.snapshot)
	if wrong := s.oracle.wrong; len(wrong) > 0 {
		t.Errorf("the oracle complains:\n%s", strings.Join(wrong, "\n"))
	}
}

func TestOracle_FindsWhatIsNotAsItMustBe(t *testing.T) {
	for want, spoil := range map[string]func(*testing.T, *scene){
		"lost without a trace":             func(_ *testing.T, s *scene) { delete(s.live, s.kept.id) },
		"user user-000001 of t00002":       func(_ *testing.T, s *scene) { delete(s.resources[s.kept.id][store.KindUser], "user-000001") },
		"; want {":                         func(_ *testing.T, s *scene) { s.resources[s.kept.id][store.KindUser]["user-000000"] = "{}" },
		"1 user that nobody has asked for": func(_ *testing.T, s *scene) { s.resources[s.kept.id][store.KindUser]["x"] = "{}" },
		"x is there, and nobody has asked": func(_ *testing.T, s *scene) { s.live["x"] = store.Tenant{ID: "x", Status: store.StatusActive} },
		"acknowledged was": func(_ *testing.T, s *scene) {
			s.oracle.acknowledged(s.kept, op{action: store.ActionReactivate})
		},
		"the purge of t00002 was acknowledged": func(_ *testing.T, s *scene) {
			s.kept.delete = true
			s.oracle.purgedTop(s.kept.id, s.kept.holds)
		},
		"has purged t00003, which may not be": func(_ *testing.T, s *scene) { s.oracle.purgedTop(s.held.id, s.held.holds) },
		"with t00003, which may not be":       func(t *testing.T, s *scene) { s.purge(t, s.held) },
		"with t00002, which may not be":       func(t *testing.T, s *scene) { s.purge(t, s.kept) },
		"with t00004, which may not be":       func(t *testing.T, s *scene) { s.purge(t, s.coming) },
		"of the same subtree was not": func(_ *testing.T, s *scene) {
			delete(s.stones, s.left.below[0].id)
			s.put(s.left.below[0])
		},
		"has a record and a tombstone": func(_ *testing.T, s *scene) { s.put(s.left) },
		"has no receipt":               func(_ *testing.T, s *scene) { clear(s.receipts) },
		"imported were":                func(_ *testing.T, s *scene) { s.alter(func(r *store.Receipt) { r.Deleted.Users-- }) },
		"exact: false":                 func(_ *testing.T, s *scene) { s.alter(func(r *store.Receipt) { r.CountsExact = false }) },
		"lists":                        func(_ *testing.T, s *scene) { s.alter(func(r *store.Receipt) { r.Tenants = r.Tenants[1:] }) },
		"before the deeper":            func(_ *testing.T, s *scene) { s.alter(func(r *store.Receipt) { slices.Reverse(r.Tenants) }) },
		"deleted at once":              func(_ *testing.T, s *scene) { s.alter(func(r *store.Receipt) { r.Immediate = true }) },
		"before its date": func(_ *testing.T, s *scene) {
			s.alter(func(r *store.Receipt) { r.DeletedAt.Time = s.left.spec.disabledAt })
		},
		"has the digest":                        func(_ *testing.T, s *scene) { s.alter(func(r *store.Receipt) { r.ID = "another" }) },
		"was purged twice":                      func(t *testing.T, s *scene) { s.enter(t, store.Entry{Action: store.ActionPurge, TenantID: s.left.id}) },
		"while an import was incomplete":        func(t *testing.T, s *scene) { s.enter(t, store.Entry{Action: store.ActionClaim, TenantID: s.held.id}) },
		"1 acknowledged, 0 not answered, and 0": func(_ *testing.T, s *scene) { s.oracle.acknowledged(s.held, op{action: store.ActionHold}) },
		"audit entry 2 follows 0":               func(_ *testing.T, s *scene) { s.audit = s.audit[1:] },
		"user user-000001 of t00004": func(t *testing.T, s *scene) {
			s.gates.Import = nil
			s.enter(t, store.Entry{Action: store.ActionImportDone})
		},
		"the import gate is closed, and every": func(_ *testing.T, s *scene) {
			s.put(s.coming)
			s.oracle.imported(s.coming.importOf)
		},
		"t00003 is failed": func(_ *testing.T, s *scene) {
			r := s.live[s.held.id]
			r.Status, r.Purge = store.StatusFailed, &store.Progress{}
			s.live[s.held.id] = r
		},
		"nothing above it was claimed": func(_ *testing.T, s *scene) {
			r := s.live[s.held.id]
			r.Status = store.StatusPurging
			s.live[s.held.id] = r
		},
	} {
		t.Run(want, func(t *testing.T) {
			s := newScene(t)
			spoil(t, s)
			s.oracle.judge(s.snapshot)
			if !slices.ContainsFunc(s.oracle.wrong, func(w string) bool { return strings.Contains(w, want) }) {
				t.Errorf("the oracle says nothing of it: %q", s.oracle.wrong)
			}
		})
	}
}

func TestOracle_RemembersWhatWasPurged(t *testing.T) {
	for want, spoil := range map[string]func(*scene){
		"there again after its purge":         func(s *scene) { s.put(s.left) },
		"the receipt of t00001 has changed":   func(s *scene) { s.alter(func(r *store.Receipt) { r.Deleted.Users-- }) },
		"the tombstone of t00001 has changed": func(s *scene) { s.stones[s.left.id] = store.Tombstone{PurgedWith: s.left.id} },
	} {
		s := newScene(t)
		s.oracle.judge(s.snapshot)
		s.audit, s.live = nil, maps.Clone(s.live)
		spoil(s)
		s.oracle.judge(s.snapshot)
		if len(s.oracle.wrong) != 1 || !strings.Contains(s.oracle.wrong[0], want) {
			t.Errorf("the oracle says %q; want %q", s.oracle.wrong, want)
		}
	}
}

func TestOracle_AtTheEndWhatIsDueMustBeGone(t *testing.T) {
	s := newScene(t)
	s.oracle.judge(s.snapshot)
	s.oracle.acknowledged(s.held, op{action: store.ActionRelease})
	s.oracle.judgeEnd(s.snapshot)
	want := []string{"t00003 is due", "the import gate is closed at the end"}
	if got := s.oracle.wrong; len(got) != 2 || !strings.HasPrefix(got[0], want[0]) || got[1] != want[1] {
		t.Errorf("the oracle says %q; want %q", got, want)
	}
}

// acknowledged asks for a change and acknowledges it.
func (o *oracle) acknowledged(t *tenant, p op) {
	o.asks(t, p)
	o.acknowledges(t, p, time.Time{})
}
