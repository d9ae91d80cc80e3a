package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"

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
	err := s.withHosts(ctx, func() error { return s.create(ctx, r, o) })
	if err != nil {
		return store.Tenant{}, err
	}
	return r.Tenant, nil
}

// create is Create of a sound record.
func (s *Store) create(ctx context.Context, r *record, o store.Origin) error {
	return s.writeAt(ctx, foreground, o.At, func(w *wtx) error {
		if err := w.idIsFree(r.ID); err != nil {
			return err
		}
		if r.ParentID != "" {
			above, err := w.parentOf(r.ParentID)
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
		if err := w.hostIsFree(r.ID, r.Hostname); err != nil {
			return err
		}
		if err := w.insert(r); err != nil {
			return err
		}
		_, err := w.audit(store.Entry{
			At: store.Timestamp{Time: r.CreatedAt}, Actor: o.Actor.ID, Action: store.ActionCreate, TenantID: r.ID,
			ToStatus: r.Status, ToVersion: r.Version,
		})
		return err
	})
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
func (w *wtx) parentOf(id string) (spot, error) {
	p, err := findPlace(w.tx, id)
	if err != nil {
		return spot{}, store.Errorf(store.CodeOf(err), "parent %w", err).At("parentId")
	}
	t, err := openTree(w.tx, p.tree)
	w.touch(t)
	return spot{p, t}, err
}

// find opens the tree of a tenant for reading and reads its record.
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

// find opens the tree of a tenant for writing and reads its record.
func (w *wtx) find(id string) (spot, *record, error) {
	at, r, err := find(w.tx, id)
	w.touch(at.tree)
	return at, r, err
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
		if above, err = w.parentOf(r.ParentID); err == nil {
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
	if err := w.noteReactivated(r); err != nil {
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
	if f.ParentID != nil && *f.ParentID != "" {
		return s.children(ctx, f)
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

// children is Tenants below one parent, by the tree's own list of them.
func (s *Store) children(ctx context.Context, f store.Filter) ([]store.Tenant, error) {
	list := []store.Tenant{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		at, _, err := find(tx, *f.ParentID)
		switch store.CodeOf(err) {
		case "":
		case store.NotFound, store.Gone:
			return nil // nobody's children
		default:
			return err
		}
		prefix := ordKey(keyChild, at.ord)
		c := at.tree.b.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(k) == 9; k, _ = c.Next() {
			r, err := at.tree.record(binary.BigEndian.Uint32(k[5:]))
			if err != nil {
				return err
			}
			if r.ID > f.After && selects(f, &r.Tenant) {
				list = append(list, r.Tenant)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b store.Tenant) int { return strings.Compare(a.ID, b.ID) })
	return list[:min(len(list), f.Limit)], err
}

// selects reports whether the filter lets a tenant through.
func selects(f store.Filter, t *store.Tenant) bool {
	return (f.Status == "" || t.Status == f.Status) &&
		(f.ParentID == nil || t.ParentID == *f.ParentID) &&
		(f.DueBy.IsZero() || t.Due(f.DueBy))
}
