package purge_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// says is what a source says of a tenant, for the oracle.
type says struct {
	parent string
	date   time.Time // zero: active
}

// syncModel compares syncs and passes with a map of what the source said.
type syncModel struct {
	t   testing.TB
	s   *boltstore.Store
	src *directory

	truth    map[string]says      // what the source holds
	accepted map[string]says      // the last snapshot that was taken over, if only in part
	missed   map[missed]bool      // what the last syncs left out
	waited   int                  // how often a tenant waited for that alone
	decided  map[string]time.Time // what persons reactivated, as far as it stands
	stood    int                  // how often that was so against a snapshot
	now      time.Time
}

func (m *syncModel) ids() []string { return slices.Sorted(maps.Keys(m.truth)) }

// rows lists what the source holds in an order of chance, with rows among them
// that mean nothing.
func (m *syncModel) rows(rt *rapid.T) (rows []purge.SourceRow, bad map[string]bool) {
	bad = map[string]bool{}
	for _, id := range m.ids() {
		v := m.truth[id]
		r := on(id, v.parent)
		if !v.date.IsZero() {
			r = offAt(id, v.parent, v.date)
		}
		kinds := 24
		if m.due(v.parent) { // it is the way to what is below that matters
			kinds = 8
		}
		switch rapid.IntRange(0, kinds).Draw(rt, "row") {
		case 0:
			bad[id] = true
			r = purge.SourceRow{Tenant: purge.SourceTenant{ID: id}, Err: errors.New("bad")}
		case 1:
			bad[id] = true
			rows = append(rows, offAt(id, v.parent, m.now.Add(-1000*time.Hour)))
		case 2:
			rows = append(rows, r) // the same twice
		case 3:
			bad[id] = true
			r.Tenant.Status = "archived"
		case 4:
			bad[id] = true
			r.Err = errors.New("bad")
		}
		rows = append(rows, r)
	}
	if rapid.IntRange(0, 9).Draw(rt, "junk") == 0 {
		junk := purge.SourceRow{Err: errors.New("junk")}
		if all := m.ids(); len(all) > 0 {
			junk.Tenant.ParentID = rapid.SampledFrom(all).Draw(rt, "above")
		}
		rows = append(rows, junk)
	}
	return rapid.Permutation(rows).Draw(rt, "order"), bad
}

// kept reads the store.
func (m *syncModel) kept() map[string]store.Tenant {
	list, err := m.s.Tenants(context.Background(), store.Filter{})
	if err != nil {
		m.t.Fatal(err)
	}
	out := map[string]store.Tenant{}
	for _, v := range list {
		out[v.ID] = v
	}
	return out
}

// verdict is the oracle's: whether the snapshot has to be refused.
func (m *syncModel) verdict(rows []purge.SourceRow, bad map[string]bool, kept map[string]store.Tenant, vanished map[string]bool, lately []store.SourceHour, limits purge.SyncSettings) bool {
	listed := map[string]bool{}
	sooner, gone, population, readable := 0, 0, 0, 0
	rejected, understood := 0, 0
	for _, r := range rows {
		id := r.Tenant.ID
		if id == "" {
			rejected++
			continue
		}
		if listed[id] {
			continue
		}
		listed[id] = true
		said, old := m.truth[id], kept[id]
		_, is := kept[id]
		if !bad[id] {
			readable++
		}
		if m.purged(id) {
			understood++
			continue
		}
		if bad[id] || is && old.ParentID != said.parent {
			rejected++
			continue
		}
		if !is && m.orphan(said.parent, rows, bad, kept) {
			rejected++
		} else {
			understood++
		}
		if !said.date.IsZero() && !m.stands(id, said) && (!is || old.Status == store.StatusActive || said.date.Before(old.EstimatedPurgeDate)) {
			sooner++
		}
	}
	for id := range kept {
		if vanished[id] && !listed[id] {
			continue
		}
		if !vanished[id] {
			population++
		}
		if !listed[id] {
			gone++
		}
	}
	limit := max(int(limits.MaxChange*float64(population)), int(limits.Floor))
	sooner, gone = with24h(sooner, gone, lately)
	return readable == 0 || rejected > understood || sooner > limit || gone > limit
}

