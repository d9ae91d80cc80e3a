package boltstore

import (
	"context"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// Await implements [store.Store].
func (s *Store) Await(ctx context.Context, tok store.Token, wait store.Wait) error {
	err := s.writeAt(ctx, background, wait.At, func(w *wtx) error {
		at, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		p := *old.Purge
		p.LeaseEnd = store.Timestamp{}
		p.NextAttempt.Time = store.Trim(wait.Until)
		p.Awaits = slices.Clone(wait.For)
		return w.progress(at, old, &p)
	})
	if err == nil {
		s.erasing.end(tok)
	}
	return err
}

// hastenEach is how many next attempts are brought forward in a transaction.
const hastenEach = 256

// Hasten implements [store.Store]. It reads the record of each tenant whose next
// attempt is to come.
func (s *Store) Hasten(ctx context.Context, now time.Time, next map[store.Awaited]time.Time) (int64, error) {
	var ids []string
	err := s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketPurging).Cursor()
		for k, v := c.Seek(seqKey(millis(now) + 1)); k != nil; k, v = c.Next() {
			cur, ok := splitIndexKey(k)
			at, placed := readPlace(v)
			if !ok || !placed {
				return store.Errorf(store.Internal, "an entry of the purging index is damaged")
			}
			// A record that cannot be read is reported by the pass that tries it.
			if t, err := openTree(tx, at.tree); err == nil {
				if r, err := t.record(at.ord); err == nil && hastens(r, next) {
					ids = append(ids, cur.ID)
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	var sum int64
	for some := range slices.Chunk(ids, hastenEach) {
		var n int64
		err := s.writeAt(ctx, background, now, func(w *wtx) error {
			n = 0
			for _, id := range some {
				at, old, err := w.find(id)
				if err != nil || !hastens(old, next) {
					continue // it changed since
				}
				p := *old.Purge
				p.NextAttempt.Time, _ = p.Hastened(next)
				if err := w.progress(at, old, &p); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			return sum, err
		}
		sum += n
	}
	return sum, nil
}

// hastens reports whether a tenant waits, and what it waits for has an end before
// its next attempt.
func hastens(r *record, next map[store.Awaited]time.Time) bool {
	if r.Purge == nil || r.Status != store.StatusPurging || !r.Purge.LeaseEnd.IsZero() {
		return false
	}
	_, earlier := r.Purge.Hastened(next)
	return earlier
}
