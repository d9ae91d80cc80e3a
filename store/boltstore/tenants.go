package boltstore

import (
	"context"
	"encoding/binary"
	"reflect"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// Create implements [store.Store].
func (s *Store) Create(ctx context.Context, t store.Tenant, o store.Origin) (store.Tenant, error) {
	at := store.Trim(o.At)
	r := &record{Tenant: store.Tenant{
		ID: t.ID, ParentID: t.ParentID, Name: t.Name, Hostname: t.Hostname,
		ActiveSubscriptions: t.ActiveSubscriptions,
		Status:              store.StatusActive, Version: 1, CreatedAt: at, UpdatedAt: at,
	}}
	if err := r.Validate(); err != nil {
		return store.Tenant{}, err
	}
	err := s.write(ctx, foreground, func(w *wtx) error {
		if err := w.idIsFree(r.ID); err != nil {
			return err
		}
		if r.ParentID != "" {
			above, err := parentOf(w.tx, r.ParentID)
			if err != nil {
				return err
			}
			bad, err := above.tree.nearestInactive(above.ord)
			if err != nil {
				return err
			}
			if bad != nil {
				return store.Errorf(store.Precondition, "tenant %q cannot be created below %q, which is %s", r.ID, bad.ID, bad.Status).At("parentId")
			}
		}
		if err := w.insert(r); err != nil {
			return err
		}
		_, err := w.audit(store.Entry{
			At: store.Timestamp{Time: at}, Actor: o.Actor.ID, Action: store.ActionCreate, TenantID: r.ID,
			ToStatus: r.Status, ToVersion: r.Version,
		})
		return err
	})
	if err != nil {
		return store.Tenant{}, err
	}
	return r.Tenant, nil
}

// idIsFree refuses an id that is or ever was in use.
func (w *wtx) idIsFree(id string) error {
	v := w.tx.Bucket(bucketIDs).Get([]byte(id))
	switch {
	case v == nil:
		return nil
	case v[0] == idTombstone:
		return store.Errorf(store.Gone, "tenant %q was purged; its id is never given again", id).At("id")
	}
	return store.Errorf(store.Conflict, "tenant %q exists already", id).At("id")
}

// spot is a tenant's place with its tree open.
type spot struct {
	place
	tree *tree
}

// parentOf finds a parent; its errors name the field.
func parentOf(tx *bolt.Tx, id string) (spot, error) {
	p, err := findPlace(tx, id)
	if err != nil {
		return spot{}, store.Errorf(store.CodeOf(err), "parent %w", err).At("parentId")
	}
	t, err := openTree(tx, p.tree)
	return spot{p, t}, err
}

// find opens the tree of a tenant and reads its record.
func find(tx *bolt.Tx, id string) (spot, *record, error) {
	p, err := findPlace(tx, id)
	if err != nil {
		return spot{}, nil, err
	}
	t, err := openTree(tx, p.tree)
	if err != nil {
		return spot{}, nil, err
	}
	r, err := t.record(p.ord)
	return spot{p, t}, r, err
}

// insert adds a record whose parent, if it has one, is there. It sets where the
// record is in its tree.
func (w *wtx) insert(r *record) error {
	var (
		t   *tree
		err error
	)
	if r.ParentID == "" {
		r.parent, r.depth = 0, 0
		t, err = w.createTree()
	} else {
		var above spot
		if above, err = parentOf(w.tx, r.ParentID); err == nil {
			t = above.tree
			err = t.below(r, above.ord)
		}
	}
	if err != nil {
		return err
	}
	if err := w.insertInto(t, r); err != nil {
		return err
	}
	return t.save()
}

// below sets a new record's place under its parent.
func (t *tree) below(r *record, parent uint32) error {
	p, err := t.record(parent)
	if err != nil {
		return err
	}
	if p.depth == store.MaxDepth {
		return store.Errorf(store.Invalid, "parentId %q: the tree would be deeper than %d", r.ParentID, store.MaxDepth).At("parentId")
	}
	r.parent, r.depth = parent, p.depth+1
	return nil
}

// insertInto adds a record to its open tree; the caller saves the tree.
func (w *wtx) insertInto(t *tree, r *record) error {
	w.writes++
	ord, err := t.addTenant(r)
	if err != nil {
		return err
	}
	p := place{t.num, ord}
	if err := w.put(bucketIDs, []byte(r.ID), appendPlace([]byte{idLive}, p)); err != nil {
		return err
	}
	return w.reindex(nil, r, p)
}

// Tenant implements [store.Store].
func (s *Store) Tenant(ctx context.Context, id string) (store.Tenant, error) {
	var t store.Tenant
	err := s.view(ctx, func(tx *bolt.Tx) error {
		_, r, err := find(tx, id)
		if err == nil {
			t = r.Tenant
		}
		return err
	})
	return t, err
}

// Tombstone implements [store.Store].
func (s *Store) Tombstone(ctx context.Context, id string) (store.Tombstone, error) {
	var t store.Tombstone
	err := s.view(ctx, func(tx *bolt.Tx) (err error) {
		t, err = tombstone(tx, id)
		return err
	})
	return t, err
}

func tombstone(tx *bolt.Tx, id string) (store.Tombstone, error) {
	v := tx.Bucket(bucketIDs).Get([]byte(id))
	switch {
	case v == nil:
		return store.Tombstone{}, store.Errorf(store.NotFound, "tenant %q is not known", clip(id))
	case v[0] != idTombstone:
		return store.Tombstone{}, store.Errorf(store.Precondition, "tenant %q is not purged", id)
	}
	return decodeTombstone(id, v)
}

// Tenants implements [store.Store].
func (s *Store) Tenants(ctx context.Context, f store.Filter) ([]store.Tenant, error) {
	if f.Limit <= 0 || f.Limit > store.MaxPage {
		f.Limit = store.MaxPage
	}
	list := []store.Tenant{}
	// A scan that selects little reads much: short transactions, so that it
	// holds no pages for long.
	const step = 4096
	for done := false; !done; {
		err := s.view(ctx, func(tx *bolt.Tx) error {
			c := tx.Bucket(bucketIDs).Cursor()
			k, v := c.Seek([]byte(f.After))
			if f.After != "" && string(k) == f.After {
				k, v = c.Next()
			}
			var open *tree
			for n := 0; n < step; n++ {
				if k == nil || len(list) == f.Limit {
					done = true
					return nil
				}
				f.After = string(k)
				if v[0] == idLive {
					p, ok := readPlace(v[1:])
					if !ok {
						return store.Errorf(store.Internal, "the place of tenant %q is damaged", k)
					}
					if open == nil || open.num != p.tree {
						t, err := openTree(tx, p.tree)
						if err != nil {
							return err
						}
						open = t
					}
					r, err := open.record(p.ord)
					if err != nil {
						return err
					}
					if selects(f, &r.Tenant) {
						list = append(list, r.Tenant)
					}
				}
				k, v = c.Next()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// selects reports whether the filter lets a tenant through.
func selects(f store.Filter, t *store.Tenant) bool {
	return (f.Status == "" || t.Status == f.Status) &&
		(f.ParentID == nil || t.ParentID == *f.ParentID) &&
		(f.DueBy.IsZero() || t.Due(f.DueBy))
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, id string, up store.Update) (store.Tenant, error) {
	var after store.Tenant
	err := s.write(ctx, foreground, func(w *wtx) error {
		at, old, err := find(w.tx, id)
		if err != nil {
			return err
		}
		if up.Version != 0 && up.Version != old.Version {
			return store.Errorf(store.Conflict, "tenant %q has version %d, not %d", id, old.Version, up.Version).At("version")
		}
		var above *store.Tenant
		if !at.isRoot() {
			if above, err = at.tree.nearestInactive(old.parent); err != nil {
				return err
			}
		}
		now := *old
		if err := up.Change.Apply(&now.Tenant, above, up.Origin); err != nil {
			return err
		}
		if reflect.DeepEqual(&now, old) {
			after = old.Tenant
			return nil
		}
		if err := checkChange(&old.Tenant, &now.Tenant); err != nil {
			return err
		}
		now.Version = old.Version + 1
		now.UpdatedAt = store.Trim(up.At)
		now.Block = nil // what stood in the way may be gone: the next pass tells
		if err := w.replace(at, old, &now); err != nil {
			return err
		}
		after = now.Tenant
		_, err = w.audit(store.Entry{
			At: store.Timestamp{Time: up.At}, Actor: up.Actor.ID, Action: up.Change.Action, TenantID: id,
			FromStatus: old.Status, ToStatus: now.Status, FromVersion: old.Version, ToVersion: now.Version,
			Detail: changeDetail(up.Change.Action, &old.Tenant, &now.Tenant),
		})
		return err
	})
	if err != nil {
		return store.Tenant{}, err
	}
	return after, nil
}

// replace writes a changed record and moves it in the indexes.
func (w *wtx) replace(at spot, old, now *record) error {
	w.writes++
	if err := at.tree.putRecord(at.ord, now); err != nil {
		return err
	}
	return w.reindex(old, now, at.place)
}

// checkChange refuses what no change may do, whoever wrote it.
func checkChange(old, now *store.Tenant) error {
	if now.ID != old.ID || now.ParentID != old.ParentID {
		return store.Errorf(store.Invalid, "tenant %q: id and parentId never change", old.ID).At("parentId")
	}
	legal := now.Status == old.Status ||
		old.Status == store.StatusActive && now.Status == store.StatusDisabled ||
		old.Status == store.StatusDisabled && now.Status == store.StatusActive ||
		old.Status == store.StatusFailed && now.Status == store.StatusPurging
	if !legal {
		return store.Errorf(store.Precondition, "tenant %q is %s and cannot become %s", old.ID, old.Status, now.Status).At("status")
	}
	return now.Validate()
}

// changeDetail is what an audit entry tells of a change beyond status and
// version. Names and host names are told as changed, not what they are.
func changeDetail(a store.Action, old, now *store.Tenant) map[string]string {
	d := map[string]string{}
	switch a {
	case store.ActionDeactivate:
		d["purgeAfterDays"] = itoa(int64(now.PurgeAfterDays))
		d["estimatedPurgeDate"] = store.FormatTime(now.EstimatedPurgeDate)
	case store.ActionHold:
		if now.Hold != nil {
			d["reason"] = now.Hold.Reason
			d["until"] = store.FormatTime(now.Hold.Until)
		}
	}
	if old.Name != now.Name {
		d["name"] = "changed"
	}
	if old.Hostname != now.Hostname {
		d["hostname"] = "changed"
	}
	if old.ActiveSubscriptions != now.ActiveSubscriptions {
		d["activeSubscriptions"] = itoa(int64(now.ActiveSubscriptions))
	}
	if len(d) == 0 {
		return nil
	}
	return d
}

// Due implements [store.Store].
func (s *Store) Due(ctx context.Context, now time.Time, after store.Cursor, limit int) ([]store.Candidate, error) {
	var list []store.Candidate
	err := s.view(ctx, func(tx *bolt.Tx) error {
		m := newMerge(after, tx.Bucket(bucketDue), tx.Bucket(bucketBlocked))
		for len(list) < limit {
			k, v := m.next()
			if k == nil || binary.BigEndian.Uint64(k) > millis(now) {
				return nil
			}
			cur, ok := splitIndexKey(k)
			p, placed := readPlace(v)
			if !ok || !placed {
				return store.Errorf(store.Internal, "an entry of the due index is damaged")
			}
			cand := store.Candidate{Cursor: cur}
			if !p.isRoot() {
				above, err := dueAbove(tx, p, now)
				if err != nil {
					return err
				}
				cand.DueAbove = above
			}
			list = append(list, cand)
		}
		return nil
	})
	return list, err
}

// dueAbove returns the due ancestors of a tenant, topmost first.
func dueAbove(tx *bolt.Tx, p place, now time.Time) ([]string, error) {
	t, err := openTree(tx, p.tree)
	if err != nil {
		return nil, err
	}
	r, err := t.record(p.ord)
	if err != nil {
		return nil, err
	}
	var ids []string
	err = t.ancestors(r, p.ord, func(a *record) bool {
		if a.Due(now) {
			ids = append(ids, a.ID)
		}
		return true
	})
	for i, j := 0, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids, err
}

// merge walks several indexes as one, in the order of their keys.
type merge struct {
	cursors []*bolt.Cursor
	keys    [][]byte
	values  [][]byte
}

// newMerge stands after a cursor; the zero cursor is the beginning.
func newMerge(after store.Cursor, buckets ...*bolt.Bucket) *merge {
	m := &merge{}
	for _, b := range buckets {
		c := b.Cursor()
		var k, v []byte
		if after.ID == "" {
			k, v = c.First()
		} else {
			start := indexKey(after.At, after.ID)
			if k, v = c.Seek(start); string(k) == string(start) {
				k, v = c.Next()
			}
		}
		m.cursors, m.keys, m.values = append(m.cursors, c), append(m.keys, k), append(m.values, v)
	}
	return m
}

// next returns the next entry; nil at the end.
func (m *merge) next() (k, v []byte) {
	best := -1
	for i, k := range m.keys {
		if k != nil && (best < 0 || string(k) < string(m.keys[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil, nil
	}
	k, v = m.keys[best], m.values[best]
	m.keys[best], m.values[best] = m.cursors[best].Next()
	return k, v
}

// Resumable implements [store.Store].
func (s *Store) Resumable(ctx context.Context, now time.Time, after store.Cursor, limit int) ([]store.Candidate, error) {
	var list []store.Candidate
	err := s.view(ctx, func(tx *bolt.Tx) error {
		m := newMerge(after, tx.Bucket(bucketPurging))
		for len(list) < limit {
			k, v := m.next()
			if k == nil || binary.BigEndian.Uint64(k) > millis(now) {
				return nil
			}
			cur, ok := splitIndexKey(k)
			p, placed := readPlace(v)
			if !ok || !placed {
				return store.Errorf(store.Internal, "an entry of the purging index is damaged")
			}
			t, err := openTree(tx, p.tree)
			if err != nil {
				return err
			}
			r, err := t.record(p.ord)
			if err != nil {
				return err
			}
			if !s.leased(r.Purge, now) {
				list = append(list, store.Candidate{Cursor: cur})
			}
		}
		return nil
	})
	return list, err
}

// leased reports whether an owner works on a claim. The leases of earlier
// owners of the file ended with them.
func (s *Store) leased(p *store.Progress, now time.Time) bool {
	return p != nil && p.Fence > s.fenceAtOpen && now.Before(p.LeaseEnd.Time)
}
