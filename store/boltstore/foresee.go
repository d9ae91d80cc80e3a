package boltstore

import (
	"context"
	"runtime"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// foreseeTenants bounds what is kept of trees that were read before their claims
// came.
const foreseeTenants = 4096

// foreseen is what a claim will find in a tree that one transaction can remove.
// To read that is the larger part of such a claim, and all other changes would
// wait for it. So it is read before, by a transaction that only reads, and holds
// until a change opens the tree.
type foreseen struct {
	header header
	nodes  []node
	counts store.Counts
	held   tally
	ready  bool
}

// foresee reads trees of a list. Nothing depends on it: what cannot be read
// fails, or does not, in the claim.
func (s *Store) foresee(ctx context.Context, l *dueList, places []place) {
	mine := make(map[uint64]*foreseen, len(places))
	room := s.ahead.announce(l, places, mine)
	err := s.view(ctx, func(tx *bolt.Tx) error {
		for num, f := range mine {
			t, err := openTree(tx, num)
			if err != nil {
				return err
			}
			if !t.fitsOne() || t.begun() || int(t.header.tenants) > room {
				continue
			}
			room -= int(t.header.tenants)
			d := decision{at: spot{place{tree: num}, t}}
			if err := d.read(); err != nil {
				return err
			}
			held := tally{}
			lo, hi := allResources()
			if err := t.scan(lo, hi, held); err != nil {
				return err
			}
			runtime.Gosched() // somebody may wait for a processor who waits for a change
			f.header, f.nodes, f.counts, f.held = t.header, d.nodes, d.counts, held
		}
		return nil
	})
	s.ahead.learn(mine, err == nil)
}

// begun reports whether a purge in steps removed something of the tree.
func (t *tree) begun() bool {
	k, _ := t.b.Cursor().Seek([]byte{keyRemoved})
	return t.header.gone > 0 || len(k) > 0 && k[0] == keyRemoved
}

// announce has changes of trees noticed from now on, and returns how many
// tenants may be kept of them. Trees are missing from mine that are foreseen
// already, the parts of trees, and all when the list is an old one.
func (a *ahead) announce(l *dueList, places []place, mine map[uint64]*foreseen) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.lists, l) {
		return 0
	}
	if a.foreseen == nil {
		a.foreseen = map[uint64]*foreseen{}
	}
	for _, p := range places {
		if p.isRoot() && a.foreseen[p.tree] == nil {
			f := &foreseen{}
			a.foreseen[p.tree], mine[p.tree] = f, f
		}
	}
	return foreseeTenants - a.tenants
}

// learn keeps what was read of trees that no change opened meanwhile.
func (a *ahead) learn(mine map[uint64]*foreseen, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for num, f := range mine {
		switch {
		case a.foreseen[num] != f:
		case !ok || f.nodes == nil:
			delete(a.foreseen, num)
		default:
			f.ready = true
			a.tenants += len(f.nodes)
		}
	}
}

// take returns what is foreseen of a tree, once; nil for nothing.
func (a *ahead) take(num uint64) *foreseen {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.foreseen[num]
	if f == nil || !f.ready {
		return nil
	}
	a.drop(num)
	return f
}

// forget drops what is foreseen of trees that a committed change opened.
func (a *ahead) forget(trees map[uint64]struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for num := range trees {
		a.drop(num)
	}
}

// drop forgets one tree. The caller holds mu.
func (a *ahead) drop(num uint64) {
	if f := a.foreseen[num]; f != nil {
		if f.ready {
			a.tenants -= len(f.nodes)
		}
		delete(a.foreseen, num)
	}
}

// foreseen returns what is known of the tree of a tenant and still holds; nil
// for nothing.
func (w *wtx) foreseen(id string) (*decision, error) {
	p, err := findPlace(w.tx, id)
	if err != nil || !p.isRoot() {
		return nil, err
	}
	if _, ok := w.touched[p.tree]; ok {
		return nil, nil
	}
	f := w.s.ahead.take(p.tree)
	if f == nil {
		return nil, nil
	}
	t, err := openBucket(w.tx, p.tree)
	if err != nil {
		return nil, err
	}
	t.header = f.header
	w.touch(t)
	return &decision{
		at: spot{p, t}, top: f.nodes[len(f.nodes)-1].record, nodes: f.nodes, counts: f.counts, held: f.held,
	}, nil
}
