package boltstore

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// Put implements [store.Directory].
func (s *Store) Put(ctx context.Context, resources []store.Resource) error {
	data := make([][]byte, len(resources))
	for i := range resources {
		var err error
		if data[i], err = checkResource(&resources[i]); err != nil {
			return err
		}
	}
	more := roomFor(data)
	return s.write(ctx, foreground, func(w *wtx) error {
		if err := w.stepRoom(more); err != nil {
			return err
		}
		open := w.opened()
		for i := range resources {
			r := &resources[i]
			at, rec, err := open.find(r.TenantID)
			if err != nil {
				return err
			}
			if rec.Status.Irrevocable() {
				return store.Errorf(store.Precondition, "tenant %q is %s and takes no resources", r.TenantID, rec.Status)
			}
			if err := w.putResource(at, rec, r.Kind, r.ID, data[i]); err != nil {
				return err
			}
		}
		return open.save()
	})
}

// checkResource validates a resource and returns its data as it is kept.
func checkResource(r *store.Resource) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if len(r.Data) == 0 {
		return []byte("{}"), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, r.Data); err != nil || b.Len() == 0 || b.Bytes()[0] != '{' {
		return nil, store.Errorf(store.Invalid, "data: want a JSON object").At("data")
	}
	return b.Bytes(), nil
}

// putResource adds or replaces one resource and counts it.
func (w *wtx) putResource(at spot, r *record, k store.Kind, id string, data []byte) error {
	w.writes++
	added, err := at.tree.putResource(resourceKey(k, r.depth, at.ord, id), data)
	if err != nil {
		return err
	}
	if !added {
		w.noteErased(time.Now()) // the old data
		return nil
	}
	w.totals.resources.Add(k, 1)
	w.dirty.totals = true
	return at.tree.count(at.ord, k, 1)
}

// Remove implements [store.Directory].
func (s *Store) Remove(ctx context.Context, tenantID string, kind store.Kind, id string) error {
	if err := (&store.Resource{TenantID: tenantID, Kind: kind, ID: id}).Validate(); err != nil {
		return err
	}
	return s.write(ctx, foreground, func(w *wtx) error {
		at, r, err := w.find(tenantID)
		if err != nil {
			return err
		}
		if r.Status.Irrevocable() {
			return store.Errorf(store.Precondition, "tenant %q is %s; its resources go with it", tenantID, r.Status)
		}
		lo := resourceKey(kind, r.depth, at.ord, id)
		if v, err := at.tree.resource(lo); err != nil || v == nil {
			return err
		}
		w.writes++
		w.noteErased(time.Now())
		removed := tally{}
		if _, _, err := at.tree.erase(lo, append(slices.Clone(lo), 0), 1, removed); err != nil {
			return err
		}
		for _, k := range store.Kinds() {
			if c := removed[at.ord]; c != nil && c.Of(k) > 0 {
				w.totals.resources.Add(k, -c.Of(k))
				if err := at.tree.count(at.ord, k, -c.Of(k)); err != nil {
					return err
				}
			}
		}
		w.dirty.totals = true
		return at.tree.save()
	})
}

// List implements [store.Directory].
func (s *Store) List(ctx context.Context, tenantID string, kind store.Kind, after string, limit int) ([]store.Resource, error) {
	if _, err := store.ParseKind(string(kind)); err != nil {
		return nil, err
	}
	list := []store.Resource{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		at, r, err := find(tx, tenantID)
		if err != nil {
			return err
		}
		prefix := resourceKey(kind, r.depth, at.ord, "")
		lo := prefix
		if after != "" {
			lo = append(slices.Clone(prefix), after+"\x00"...)
		}
		segs, err := at.tree.segments()
		if err != nil {
			return err
		}
		for i := range segs {
			if i+1 < len(segs) && bytes.Compare(segs[i+1].first, lo) <= 0 {
				continue
			}
			c := segs[i].b.Cursor()
			for k, v := c.Seek(lo); bytes.HasPrefix(k, prefix) && len(list) < limit; k, v = c.Next() {
				list = append(list, store.Resource{
					TenantID: tenantID, Kind: kind, ID: string(k[resourceHead:]), Data: slices.Clone(v),
				})
			}
			if len(list) == limit || i+1 < len(segs) && bytes.Compare(segs[i+1].first, keyAfter(prefix)) >= 0 {
				return nil
			}
		}
		return nil
	})
	return list, err
}

// Count implements [store.Directory].
func (s *Store) Count(ctx context.Context, tenantID string) (store.Counts, error) {
	var c store.Counts
	err := s.view(ctx, func(tx *bolt.Tx) error {
		at, _, err := find(tx, tenantID)
		if err != nil {
			return err
		}
		if c, err = at.tree.countsOf(at.ord); err != nil {
			return err
		}
		nodes, err := at.tree.subtree(at.ord)
		c.SubTenants = int64(len(nodes) - 1)
		return err
	})
	return c, err
}
