package purge_test

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// missed is a row that is of no tenant that is kept; id may be "".
type missed struct{ id, parent string }

// due reports whether a tenant is to be purged, says the source.
func (m *syncModel) due(id string) bool {
	v, is := m.truth[id]
	return is && !v.date.IsZero() && !v.date.After(m.now)
}

// orphan reports whether a parent is neither kept nor to be created.
func (m *syncModel) orphan(parent string, rows []purge.SourceRow, bad map[string]bool, kept map[string]store.Tenant) bool {
	if _, is := kept[parent]; parent == "" || is {
		return false
	}
	return bad[parent] || m.purged(parent) || !slices.ContainsFunc(rows, func(r purge.SourceRow) bool { return r.Tenant.ID == parent })
}

// miss notes what a sync left out. One that was refused, or killed on its way,
// lifts nothing; but what was read since need not be protected any more.
func (m *syncModel) miss(rows []purge.SourceRow, r store.SyncResult, over bool) {
	kept, now := m.kept(), map[missed]bool{}
	for _, v := range rows {
		if _, is := kept[v.Tenant.ID]; !is && !m.purged(v.Tenant.ID) && v.Tenant.ParentID != "" {
			now[missed{v.Tenant.ID, v.Tenant.ParentID}] = true
		}
	}
	switch {
	case over:
		maps.DeleteFunc(m.missed, func(k missed, _ bool) bool { return !now[k] })
	case r == store.SyncRefused:
		maps.DeleteFunc(now, func(k missed, _ bool) bool { _, is := kept[k.parent]; return !is })
		maps.Copy(m.missed, now)
	default:
		m.missed = now
	}
}

// above reports whether a row below the tenant was left out.
func (m *syncModel) above(id string) bool {
	for k := range m.missed {
		if k.parent == id {
			return true
		}
	}
	return false
}

// below adds a tenant below one that is to be purged, and makes a sync and a pass.
func (m *syncModel) below(rt *rapid.T) {
	list := slices.DeleteFunc(m.ids(), func(id string) bool { return !m.due(id) || m.purged(id) })
	if len(list) == 0 {
		rt.Skip("nobody is due")
	}
	id := fmt.Sprintf("n%d", len(m.truth))
	if _, is := m.truth[id]; is {
		rt.Skip("it is there")
	}
	m.truth[id] = says{parent: rapid.SampledFrom(list).Draw(rt, "parent")}
	m.sync(rt, true)
	m.pass(rt)
}
