package storetest

import (
	"time"

	"github.com/tenantpurge/purger/store"
	"pgregory.net/rapid"
)

func (m *machine) put(t *rapid.T) {
	d, ok := m.e.s.(store.Directory)
	if !ok {
		t.Skip("the store holds no resources")
	}
	id := m.anyID(t)
	k := rapid.SampledFrom(store.Kinds()).Draw(t, "kind")
	n := rapid.IntRange(1, 4).Draw(t, "n")
	var rs []store.Resource
	for range n {
		rs = append(rs, resource(id, k, rapid.SampledFrom([]string{"x", "x.y", "xx", "y", "user"}).Draw(t, "resource")))
	}
	code := m.missing(id)
	if code == "" {
		code = irrevocable(m.tenants[id])
	}
	want(t, d.Put(m.e.ctx(), rs), code, "Put to %q", id)
	if code != "" {
		return
	}
	for _, r := range rs {
		if m.tenants[id].resources[k] == nil {
			m.tenants[id].resources[k] = map[string]string{}
		}
		m.tenants[id].resources[k][r.ID] = string(r.Data)
	}
}

func (m *machine) remove(t *rapid.T) {
	d, ok := m.e.s.(store.Directory)
	id := m.anyID(t)
	if !ok || m.missing(id) != "" || irrevocable(m.tenants[id]) != "" {
		t.Skip("nothing to remove")
	}
	k := rapid.SampledFrom(store.Kinds()).Draw(t, "kind")
	r := rapid.SampledFrom([]string{"x", "x.y", "xx"}).Draw(t, "resource")
	want(t, d.Remove(m.e.ctx(), id, k, r), "", "Remove from %q", id)
	delete(m.tenants[id].resources[k], r)
}

// tick moves the clock on, mostly to where something changes by itself, to the
// millisecond before it, or to it.
func (m *machine) tick(t *rapid.T) {
	ahead := m.instants()
	if len(ahead) > 0 && !once(t, 4, "a little") {
		at := rapid.SampledFrom(ahead).Draw(t, "to")
		if early := at.Add(-time.Millisecond); early.After(m.now) && rapid.Bool().Draw(t, "early") {
			at = early
		}
		m.now = at
		return
	}
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Minute, time.Hour, 10 * day}).Draw(t, "by"))
}

// ripen moves the clock on until a disabled tenant is due.
func (m *machine) ripen(t *rapid.T) {
	var dates []time.Time
	for _, id := range m.keptIDs() {
		if tn := m.tenants[id]; tn.status == store.StatusDisabled && tn.date.After(m.now) {
			dates = append(dates, tn.date)
		}
	}
	if len(dates) == 0 {
		t.Skip("nothing is to become due")
	}
	m.now = rapid.SampledFrom(dates).Draw(t, "date")
}

func (m *machine) pause(t *rapid.T) {
	if !m.paused && !once(t, 4, "pause") {
		t.Skip("rarely, since it stops all the rest")
	}
	c := store.PausePurging("maintenance", time.Time{})
	if m.paused {
		c = store.ResumePurging("", 0)
	}
	_, err := m.e.s.ChangeGates(m.e.ctx(), c, m.origin())
	want(t, err, "", "%s", c.Action)
	m.paused = !m.paused
}

func (m *machine) toggleImport(t *rapid.T) {
	imp, ok := m.e.s.(store.Importer)
	if !ok || !m.importing && !once(t, 4, "import") {
		t.Skip("impossible, or rarely")
	}
	var err error
	if m.importing {
		err = imp.EndImport(m.e.ctx(), m.origin())
	} else {
		err = imp.BeginImport(m.e.ctx(), store.Import{Digest: "d", Since: store.Timestamp{Time: m.now}}, m.origin())
	}
	want(t, err, "", "import")
	m.importing = !m.importing
}

// importTenant imports a tenant that is not known, which may be disabled.
func (m *machine) importTenant(t *rapid.T) {
	imp, ok := m.e.s.(store.Importer)
	id := rapid.SampledFrom(modelIDs()).Draw(t, "id")
	parent := rapid.SampledFrom(append([]string{""}, m.keptIDs()...)).Draw(t, "parent")
	if !ok || m.missing(id) != store.NotFound || parent != "" && irrevocable(m.tenants[parent]) != "" {
		t.Skip("impossible, or not new")
	}
	tn := store.Tenant{ID: id, ParentID: parent, Status: store.StatusActive, Hostname: rapid.SampledFrom(modelHosts()).Draw(t, "host")}
	if rapid.Bool().Draw(t, "disabled") {
		tn.Status, tn.DisabledAt, tn.PurgeAfterDays, tn.EstimatedPurgeDate = store.StatusDisabled, m.now, 10, m.now.Add(10*day)
		tn.DisabledBy = m.origin().Actor // else the same deactivation at the same instant would still be a change
	}
	got, err := imp.ImportBatch(m.e.ctx(), store.Batch{Tenants: []store.Tenant{tn}}, m.origin())
	want(t, err, "", "ImportBatch of %q", id)
	if got.Tenants[0] != store.OutcomeNew {
		t.Fatalf("ImportBatch of %q: outcome %d; want it written", id, got.Tenants[0])
	}
	w := m.add(id, parent)
	w.host, w.status, w.at, w.days, w.date = tn.Hostname, tn.Status, tn.DisabledAt, tn.PurgeAfterDays, tn.EstimatedPurgeDate
}

func (m *machine) compact(t *rapid.T) {
	c, ok := m.e.s.(store.Compacter)
	if !ok || !once(t, 4, "compact") {
		t.Skip("impossible, or rarely")
	}
	_, err := c.Compact(m.e.ctx())
	want(t, err, "", "Compact")
}

// reopen closes the store and opens it again: no owner has outlived it.
func (m *machine) reopen(t *rapid.T) {
	if !once(t, 3, "reopen") {
		t.Skip("rarely, since it ends all leases")
	}
	m.restart(t)
}

// restart closes the store and opens it again.
func (m *machine) restart(t *rapid.T) {
	if err := m.e.s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	m.e.s = open(m.e.t, m.e.h, m.e.dir)
	for _, c := range m.claims {
		c.lapsed = c.lapsed || c.worked
		c.worked = false
	}
}
