package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// The largest pieces of a step, after each of which it looks at the time, and
// how many tenants one step removes at the most.
const (
	pieceRows    = 1024
	pieceTenants = 128
	stepTenants  = 1024
)

// Erase implements [store.Store].
func (s *Store) Erase(ctx context.Context, tok store.Token, at time.Time, lease time.Duration) (store.Erased, error) {
	e := s.erasing.of(tok)
	e.mu.Lock()
	defer e.mu.Unlock()
	out, err := s.erase(ctx, e, tok, at, lease)
	if err != nil {
		e.built = false // it may not be what is there
	}
	if err == nil && !out.More || err != nil && store.CodeOf(err) != store.Unavailable {
		s.erasing.end(tok)
	}
	return out, err
}

// erase makes one step of an erasure, whose lock is held.
func (s *Store) erase(ctx context.Context, e *erasure, tok store.Token, at time.Time, lease time.Duration) (store.Erased, error) {
	if !e.built {
		e.left = remaining{}
		if err := s.build(ctx, e, tok.TenantID); err != nil {
			return store.Erased{}, err
		}
	}
	most := s.readNext(ctx, e)
	var out store.Erased
	var left remaining
	err := s.writeAt(ctx, background, at, func(w *wtx) error {
		out, left = store.Erased{}, e.left
		sp, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		if !e.built {
			return store.Errorf(store.Internal, "what there is to erase of tenant %q is not known", tok.TenantID)
		}
		if err := w.stepRoom(0); err != nil {
			return err
		}
		w.writes++
		began := time.Now()
		for {
			piece, more, err := w.erasePiece(sp, old, &left, most-int(out.Deleted.Resources()), at)
			if err != nil {
				return err
			}
			out.Deleted, out.More = out.Deleted.Plus(piece), more
			if !more || time.Since(began) >= w.target ||
				out.Deleted.Resources() >= int64(most) || out.Deleted.SubTenants >= stepTenants {
				break
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
	e.left = left
	return out, nil
}

// erasePiece removes some resources, up to most, and, once there are none, some
// tenants, deepest first, as long as there is more of them than finish takes. It
// reports whether there still is.
func (w *wtx) erasePiece(at spot, top *record, left *remaining, most int, now time.Time) (store.Counts, bool, error) {
	rows, many, err := left.count(at)
	if err != nil {
		return store.Counts{}, false, err
	}
	spare := len(left.nodes) - inlineTenants // tenants beyond what finish takes
	switch {
	case many || spare > 0 && rows > 0:
		removed, err := w.eraseRows(at, left, min(pieceRows, most))
		if err != nil {
			return store.Counts{}, false, err
		}
		w.noteErased(now)
		_, many, err := left.count(at)
		return removed, many || spare > 0, err
	case spare > 0:
		n := min(pieceTenants, spare)
		some := make([]node, n)
		for i := range some {
			r, err := at.tree.record(left.nodes[i].ord)
			if err != nil {
				return store.Counts{}, false, err
			}
			some[i] = node{r, left.nodes[i].ord}
		}
		removed, err := w.entomb(at, top, some, nil, now, true)
		removed.SubTenants = int64(n)
		left.nodes = left.nodes[n:]
		return removed, spare > n, err
	}
	return store.Counts{}, false, nil
}

// eraseRows removes up to limit resources in the order of G3.
func (w *wtx) eraseRows(at spot, left *remaining, limit int) (store.Counts, error) {
	t, counts := at.tree, tally{}
	if at.isRoot() {
		lo, hi := allResources()
		if _, _, err := t.erase(lo, hi, limit, counts); err != nil {
			return store.Counts{}, err
		}
		return counts.sum(), w.uncountOf(t, counts)
	}
	for limit > 0 && len(left.parts) > 0 {
		p := &left.parts[0]
		lo := resourceKey(p.kind, p.depth, p.ord, "")
		n, more, err := t.erase(lo, keyAfter(lo), limit, counts)
		if err != nil {
			return store.Counts{}, err
		}
		limit -= n
		left.taken += int64(n)
		left.rows -= int64(n)
		if !more {
			left.rows -= p.n - left.taken // 0 when the counter was right
			left.parts, left.taken = left.parts[1:], 0
		}
	}
	return counts.sum(), w.uncountOf(t, counts)
}

// count counts the resources that are left, by the counters, and reports whether
// they are more than finish removes in one transaction.
func (r *remaining) count(at spot) (rows int64, many bool, err error) {
	if at.isRoot() {
		return at.tree.left(at, nil)
	}
	return r.rows, r.rows > inlineRows, nil
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

// uncount takes removed resources out of the counters of the store.
func (w *wtx) uncount(removed store.Counts) {
	for _, k := range store.Kinds() {
		w.totals.resources.Add(k, -removed.Of(k))
	}
	w.dirty.totals = true
}

// uncountOf is uncount that also takes them out of the counters of tenants that
// stay for now and remember what was theirs.
func (w *wtx) uncountOf(t *tree, removed tally) error {
	w.uncount(removed.sum())
	for ord, c := range removed {
		for _, k := range store.Kinds() {
			if n := c.Of(k); n != 0 {
				if err := t.count(ord, k, -n); err != nil {
					return err
				}
			}
		}
		was, err := t.removedOf(ord)
		if err != nil {
			return err
		}
		if err := t.b.Put(ordKey(keyRemoved, ord), appendCounts(nil, was.Plus(*c))); err != nil {
			return fmt.Errorf("write counts: %w", err)
		}
	}
	return nil
}
