package boltstore

import (
	"context"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// erasure is what a claim that is erased in steps still has to erase, in the
// order of G3. It saves each step reading the whole subtree, which does not
// change while it is claimed but by the steps themselves. It is only kept in
// memory: after a restart it is made anew, from what is left.
type erasure struct {
	fence uint64

	mu    sync.Mutex // held during a step, so that they come one after another
	built bool
	place place
	left  remaining
}

// remaining is a position in an erasure. It is copied for a step, and the copy
// is kept once the step is durable; what the slices hold is never changed.
type remaining struct {
	// nodes are the tenants, deepest first, the top last.
	nodes []subtenant
	// parts are the resources, but for those of a whole tree, which are one
	// range. taken are removed of the first of them, and rows left of all.
	parts []part
	taken int64
	rows  int64
}

// subtenant is where a tenant is in its tree.
type subtenant struct {
	ord   uint32
	depth uint16
}

// part is the resources of one kind of one tenant: n, by the counters.
type part struct {
	subtenant
	kind store.Kind
	n    int64
}

// erasures are those under way, by the id of the tenant at the top.
type erasures struct {
	mu   sync.Mutex
	byID map[string]*erasure
	// built counts how many were made; for tests.
	built int
}

// of returns the erasure of a claim, a new one when there is none. Whoever has
// an old token gets one that nobody else sees.
func (m *erasures) of(tok store.Token) *erasure {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.byID[tok.TenantID]
	if e != nil && e.fence == tok.Fence {
		return e
	}
	newer := e == nil || e.fence < tok.Fence
	e = &erasure{fence: tok.Fence}
	if newer {
		if m.byID == nil {
			m.byID = map[string]*erasure{}
		}
		m.byID[tok.TenantID] = e
	}
	return e
}

// end forgets the erasure of a claim that is over, or has nothing more to erase.
func (m *erasures) end(tok store.Token) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.byID[tok.TenantID]; e != nil && e.fence == tok.Fence {
		delete(m.byID, tok.TenantID)
	}
}

// noteBuilt counts an erasure that was made.
func (m *erasures) noteBuilt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.built++
}

// build makes the erasure of a claim from what is there. That takes a time that
// grows with the subtree, and is done in a read transaction, beside which others
// write. A token that is not the newest leaves it unbuilt: the step will tell.
func (s *Store) build(ctx context.Context, e *erasure, id string) error {
	return s.view(ctx, func(tx *bolt.Tx) error {
		at, top, err := find(tx, id)
		claimed := err == nil && top.Purge != nil && top.Purge.Fence == e.fence
		if !claimed {
			return nil
		}
		nodes, err := at.tree.subtree(at.ord)
		if err != nil {
			return err
		}
		e.place = at.place
		e.left.nodes = make([]subtenant, len(nodes))
		counts := make([]store.Counts, len(nodes))
		for i := range nodes {
			e.left.nodes[i] = subtenant{nodes[i].ord, nodes[i].depth}
			if at.isRoot() {
				continue
			}
			if counts[i], err = at.tree.countsOf(nodes[i].ord); err != nil {
				return err
			}
		}
		for _, k := range store.Kinds() {
			for i := range counts {
				if n := counts[i].Of(k); n > 0 {
					e.left.parts = append(e.left.parts, part{e.left.nodes[i], k, n})
					e.left.rows += n
				}
			}
		}
		e.built = true
		s.erasing.noteBuilt()
		return nil
	})
}

// readNext reads what the next step of an erasure removes, and returns how many
// resources that are; the step should not go beyond.
func (s *Store) readNext(ctx context.Context, e *erasure) int {
	most := inlineRows
	if e.place.isRoot() {
		most = s.readErase(ctx, e.place.tree)
		if len(e.left.nodes) <= inlineTenants {
			return most
		}
	}
	// Nothing depends on it: what cannot be read fails in the step.
	_ = s.view(ctx, func(tx *bolt.Tx) error {
		t, err := openTree(tx, e.place.tree)
		if err != nil {
			return err
		}
		left := inlineRows
		for _, p := range e.left.parts {
			lo := resourceKey(p.kind, p.depth, p.ord, "")
			if left, err = t.touch(lo, keyAfter(lo), left); err != nil || left <= 0 {
				return err
			}
		}
		known := tx.Bucket(bucketIDs)
		for _, n := range e.left.nodes[:min(stepTenants, len(e.left.nodes))] {
			r, err := t.record(n.ord)
			if err != nil {
				return err
			}
			known.Get([]byte(r.ID))
		}
		return nil
	})
	return most
}
