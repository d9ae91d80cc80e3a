package boltstore

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// day is the length of the rolling window of [store.Limits].
const day = 24 * time.Hour

// pruneEach bounds how many entries that have left the window one transaction
// removes.
const pruneEach = 64

// taken is how many tenants the claims of one millisecond took.
type taken struct {
	at, n uint64
}

// window knows how many tenants claims took lately. It is safe for concurrent
// use.
type window struct {
	mu      sync.Mutex
	entries []taken // by instant
	// head and rest save adding up the same entries for every claim: rest is
	// the sum of entries[head:].
	head int
	rest int64
}

// sum returns what claims took after now - 24 h. What lies in the future, since
// the clock was set back, counts too.
func (w *window) sum(now time.Time) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, _ := w.find(millis(now.Add(-day)) + 1)
	for ; w.head < i; w.head++ {
		w.rest -= int64(w.entries[w.head].n)
	}
	for ; w.head > i; w.head-- {
		w.rest += int64(w.entries[w.head-1].n)
	}
	return w.rest
}

// find returns the index of the first entry at or after an instant.
func (w *window) find(at uint64) (int, bool) {
	return slices.BinarySearchFunc(w.entries, at, func(t taken, ms uint64) int { return cmp.Compare(t.at, ms) })
}

// add counts n more at an instant.
func (w *window) add(at, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, found := w.find(at)
	if found {
		w.entries[i].n += n
	} else {
		w.entries = slices.Insert(w.entries, i, taken{at, n})
	}
	switch {
	case i >= w.head:
		w.rest += int64(n)
	case !found:
		w.head++
	}
}

// at returns what is counted at an instant.
func (w *window) at(at uint64) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i, found := w.find(at); found {
		return w.entries[i].n
	}
	return 0
}

// drop removes the first n entries.
func (w *window) drop(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.entries[w.head:max(w.head, n)] {
		w.rest -= int64(t.n)
	}
	w.entries = w.entries[n:]
	w.head = max(w.head-n, 0)
}

// load reads the bucket.
func (w *window) load(tx *bolt.Tx) error {
	return tx.Bucket(bucketWindow).ForEach(func(k, v []byte) error {
		if len(k) != 8 || len(v) != 8 {
			return store.Errorf(store.Internal, "an entry of bucket window is damaged")
		}
		w.add(binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(v))
		return nil
	})
}

// windowTx is a window with the claims of a transaction that is not committed.
type windowTx struct {
	base  *window
	added *window
	old   []uint64 // instants that have left the window and were removed
}

func (w *windowTx) sum(now time.Time) int64 { return w.base.sum(now) + w.added.sum(now) }

// add counts a claim of n tenants.
func (w *windowTx) add(now time.Time, n int64) { w.added.add(millis(now), uint64(n)) }

// flush writes the bucket, and removes some of what has left the window for
// good: what is two days older than the newest claim.
func (w *windowTx) flush(tx *wtx) error {
	if len(w.added.entries) == 0 {
		return nil
	}
	for _, t := range w.added.entries {
		if err := tx.put(bucketWindow, seqKey(t.at), seqKey(w.base.at(t.at)+t.n)); err != nil {
			return fmt.Errorf("count a claim: %w", err)
		}
	}
	newest := w.added.entries[len(w.added.entries)-1].at
	for _, t := range w.base.entries[:min(pruneEach, len(w.base.entries))] {
		if t.at+uint64(2*day/time.Millisecond) >= newest {
			break
		}
		w.old = append(w.old, t.at)
		if err := tx.del(bucketWindow, seqKey(t.at)); err != nil {
			return fmt.Errorf("forget an old claim: %w", err)
		}
	}
	return nil
}

// publish applies the transaction to the window.
func (w *windowTx) publish() {
	w.base.drop(len(w.old))
	for _, t := range w.added.entries {
		w.base.add(t.at, t.n)
	}
}
