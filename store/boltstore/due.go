package boltstore

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// Due implements [store.Store].
func (s *Store) Due(ctx context.Context, now time.Time, after store.Cursor, limit int) ([]store.Candidate, error) {
	var list []store.Candidate
	// first are those without a due ancestor, and so those that are claimed
	// first; reading the subtree of every other one ahead as well would read a
	// deep tree a square of times.
	var (
		first  []store.Candidate
		places []place
	)
	err := s.view(ctx, func(tx *bolt.Tx) error {
		known := map[place]lineage{}
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
				above, err := dueAbove(tx, p, now, known)
				if err != nil {
					return err
				}
				cand.DueAbove = above
			}
			list = append(list, cand)
			if len(cand.DueAbove) == 0 {
				first, places = append(first, cand), append(places, p)
			}
		}
		return nil
	})
	s.expectClaims(ctx, first, places)
	return list, err
}

// lineage is the first n of a list of due tenants, topmost first. Lists are
// shared: a tree may be deep.
type lineage struct {
	list *[]string
	n    int
}

// dueAbove returns the due ancestors of a tenant, topmost first. known has, for
// each tenant that was passed before, the due ones from the root down to it: they
// share memory, since a tree may be deep.
func dueAbove(tx *bolt.Tx, p place, now time.Time, known map[place]lineage) ([]string, error) {
	t, err := openTree(tx, p.tree)
	if err != nil {
		return nil, err
	}
	r, err := t.record(p.ord)
	if err != nil {
		return nil, err
	}
	type step struct {
		ord uint32
		due string
	}
	var path []step // from the parent up to one that is known
	line := lineage{list: new([]string)}
	for ord := p.ord; ord != 0; {
		ord = r.parent
		above, ok := known[place{p.tree, ord}]
		if ok {
			line = above
			break
		}
		if r, err = t.record(ord); err != nil {
			return nil, err
		}
		s := step{ord: ord}
		if r.Due(now) {
			s.due = r.ID
		}
		path = append(path, s)
	}
	for i := len(path) - 1; i >= 0; i-- {
		if id := path[i].due; id != "" {
			if line.n < len(*line.list) { // another branch goes on in it
				list := slices.Clone((*line.list)[:line.n])
				line.list = &list
			}
			*line.list = append(*line.list, id)
			line.n++
		}
		known[place{p.tree, path[i].ord}] = line
	}
	return (*line.list)[:line.n:line.n], nil
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

// NextAttempt implements [store.Store]. The index has the next attempts, and
// the records of those that come first whether somebody works on them.
func (s *Store) NextAttempt(ctx context.Context, after time.Time) (time.Time, error) {
	var next time.Time
	err := s.view(ctx, func(tx *bolt.Tx) error {
		m := newMerge(store.Cursor{}, tx.Bucket(bucketPurging))
		for k, v := m.next(); k != nil; k, v = m.next() {
			cur, ok := splitIndexKey(k)
			p, placed := readPlace(v)
			if !ok || !placed {
				return store.Errorf(store.Internal, "an entry of the purging index is damaged")
			}
			if !next.IsZero() && !cur.At.Before(next) {
				return nil
			}
			// A record that cannot be read is reported by the pass that tries it.
			if at := s.resumableAt(tx, p, cur.At); at.After(after) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
		return nil
	})
	return next, err
}

// resumableAt returns when a claimed tenant with this next attempt becomes
// resumable by itself.
func (s *Store) resumableAt(tx *bolt.Tx, p place, attempt time.Time) time.Time {
	t, err := openTree(tx, p.tree)
	if err != nil {
		return attempt
	}
	r, err := t.record(p.ord)
	if err != nil || r.Purge == nil || r.Purge.Fence <= s.fenceAtOpen || r.Purge.LeaseEnd.Before(attempt) {
		return attempt
	}
	return r.Purge.LeaseEnd.Time
}

// leased reports whether an owner works on a claim. The leases of earlier
// owners of the file ended with them.
func (s *Store) leased(p *store.Progress, now time.Time) bool {
	return p != nil && p.Fence > s.fenceAtOpen && now.Before(p.LeaseEnd.Time)
}
