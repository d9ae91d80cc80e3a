package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantpurge/purger/store"
)

// maxError bounds the text of an error that is kept on a record, in bytes.
const maxError = 512

// fenced finds the claimed tenant of a token.
func (w *wtx) fenced(tok store.Token) (spot, *record, error) {
	at, r, err := find(w.tx, tok.TenantID)
	if err != nil {
		if store.CodeOf(err) == store.Gone {
			err = store.Errorf(store.Conflict, "the claim on tenant %q is over: %w", tok.TenantID, err)
		}
		return at, nil, err
	}
	if r.Purge == nil || r.Status != store.StatusPurging || r.Purge.Fence != tok.Fence || r.Purge.LeaseEnd.IsZero() {
		return at, nil, store.Errorf(store.Conflict, "the claim on tenant %q was superseded", tok.TenantID)
	}
	return at, r, nil
}

// progress writes a changed progress.
func (w *wtx) progress(at spot, old *record, p *store.Progress) error {
	now := *old
	now.Purge = p
	return w.replace(at, old, &now)
}

// Record implements [store.Store].
func (s *Store) Record(ctx context.Context, tok store.Token, a store.Advance) error {
	return s.write(ctx, background, func(w *wtx) error {
		at, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		p := *old.Purge
		p.LeaseEnd.Time = store.Trim(a.At.Add(a.Lease))
		p.Planned, p.Deleted = p.Planned.Plus(a.Planned), p.Deleted.Plus(a.Deleted)
		p.CountsInexact = p.CountsInexact || a.Inexact
		if a.Target != "" {
			targets := map[string]store.Counts{a.Target: p.Targets[a.Target].Plus(a.Deleted)}
			for name, c := range p.Targets {
				if name != a.Target {
					targets[name] = c
				}
			}
			p.Targets = targets
		}
		return w.progress(at, old, &p)
	})
}

