package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// entomb replaces tenants by their tombstones, deepest first, with what is left
// of their resources. In steps, their ids are kept for the receipt. held is what
// a scan of the whole tree found, of which nothing was removed yet; nil when there
// was none.
func (w *wtx) entomb(at spot, top *record, nodes []node, held tally, now time.Time, inSteps bool) (store.Counts, error) {
	t := at.tree
	counts := held
	whole := at.isRoot() && !inSteps
	switch {
	case whole && held != nil:
	case whole:
		counts = tally{}
		lo, hi := allResources()
		if err := t.scan(lo, hi, counts); err != nil {
			return store.Counts{}, err
		}
	default:
		counts = tally{}
		for _, r := range rangesOf(nodes) {
			if _, _, err := t.erase(r.lo, r.hi, math.MaxInt, counts); err != nil {
				return store.Counts{}, err
			}
		}
	}
	sum := counts.sum()
	w.uncount(sum)
	w.noteErased(now)
	for i := range nodes {
		n := &nodes[i]
		var own store.Counts
		if held == nil { // otherwise nothing was removed before
			var err error
			if own, err = t.removedOf(n.ord); err != nil {
				return store.Counts{}, err
			}
		}
		if c := counts[n.ord]; c != nil {
			own = own.Plus(*c)
		}
		// A claim writes the subtree's new version and status unless it is
		// finished in the same transaction: then they are one ahead.
		version := n.Version
		if n.Status != store.StatusPurging {
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
		if err := w.noteGoneHost(n.Hostname); err != nil {
			return store.Counts{}, err
		}
		if err := w.dropAnswers(n.ID); err != nil {
			return store.Counts{}, err
		}
		if whole {
			continue
		}
		if err := t.removeTenant(n); err != nil {
			return store.Counts{}, err
		}
	}
	if inSteps {
		if err := w.noteGone(t, at.ord, idsOf(nodes)); err != nil {
			return store.Counts{}, err
		}
	}
	return sum, nil
}

// idsOf returns the ids of tenants.
func idsOf(nodes []node) []string {
	ids := make([]string, len(nodes))
	for i := range nodes {
		ids[i] = nodes[i].ID
	}
	return ids
}

// noteGone keeps the ids of tenants that went before the top did, together: to
// forget many single ones would make the last transaction long. Versions that
// know schema 1 take what is under a key for one id, and would put that on a
// receipt.
func (w *wtx) noteGone(t *tree, top uint32, ids []string) error {
	if len(ids) > 1 {
		if err := w.needSchema(schemaGoneTogether); err != nil {
			return err
		}
	}
	k := binary.BigEndian.AppendUint32(ordKey(keyGone, top), t.header.gone)
	t.header.gone += uint32(len(ids))
	t.dirty = true
	if err := t.b.Put(k, []byte(strings.Join(ids, goneSeparator))); err != nil {
		return fmt.Errorf("note removed tenants: %w", err)
	}
	return nil
}

// goneSeparator is in no id.
const goneSeparator = "\n"

// gone returns, in the order of their removal, the ids that were noted, and
// their keys.
func (t *tree) gone(top uint32) (ids []string, keys [][]byte) {
	if t.header.gone == 0 {
		return nil, nil
	}
	prefix := ordKey(keyGone, top)
	c := t.b.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		ids, keys = append(ids, strings.Split(string(v), goneSeparator)...), append(keys, slices.Clone(k))
	}
	return ids, keys
}

// goneBytes returns how long the ids are together that were noted for a claim,
// with a separator after each.
func (t *tree) goneBytes(top uint32) int64 {
	if t.header.gone == 0 {
		return 0
	}
	var n int
	prefix := ordKey(keyGone, top)
	c := t.b.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		n += len(v) + len(goneSeparator)
	}
	return int64(n)
}

// moveGone gives what was noted for one claim to another.
func (w *wtx) moveGone(t *tree, from, to uint32) error {
	ids, keys := t.gone(from)
	for _, k := range keys {
		if err := t.b.Delete(k); err != nil {
			return fmt.Errorf("move a removed tenant: %w", err)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return w.noteGone(t, to, ids)
}

// finish removes the subtree, verifies that nothing is left, and writes the
// evidence. top is the claimed record; old is what the indexes know of it, and
// held what a scan of the whole tree found, if there was one.
func (w *wtx) finish(at spot, top, old *record, nodes []node, held tally, v store.Verification) (store.Receipt, error) {
	t := at.tree
	gone, goneKeys := t.gone(at.ord)
	tenants := append(make([]string, 0, len(gone)+len(nodes)), gone...)
	for i := range nodes {
		tenants = append(tenants, nodes[i].ID)
	}
	p := *top.Purge
	last := nodes[len(nodes)-1]
	last.record = old
	nodes = append(slices.Clone(nodes[:len(nodes)-1]), last)
	removed, err := w.entomb(at, top, nodes, held, v.At, false)
	if err != nil {
		return store.Receipt{}, err
	}
	removed.SubTenants = int64(len(nodes) - 1)
	p.Deleted = p.Deleted.Plus(removed)
	p.Settle(v.Settled)
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
	if len(v.Unaccounted) > 0 {
		r.Unaccounted, r.CountsExact = v.Unaccounted, false
	}
	if len(r.LowerBounds)+len(r.Unaccounted) > 0 {
		if err := w.needSchema(schemaLowerBounds); err != nil {
			return store.Receipt{}, err
		}
	}
	body, err := r.Seal(func(digest string) (store.AuditRef, error) {
		return w.audit(store.Entry{
			At: store.Timestamp{Time: v.At}, Actor: p.ClaimedBy, Action: store.ActionPurge, TenantID: top.ID,
			FromStatus: store.StatusPurging, ToStatus: store.StatusDeleted,
			FromVersion: top.Version, ToVersion: top.Version + 1, Counts: &p.Deleted,
			Detail: map[string]string{"purge": p.PurgeID, "receiptSha256": digest},
		})
	})
	if err != nil {
		return store.Receipt{}, err
	}
	return r, w.put(bucketReceipts, []byte(top.ID), body)
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
	s.readAheadOf(ctx, tok.TenantID)
	err := s.writeAt(ctx, background, v.At, func(w *wtx) error {
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
		if err := w.stepRoom(finishRoom(at.tree, at.ord, nodes)); err != nil {
			return err
		}
		if many || len(nodes) > inlineTenants {
			return store.Errorf(store.Precondition, "tenant %q: more is left than one transaction removes; erase first", tok.TenantID)
		}
		out, err = w.finish(at, top, top, nodes, nil, v)
		return err
	})
	if err != nil {
		return store.Receipt{}, err
	}
	return out, nil
}
