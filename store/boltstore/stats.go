package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// dueCount counts the entries of bucket due up to an instant, so that asking
// for now reads only what came due since it was asked last. It is guarded by
// memMu.
type dueCount struct {
	until uint64 // dates up to this one are counted
	n     int64
}

// add counts an entry that came or went.
func (d *dueCount) add(at uint64, n int64) {
	if at <= d.until {
		d.n += n
	}
}

// move counts up to another instant, in a transaction that reads the state that
// the counter describes.
func (d *dueCount) move(b *bolt.Bucket, to uint64) {
	lo, hi, sign := d.until, to, int64(1)
	if to < d.until {
		lo, hi, sign = to, d.until, -1
	}
	end := seqKey(hi + 1)
	c := b.Cursor()
	start := seqKey(lo + 1)
	if d.until == 0 && sign > 0 {
		start = seqKey(0)
	}
	for k, _ := c.Seek(start); k != nil && bytes.Compare(k, end) < 0; k, _ = c.Next() {
		d.n += sign
	}
	d.until = to
}

// Stats implements [store.Store].
func (s *Store) Stats(ctx context.Context, now time.Time) (store.Stats, error) {
	st := store.Stats{Tenants: map[store.Status]int64{}, Blocked: map[store.BlockReason]int64{}}
	// The lock comes first, so that memory and transaction are of one commit. A
	// commit may wait, with the lock, for transactions that read: taking it
	// within one would be a deadlock.
	s.memMu.Lock()
	defer s.memMu.Unlock()
	err := s.view(ctx, func(tx *bolt.Tx) error {
		for i, v := range store.Statuses() {
			st.Tenants[v] = s.totals.status[i]
		}
		for i, v := range store.BlockReasons() {
			st.Blocked[v] = s.totals.blocked[i]
		}
		st.Resources = s.totals.resources
		st.ClaimedLastDay = s.window.sum(now)
		st.AuditHead = s.head
		st.OldestClaim = s.claims.oldest()
		due := tx.Bucket(bucketDue)
		at := millis(now)
		s.dueCount.move(due, at)
		st.Due = s.dueCount.n
		c := due.Cursor()
		if k, _ := c.First(); len(k) > 8 && binary.BigEndian.Uint64(k) <= at {
			st.OldestDue = fromMillis(binary.BigEndian.Uint64(k))
		}
		for _, name := range [][]byte{bucketDue, bucketBlocked} {
			k, _ := tx.Bucket(name).Cursor().Seek(seqKey(at + 1))
			if len(k) <= 8 {
				continue
			}
			if next := fromMillis(binary.BigEndian.Uint64(k)); st.NextPurge.IsZero() || next.Before(st.NextPurge) {
				st.NextPurge = next
			}
		}
		info, err := os.Stat(s.path)
		if err != nil {
			return store.Errorf(store.Unavailable, "look at the store's file: %w", err)
		}
		stats := tx.DB().Stats()
		pages := int64(stats.FreePageN+stats.PendingPageN) * int64(tx.DB().Info().PageSize)
		st.Size = store.FileStats{
			Size:     info.Size(),
			Free:     pages + max(info.Size()-tx.Size(), 0),
			Freelist: int64(stats.FreelistInuse),
		}
		return nil
	})
	return st, err
}