// Erase implements [store.Store].
func (s *Store) Erase(ctx context.Context, tok store.Token, at time.Time, lease time.Duration) (store.Erased, error) {
	var out store.Erased
	err := s.write(ctx, background, func(w *wtx) error {
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
		left := inlineRows
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
		some := nodes[:min(inlineTenants/2, len(nodes)-inlineTenants)]
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

// entomb replaces tenants by their tombstones, deepest first, with what is left
// of their resources. In steps, their ids are kept for the receipt.
func (w *wtx) entomb(at spot, top *record, nodes []node, now time.Time, inSteps bool) (store.Counts, error) {
	t := at.tree
	counts := tally{}
	whole := at.isRoot() && !inSteps
	if whole {
		lo, hi := allResources()
		if err := t.scan(lo, hi, counts); err != nil {
			return store.Counts{}, err
		}
	} else {
		for _, r := range rangesOf(nodes) {
			if _, _, err := t.erase(r.lo, r.hi, math.MaxInt, counts); err != nil {
				return store.Counts{}, err
			}
		}
	}
	if err := w.uncount(t, counts, false); err != nil {
		return store.Counts{}, err
	}
	w.noteErased(now)
	for i := range nodes {
		n := &nodes[i]
		own, err := t.removedOf(n.ord)
		if err != nil {
			return store.Counts{}, err
		}
		if c := counts[n.ord]; c != nil {
			own = own.Plus(*c)
		}
		// A claim writes the subtree's new version and status unless it is
		// finished in the same transaction: then they are one ahead.
		version := n.Version
		if n.Status != store.StatusPurging && n.Status != store.StatusFailed {
			version++
		}
		stone := store.Tombstone{
			ID: n.ID, ParentID: n.ParentID, PurgedWith: top.ID, CreatedAt: store.Timestamp{Time: n.CreatedAt},
			DisabledAt: store.Timestamp{Time: n.DisabledAt}, DeletedAt: store.Timestamp{Time: store.Trim(now)},
			Version: version + 1, Deleted: own,
		}
		if err := w.put(bucketIDs, []byte(n.ID), encodeTombstone(&stone)); err != nil {
			return store.Counts{}, err
		}
		if err := w.reindex(n.record, nil, place{}); err != nil {
			return store.Counts{}, err
		}
		w.totals.status[statusCode(store.StatusDeleted)]++
		if whole {
			continue
		}
		if inSteps {
			if err := t.noteGone(at.ord, n.ID); err != nil {
				return store.Counts{}, err
			}
		}
		if err := t.removeTenant(n); err != nil {
			return store.Counts{}, err
		}
	}
	return counts.sum(), nil
}

// noteGone keeps the id of a tenant that went before the top did.
func (t *tree) noteGone(top uint32, id string) error {
	k := binary.BigEndian.AppendUint32(ordKey(keyGone, top), t.header.gone)
	t.header.gone++
	t.dirty = true
	if err := t.b.Put(k, []byte(id)); err != nil {
		return fmt.Errorf("note a removed tenant: %w", err)
	}
	return nil
}

// gone returns, in the order of their removal, the ids that were noted, and
// their keys.
func (t *tree) gone(top uint32) (ids []string, keys [][]byte) {
	if t.header.gone == 0 {
		return nil, nil
	}
	prefix := ordKey(keyGone, top)
	c := t.b.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		ids, keys = append(ids, string(v)), append(keys, slices.Clone(k))
	}
	return ids, keys
}

// moveGone gives what was noted for one claim to another.
func (t *tree) moveGone(from, to uint32) error {
	ids, keys := t.gone(from)
	for i, id := range ids {
		if err := t.b.Delete(keys[i]); err != nil {
			return fmt.Errorf("move a removed tenant: %w", err)
		}
		if err := t.noteGone(to, id); err != nil {
			return err
		}
	}
	return nil
}

// finish removes the subtree, verifies that nothing is left, and writes the
// evidence. top is the claimed record; old is what the indexes know of it.
func (w *wtx) finish(at spot, top, old *record, nodes []node, v store.Verification) (store.Receipt, error) {
	t := at.tree
	gone, goneKeys := t.gone(at.ord)
	tenants := slices.Clone(gone)
	for i := range nodes {
		tenants = append(tenants, nodes[i].ID)
	}
	p := *top.Purge
	last := nodes[len(nodes)-1]
	last.record = old
	nodes = append(slices.Clone(nodes[:len(nodes)-1]), last)
	removed, err := w.entomb(at, top, nodes, v.At, false)
	if err != nil {
		return store.Receipt{}, err
	}
	removed.SubTenants = int64(len(nodes) - 1)
	p.Deleted = p.Deleted.Plus(removed)
	done := *top
	done.Purge = &p

	remaining, err := w.sweep(at, nodes, goneKeys)
	if err != nil {
		return store.Receipt{}, err
	}
	if remaining != (store.Counts{}) {
		return store.Receipt{}, store.Errorf(store.Internal, "tenant %q: %+v remain after everything was removed", top.ID, remaining)
	}
	r := store.NewReceipt(&done.Tenant, tenants, remaining, v.At)
	ref, err := w.audit(store.Entry{
		At: store.Timestamp{Time: v.At}, Actor: p.ClaimedBy, Action: store.ActionPurge, TenantID: top.ID,
		FromStatus: store.StatusPurging, ToStatus: store.StatusDeleted,
		FromVersion: top.Version, ToVersion: top.Version + 1, Counts: &p.Deleted,
		Detail: map[string]string{"purge": p.PurgeID, "receiptSha256": r.Digest()},
	})
	if err != nil {
		return store.Receipt{}, err
	}
	r.Audit = ref
	b, err := json.Marshal(r)
	if err != nil {
		return store.Receipt{}, fmt.Errorf("encode receipt: %w", err)
	}
	return r, w.put(bucketReceipts, []byte(top.ID), b)
}

// sweep removes what holds the subtree together, a whole tree's bucket for one,
// and counts what of its resources can still be read.
func (w *wtx) sweep(at spot, nodes []node, goneKeys [][]byte) (store.Counts, error) {
	t := at.tree
	w.writes++
	if at.isRoot() {
		if err := t.trees.DeleteBucket(segmentName(t.num, 0)); err != nil {
			return store.Counts{}, fmt.Errorf("drop tree %d: %w", t.num, err)
		}
		left := tally{}
		lo, hi := allResources()
		prefix := binary.BigEndian.AppendUint64(nil, t.num)
		c := t.trees.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if err := scanBucket(t.trees.Bucket(k), lo, hi, left); err != nil {
				return store.Counts{}, err
			}
		}
		return left.sum(), nil
	}
	for _, k := range goneKeys {
		if err := t.b.Delete(k); err != nil {
			return store.Counts{}, fmt.Errorf("forget a removed tenant: %w", err)
		}
	}
	if err := t.save(); err != nil {
		return store.Counts{}, err
	}
	fresh, err := openTree(w.tx, t.num)
	if err != nil {
		return store.Counts{}, err
	}
	left := tally{}
	for _, r := range ranges(at, nodes) {
		if err := fresh.scan(r.lo, r.hi, left); err != nil {
			return store.Counts{}, err
		}
	}
	return left.sum(), nil
}

// Finish implements [store.Store].
func (s *Store) Finish(ctx context.Context, tok store.Token, v store.Verification) (store.Receipt, error) {
	var out store.Receipt
	err := s.write(ctx, background, func(w *wtx) error {
		at, top, err := w.fenced(tok)
		if err != nil {
			return err
		}
		if v.Remaining != (store.Counts{}) {
			return store.Errorf(store.Precondition, "tenant %q: %+v remain in other systems", tok.TenantID, v.Remaining)
		}
		nodes, err := at.tree.subtree(at.ord)
		if err != nil {
			return err
		}
		_, many, err := at.tree.left(at, nodes)
		if err != nil {
			return err
		}
		if many || len(nodes) > inlineTenants {
			return store.Errorf(store.Precondition, "tenant %q: more is left than one transaction removes; erase first", tok.TenantID)
		}
		out, err = w.finish(at, top, top, nodes, v)
		return err
	})
	if err != nil {
		return store.Receipt{}, err
	}
	return out, nil
}

// Postpone implements [store.Store].
func (s *Store) Postpone(ctx context.Context, tok store.Token, f store.Failure) (store.Tenant, error) {
	var after store.Tenant
	err := s.write(ctx, background, func(w *wtx) error {
		at, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		now := *old
		p := *old.Purge
		p.Attempts++
		p.LeaseEnd = store.Timestamp{}
		p.NextAttempt.Time = store.Trim(f.Next)
		if f.Err != nil {
			p.LastError = clipError(f.Err.Error())
		}
		now.Purge = &p
		action := store.ActionPostpone
		if f.Next.IsZero() {
			action = store.ActionFail
			now.Status, now.Version, now.UpdatedAt = store.StatusFailed, old.Version+1, store.Trim(f.At)
		}
		if err := w.replace(at, old, &now); err != nil {
			return err
		}
		after = now.Tenant
		_, err = w.audit(store.Entry{
			At: store.Timestamp{Time: f.At}, Actor: p.ClaimedBy, Action: action, TenantID: tok.TenantID,
			FromStatus: old.Status, ToStatus: now.Status, FromVersion: old.Version, ToVersion: now.Version,
			Counts: &p.Deleted,
			// The text of an error may quote a resource: only its code stays.
			Detail: map[string]string{"attempts": itoa(int64(p.Attempts)), "code": string(store.CodeOf(f.Err)), "purge": p.PurgeID},
		})
		return err
	})
	if err != nil {
		return store.Tenant{}, err
	}
	return after, nil
}

// clipError makes the text of an error fit to be kept.
func clipError(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxError {
		return s
	}
	s = s[:maxError]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "..."
}

// Yield implements [store.Store].
func (s *Store) Yield(ctx context.Context, tok store.Token, at time.Time) error {
	return s.write(ctx, background, func(w *wtx) error {
		sp, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		p := *old.Purge
		p.LeaseEnd = store.Timestamp{}
		p.NextAttempt.Time = store.Trim(at)
		return w.progress(sp, old, &p)
	})
}
