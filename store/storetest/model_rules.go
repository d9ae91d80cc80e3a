package storetest

import (
	"sort"
	"time"

	"github.com/tenantpurge/purger/store"
)

// claimable returns why a claim is refused: a code, and the block if it is
// one. It restates the rules without the functions of package store.
func (m *model) claimable(id string, immediate bool, protected string) (store.Code, *store.Block) {
	if code := m.missing(id); code != "" {
		return code, nil
	}
	if code := m.gate(false); code != "" {
		return code, nil
	}
	t := m.tenants[id]
	if t.status != store.StatusDisabled || !immediate && m.now.Before(t.date) {
		return store.Precondition, nil
	}
	var worst *store.Block
	for _, d := range m.subtree(id) {
		if b := m.blockOf(d, id, immediate, protected); worse(id, b, worst) {
			worst = b
		}
	}
	if worst != nil {
		return store.Precondition, worst
	}
	return "", nil
}

// blockOf returns the first reason that d gives against the claim of top.
func (m *model) blockOf(d *modelTenant, top string, immediate bool, protected string) *store.Block {
	if d.held && (d.until.IsZero() || d.until.After(m.now)) {
		return &store.Block{Reason: "hold", By: d.id, Until: store.Timestamp{Time: d.until}}
	}
	if d.id == protected {
		return &store.Block{Reason: "protected", By: d.id}
	}
	if d.subs > 0 {
		return &store.Block{Reason: "active_subscriptions", By: d.id}
	}
	if d.id != top && d.status == store.StatusDisabled && !immediate && d.date.After(m.now) {
		return &store.Block{Reason: "later_date", By: d.id, Until: store.Timestamp{Time: d.date}}
	}
	if c := m.claims[d.id]; c != nil && c.worked && m.now.Before(c.leaseEnd) {
		return &store.Block{Reason: "purging", By: d.id, Until: store.Timestamp{Time: c.leaseEnd}}
	}
	return nil
}

// worse reports whether a is reported rather than b.
func worse(top string, a, b *store.Block) bool {
	if a == nil || b == nil {
		return a != nil
	}
	rank := map[store.BlockReason]int{"hold": 0, "protected": 1, "active_subscriptions": 2, "later_date": 3, "purging": 4}
	if rank[a.Reason] != rank[b.Reason] {
		return rank[a.Reason] < rank[b.Reason]
	}
	if (a.By == top) != (b.By == top) {
		return a.By == top
	}
	if !a.Until.Equal(b.Until.Time) {
		return a.Until.IsZero() || !b.Until.IsZero() && a.Until.After(b.Until.Time)
	}
	return a.By < b.By
}

// take makes the claim: the subtree goes to purging, and what was claimed
// below goes with it.
func (m *model) take(id string, fence uint64, lease time.Duration, immediate bool) *modelClaim {
	c := &modelClaim{fence: fence, worked: true, leaseEnd: m.now.Add(lease), targets: map[string]store.Counts{}, immediate: immediate}
	for _, t := range m.subtree(id) {
		if t.status != store.StatusPurging && t.status != store.StatusFailed {
			t.version++
		}
		if t.id == id {
			t.block = nil
		}
		t.status = store.StatusPurging
		if old := m.claims[t.id]; old != nil {
			c.lapsed = c.lapsed || old.lapsed || old.worked
			for target, n := range old.targets {
				c.targets[target] = c.targets[target].Plus(n)
			}
			delete(m.claims, t.id)
		}
	}
	m.claims[id] = c
	return c
}

// finish turns the subtree into tombstones and returns the receipt's counts.
func (m *model) finish(id string) (tenants []string, deleted store.Counts) {
	for _, n := range m.claims[id].targets {
		deleted = deleted.Plus(n)
	}
	for _, t := range m.subtree(id) {
		tenants = append(tenants, t.id)
		deleted = deleted.Plus(t.counts())
	}
	deleted.SubTenants = int64(len(tenants) - 1)
	for _, t := range tenants {
		delete(m.tenants, t)
		m.tombs[t] = id
	}
	delete(m.claims, id)
	return tenants, deleted
}

// due returns what Due must list now.
func (m *model) due() []store.Candidate {
	var out []store.Candidate
	isDue := func(t *modelTenant) bool { return t.status == store.StatusDisabled && !m.now.Before(t.date) }
	for _, t := range m.tenants {
		if !isDue(t) {
			continue
		}
		c := store.Candidate{Cursor: store.Cursor{At: t.date, ID: t.id}}
		for _, a := range m.above(t.id) {
			if isDue(a) {
				c.DueAbove = append([]string{a.id}, c.DueAbove...)
			}
		}
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool {
		if !out[i].At.Equal(out[j].At) {
			return out[i].At.Before(out[j].At)
		}
		return out[i].ID < out[j].ID
	})
	return out
}

// resumable returns the ids that Resumable must list now, sorted.
func (m *model) resumable() []string {
	var ids []string
	for id := range m.claims {
		if m.resumeCode(id) == "" {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids
}

// resumeCode returns why a claimed tenant cannot be resumed, gates excepted.
func (m *model) resumeCode(id string) store.Code {
	if code := m.missing(id); code != "" {
		return code
	}
	c := m.claims[id]
	switch {
	case c == nil || m.tenants[id].status == store.StatusFailed:
		return store.Precondition
	case c.worked && m.now.Before(c.leaseEnd):
		return store.Conflict
	case m.now.Before(c.next):
		return store.Precondition
	}
	return ""
}