func (m *syncModel) purged(id string) bool {
	_, err := m.s.Tombstone(context.Background(), id)
	return err == nil
}

func (m *syncModel) vanished() map[string]bool {
	marks, err := m.s.SourceMarks(context.Background(), store.MarkVanished, "", 0)
	if err != nil {
		m.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, v := range marks {
		out[v.ID] = true
	}
	return out
}

// sync makes one, which may be cut off or killed, and compares.
func (m *syncModel) sync(rt *rapid.T, accept bool) {
	rows, bad := m.rows(rt)
	m.src.set(rows...)
	m.src.list = nil
	before, vanished := m.kept(), m.vanished()
	limits := purge.DefaultSyncSettings()
	limits.Floor, limits.MaxChange = 2, 0.3
	st, err := m.s.Source(context.Background())
	if err != nil {
		rt.Fatal(err)
	}
	cut := rapid.IntRange(0, 9).Draw(rt, "cut") == 0
	if cut {
		at := rapid.IntRange(0, len(rows)).Draw(rt, "at")
		m.src.list = func(n int) error {
			if n == at {
				return errSourceDown
			}
			return nil
		}
	}
	l := &life{at: rapid.IntRange(0, 12).Draw(rt, "kill"), after: rapid.Bool().Draw(rt, "behind")}
	sy, err := purge.NewSyncer(purge.SyncOptions{Store: mortalSyncStore{m.s, l}, Source: m.src, TempDir: os.TempDir(), Settings: limits})
	if err != nil {
		rt.Fatal(err)
	}
	r, err := sy.Sync(context.Background())
	refuse := m.verdict(rows, bad, before, vanished, st.Lately, limits)
	fresh := st.Accepted == nil // nothing was accepted that might allow more
	if !cut {
		m.miss(rows, r.Result, l.over())
	}
	switch {
	case cut && err == nil:
		rt.Fatalf("a snapshot that was cut off: %+v", r)
	case cut || r.Result == store.SyncRefused || l.over() && fresh && refuse:
		if now := m.kept(); !sameTenants(before, now) {
			rt.Fatalf("%s, cut off %t, and it changed %v to %v", r.Result, cut, before, now)
		}
		if !cut && r.Result == store.SyncRefused && !refuse {
			rt.Fatalf("refused: %s", r.Why)
		}
		if accept && r.Result == store.SyncRefused && r.Acceptable() {
			if _, err := m.s.ChangeSource(context.Background(), store.AcceptSync(r.Digest), store.Origin{Actor: operator, At: m.now}); err != nil {
				rt.Fatal(err)
			}
		}
		return
	case fresh && refuse:
		rt.Fatalf("it is %s, %v; want it refused: kept %v, rows %v", r.Result, err, before, rows)
	case err != nil && !l.over():
		rt.Fatal(err)
	}
	// It was taken over, as far as it came.
	for id, v := range m.truth {
		if !bad[id] {
			m.accepted[id] = v
		}
	}
	for id, v := range m.kept() {
		m.explained(rt, id, before[id], v)
	}
	if r.Result == store.SyncGood && !l.over() {
		m.complete(rt, bad)
	}
	m.settle(rt)
}

// explained fails unless a change of a tenant is what the snapshot said.
func (m *syncModel) explained(rt *rapid.T, id string, old, now store.Tenant) {
	if old.Status == now.Status && old.EstimatedPurgeDate.Equal(now.EstimatedPurgeDate) {
		return
	}
	said := m.accepted[id]
	if now.Status == store.StatusDisabled && m.stands(id, said) {
		rt.Fatalf("%s is to be purged at %s; a person reactivated it at %s, and the snapshot said %+v", id, now.EstimatedPurgeDate, m.decided[id], said)
	}
	if now.Status == store.StatusDisabled && !now.EstimatedPurgeDate.Equal(said.date) {
		rt.Fatalf("%s is to be purged at %s; the snapshot said %+v", id, now.EstimatedPurgeDate, said)
	}
	// A new tenant is active until its sub-tenants are known.
	if now.Status == store.StatusActive && old.ID != "" && !said.date.IsZero() {
		rt.Fatalf("%s is active; the snapshot said %+v", id, said)
	}
}

// complete fails unless the store keeps what the source says.
func (m *syncModel) complete(rt *rapid.T, bad map[string]bool) {
	kept := m.kept()
	for id, v := range m.truth {
		now, is := kept[id]
		if bad[id] || is && now.ParentID != v.parent {
			continue
		}
		if _, err := m.s.Tombstone(context.Background(), id); err == nil {
			continue
		}
		if !is {
			if _, parent := kept[v.parent]; v.parent == "" || parent {
				rt.Fatalf("%s is not kept", id)
			}
			continue
		}
		if m.stands(id, v) {
			m.stood++
			if now.Status != store.StatusActive {
				rt.Fatalf("%s is %s; a person reactivated it at %s, and the source says %+v", id, now.Status, m.decided[id], v)
			}
			continue
		}
		if (now.Status == store.StatusDisabled) == v.date.IsZero() || !now.EstimatedPurgeDate.Equal(v.date) {
			rt.Fatalf("%s is %s until %s; the source says %+v", id, now.Status, now.EstimatedPurgeDate, v)
		}
	}
	for id := range m.vanished() {
		if _, is := m.truth[id]; is {
			rt.Fatalf("%s has vanished, and is there", id)
		}
	}
	for id := range kept {
		if _, is := m.truth[id]; !is && !m.vanished()[id] {
			rt.Fatalf("%s is not there, and has not vanished", id)
		}
	}
}

// pass purges what is due, with a source that may have changed since the last
// sync, or be down.
func (m *syncModel) pass(rt *rapid.T) {
	var rows []purge.SourceRow
	for _, id := range m.ids() {
		r := on(id, m.truth[id].parent)
		if v := m.truth[id]; !v.date.IsZero() {
			r = offAt(id, v.parent, v.date)
		}
		rows = append(rows, r)
	}
	m.src.set(rows...)
	isDown := rapid.IntRange(0, 4).Draw(rt, "down") == 0
	m.src.ask = nil
	if isDown {
		m.src.ask = down
	}
	before := m.kept()
	var src purge.Source = m.src
	if rapid.Bool().Draw(rt, "batch") {
		src = &batched{directory: m.src}
	}
	e, err := purge.New(purge.Options{Store: m.s, Source: src, Settings: unlimited()})
	if err != nil {
		rt.Fatal(err)
	}
	if _, err := e.Run(context.Background(), purge.TriggerRun); err != nil {
		rt.Fatal(err)
	}
	after := m.kept()
	for id, old := range before {
		now, is := after[id]
		if is {
			if m.above(id) && old.Status == store.StatusDisabled && !old.EstimatedPurgeDate.After(m.now) && m.truth[id].date.Equal(old.EstimatedPurgeDate) && !isDown {
				m.waited++
			}
			if now.Status == store.StatusDisabled && !now.EstimatedPurgeDate.Equal(old.EstimatedPurgeDate) &&
				(now.EstimatedPurgeDate.Before(old.EstimatedPurgeDate) || !now.EstimatedPurgeDate.Equal(m.truth[id].date)) {
				rt.Fatalf("a pass made the date of %s %s; it was %s, and the source says %+v", id, now.EstimatedPurgeDate, old.EstimatedPurgeDate, m.truth[id])
			}
			continue
		}
		t, err := m.s.Tombstone(context.Background(), id)
		if err != nil {
			rt.Fatal(err)
		}
		said, there := m.truth[id]
		top, topThere := m.truth[t.PurgedWith]
		keptTop := before[t.PurgedWith]
		switch {
		case m.above(id):
			rt.Fatalf("%s was purged with %s, and below it the last sync left out: %v", id, t.PurgedWith, m.missed)
		case isDown:
			rt.Fatalf("%s was purged, and nobody confirmed it", id)
		case !there || !topThere:
			rt.Fatalf("%s was purged with %s, which the source does not know: vanished is no consent", id, t.PurgedWith)
		case said.parent != old.ParentID:
			rt.Fatalf("%s was purged below %q, and is below %q in the source", id, old.ParentID, said.parent)
		case top.date.IsZero() || top.date.After(m.now) || said.date.After(m.now):
			rt.Fatalf("%s was purged with %s; the source says %+v and %+v", id, t.PurgedWith, said, top)
		case keptTop.Status != store.StatusDisabled || keptTop.EstimatedPurgeDate.After(m.now):
			rt.Fatalf("%s was purged with %s, which was not due: %+v", id, t.PurgedWith, keptTop)
		}
	}
}

// change changes what the source holds.
func (m *syncModel) change(rt *rapid.T) {
	dates := []time.Duration{-2000 * time.Hour, -100 * time.Hour, 100 * time.Hour, 500 * time.Hour, 800 * time.Hour} // the last by a clock that is ahead
	id := fmt.Sprintf("t%d", rapid.IntRange(0, 11).Draw(rt, "tenant"))
	v, is := m.truth[id]
	switch rapid.IntRange(0, 9).Draw(rt, "change") {
	case 0:
		delete(m.truth, id)
		return
	case 1:
		if is {
			v.parent = "" // it moves
		}
	case 2, 3, 4:
		v.date = store.Trim(m.now.Add(rapid.SampledFrom(dates).Draw(rt, "date")))
	default:
		v.date = time.Time{}
	}
	if !is {
		if all := m.ids(); len(all) > 0 && rapid.Bool().Draw(rt, "below") {
			v.parent = rapid.SampledFrom(all).Draw(rt, "parent")
		}
	}
	m.truth[id] = v
}

func sameTenants(a, b map[string]store.Tenant) bool {
	return maps.EqualFunc(a, b, func(x, y store.Tenant) bool { return x.Version == y.Version })
}

// TestSync_G1_Model: whatever the source says in whatever order, with crashes
// between transactions, no tenant becomes due that the last accepted snapshot did
// not say is disabled with that date, nothing is purged that the source did not
// confirm, and no tenant below which the last sync left out a row. What a person
// reactivated stays active until a snapshot says something newer (G2).
func TestSync_G1_Model(t *testing.T) {
	purged, taken, refusals, waited, stood := 0, 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir, MmapSize: 16 << 20})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		m := &syncModel{t: t, s: s, src: &directory{}, truth: map[string]says{}, accepted: map[string]says{}, missed: map[missed]bool{}, decided: map[string]time.Time{}, now: time.Now()}
		rt.Repeat(map[string]func(*rapid.T){
			"change":  m.change,
			"change2": m.change,
			"change3": m.change,
			"sync":    func(rt *rapid.T) { m.sync(rt, false) },
			"accept":  func(rt *rapid.T) { m.sync(rt, true) },
			"below":   m.below,
			"decide":  m.decide,
			"pass":    m.pass,
			"":        func(*rapid.T) {},
		})
		if err := s.Check(context.Background()); err != nil {
			rt.Fatal(err)
		}
		st, err := s.Stats(context.Background(), time.Now())
		if err != nil {
			rt.Fatal(err)
		}
		waited, stood = waited+m.waited, stood+m.stood
		purged += int(st.Tenants[store.StatusDeleted])
		if src, err := s.Source(context.Background()); err == nil && src.LastGood != nil {
			taken++
		} else if err == nil && src.LastRefused != nil {
			refusals++
		}
	})
	t.Logf("%d tenants were purged, %d waited for rows below them, %d reactivations stood, %d histories had a good sync, %d only refused ones", purged, waited, stood, taken, refusals)
	if !t.Failed() && (purged == 0 || taken == 0 || waited == 0 || stood == 0) {
		t.Error("the model never purged, waited, synced or overruled: it proves nothing")
	}
}
