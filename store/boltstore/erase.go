package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Erase implements [store.Store].
func (s *Store) Erase(ctx context.Context, tok store.Token, at time.Time, lease time.Duration) (store.Erased, error) {
	var out store.Erased
	err := s.writeAt(ctx, background, at, func(w *wtx) error {
		out = store.Erased{}
		sp, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		nodes, err := sp.tree.subtree(sp.ord)
		if err != nil {
			return err
		}
		w.writes++
		began := time.Now()
		for {
			step, more, err := w.eraseStep(sp, old, nodes, at)
			if err != nil {
				return err
			}
			out.Deleted, out.More = out.Deleted.Plus(step), more
			if !more || step == (store.Counts{}) || time.Since(began) >= s.opt.TxTarget {
				break
			}
			if step.SubTenants > 0 {
				if nodes, err = sp.tree.subtree(sp.ord); err != nil {
					return err
				}
			}
		}
		if err := sp.tree.save(); err != nil {
			return err
		}
		p := *old.Purge
		p.LeaseEnd.Time = store.Trim(at.Add(lease))
		p.Deleted = p.Deleted.Plus(out.Deleted)
		return w.progress(sp, old, &p)
	})
	if err != nil {
		return store.Erased{}, err
	}
	return out, nil
}

// eraseStep removes resources and, once there are none, tenants, deepest first,
// as long as there is more of them than finish takes. It reports whether there
// still is.
func (w *wtx) eraseStep(at spot, top *record, nodes []node, now time.Time) (store.Counts, bool, error) {
	t := at.tree
	manyTenants := len(nodes) > inlineTenants
	rows, many, err := t.left(at, nodes)
	if err != nil {
		return store.Counts{}, false, err
	}
	switch {
	case many || manyTenants && rows > 0:
		counts := tally{}
		// Reading the subtree costs as much as removing a row for each tenant.
		left := max(inlineRows, len(nodes))
		for _, r := range ranges(at, nodes) {
			n, _, err := t.erase(r.lo, r.hi, left, counts)
			if err != nil {
				return store.Counts{}, false, err
			}
			if left -= n; left <= 0 {
				break
			}
		}
		if err := w.uncount(t, counts, true); err != nil {
			return store.Counts{}, false, err
		}
		w.noteErased(now)
		_, many, err := t.left(at, nodes)
		return counts.sum(), many || manyTenants, err
	case manyTenants:
		some := nodes[:min(max(inlineTenants/2, len(nodes)/8), len(nodes)-inlineTenants)]
		removed, err := w.entomb(at, top, some, now, true)
		removed.SubTenants = int64(len(some))
		return removed, len(nodes)-len(some) > inlineTenants, err
	}
	return store.Counts{}, false, nil
}

// left counts the resources of a subtree by its counters and reports whether
// they are more than finish removes in one transaction.
func (t *tree) left(at spot, nodes []node) (rows int64, many bool, err error) {
	segs, err := t.segments()
	if err != nil {
		return 0, false, err
	}
	if at.isRoot() {
		rows = int64(t.header.rows)
		for _, s := range segs {
			rows += int64(s.rows)
		}
		return rows, len(segs) > 1 || rows > wholeRows || t.header.bytes > segmentBytes, nil
	}
	for i := range nodes {
		c, err := t.countsOf(nodes[i].ord)
		if err != nil {
			return 0, false, err
		}
		rows += c.Resources()
	}
	return rows, rows > inlineRows, nil
}

// keyRange is a range of resource keys, hi excluded.
type keyRange struct{ lo, hi []byte }

// ranges returns the resources of a subtree in the order of G3: by kind, then
// deepest tenant first. Of a whole tree that is one range.
func ranges(at spot, nodes []node) []keyRange {
	if at.isRoot() {
		lo, hi := allResources()
		return []keyRange{{lo, hi}}
	}
	return rangesOf(nodes)
}

// rangesOf returns the resources of some tenants, which are sorted as in a
// subtree, in the order of G3.
func rangesOf(nodes []node) []keyRange {
	list := make([]keyRange, 0, len(nodes)*len(store.Kinds()))
	for _, k := range store.Kinds() {
		for i := range nodes {
			lo := resourceKey(k, nodes[i].depth, nodes[i].ord, "")
			list = append(list, keyRange{lo, keyAfter(lo)})
		}
	}
	return list
}

// uncount takes removed resources out of the counters. keep says that their
// tenants stay for now and remember what was theirs.
func (w *wtx) uncount(t *tree, removed tally, keep bool) error {
	for ord, c := range removed {
		for _, k := range store.Kinds() {
			n := c.Of(k)
			if n == 0 {
				continue
			}
			w.totals.resources.Add(k, -n)
			if keep {
				if err := t.count(ord, k, -n); err != nil {
					return err
				}
			}
		}
		if !keep {
			continue
		}
		was, err := t.removedOf(ord)
		if err != nil {
			return err
		}
		if err := t.b.Put(ordKey(keyRemoved, ord), appendCounts(nil, was.Plus(*c))); err != nil {
			return fmt.Errorf("write counts: %w", err)
		}
	}
	w.dirty.totals = true
	return nil
}
