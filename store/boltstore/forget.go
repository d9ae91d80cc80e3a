package boltstore

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"
)

// How many entries that have expired one transaction forgets: one that was made
// for something else, and one that was made for that.
const (
	forgetEach = 64
	forgetMost = 1024
)

// laterBuckets returns the buckets that a file of an earlier version lacks. They
// hold what expires, and what is on record of the source.
func laterBuckets() [][]byte {
	return [][]byte{bucketApprovals, bucketReplays, bucketReplayEnds, bucketReplayTenants, bucketReplayOwners, bucketGoneHosts, bucketSource}
}

// addLaterBuckets makes a file of an earlier version one of this version. That one
// still opens it.
func addLaterBuckets(db *bolt.DB) error {
	complete := true
	if err := db.View(func(tx *bolt.Tx) error {
		for _, name := range laterBuckets() {
			// One that is not a store of ours is refused by load, and left alone.
			complete = complete && (tx.Bucket(name) != nil || tx.Bucket(bucketMeta) == nil)
		}
		if m := tx.Bucket(bucketMeta); m != nil {
			complete = complete && m.Get(keyHostKey) != nil
		}
		return nil
	}); err != nil || complete {
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range laterBuckets() {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return makeHostKey(tx)
	})
}

// Forget implements [store.Forgetter].
func (s *Store) Forget(ctx context.Context, now time.Time) error {
	for more := true; more; {
		err := s.writeAt(ctx, background, now, func(w *wtx) error {
			n, err := w.forget(now, forgetMost)
			more = n >= forgetMost
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forget removes up to limit entries of each kind that have expired at now, and
// returns how many it removed of the kind with the most.
func (w *wtx) forget(now time.Time, limit int) (int, error) {
	replays, err := w.forgetReplays(now, limit)
	if err != nil {
		return 0, err
	}
	approvals := expired(w.tx.Bucket(bucketApprovals), now, limit)
	for _, k := range approvals {
		if err := w.del(bucketApprovals, k); err != nil {
			return 0, err
		}
	}
	if len(approvals) > 0 {
		w.noteErased(now)
	}
	return max(replays, len(approvals)), nil
}

// expired returns copies of the first keys, up to limit, of a bucket that is
// ordered by the instant at which an entry is to be forgotten.
func expired(b *bolt.Bucket, now time.Time, limit int) [][]byte {
	var keys [][]byte
	last := seqKey(millis(now))
	c := b.Cursor()
	for k, _ := c.First(); len(k) >= 8 && bytes.Compare(k[:8], last) <= 0 && len(keys) < limit; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}
