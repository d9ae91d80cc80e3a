package boltstore

import (
	"container/heap"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// claims knows since when tenants are being purged, so that the oldest claim is
// found without a look at a record. It is kept in memory alone: the index of what is
// purging is small, and read when the store is opened. The zero value is empty; it
// is guarded by memMu.
type claims struct {
	heap claimHeap
	byID map[string]*claimed
}

// claimed is a tenant that is being purged.
type claimed struct {
	id    string
	since time.Time
	at    int // in the heap
}

// claimChange is a claim that came, or went when since is zero.
type claimChange struct {
	id    string
	since time.Time
}

// apply takes a change.
func (c *claims) apply(change claimChange) {
	old := c.byID[change.id]
	switch {
	case old != nil && change.since.IsZero():
		heap.Remove(&c.heap, old.at)
		delete(c.byID, change.id)
	case old != nil:
		old.since = change.since
		heap.Fix(&c.heap, old.at)
	case !change.since.IsZero():
		if c.byID == nil {
			c.byID = map[string]*claimed{}
		}
		v := &claimed{id: change.id, since: change.since}
		c.byID[change.id] = v
		heap.Push(&c.heap, v)
	}
}

// oldest returns when the oldest claim was made; zero when there is none.
func (c *claims) oldest() time.Time {
	if len(c.heap) == 0 {
		return time.Time{}
	}
	return c.heap[0].since
}

// load reads what is being purged. A record that cannot be read is reported by the
// pass that tries it.
func (c *claims) load(tx *bolt.Tx) {
	*c = claims{}
	cur := tx.Bucket(bucketPurging).Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		p, ok := readPlace(v)
		if !ok {
			continue
		}
		if t, err := openTree(tx, p.tree); err == nil {
			if r, err := t.record(p.ord); err == nil {
				c.apply(claimChange{r.ID, claimedSince(r)})
			}
		}
	}
}

// claimedSince returns when a tenant was claimed that is being purged; zero when it
// is not.
func claimedSince(r *record) time.Time {
	if r == nil || r.Status != store.StatusPurging || r.Purge == nil {
		return time.Time{}
	}
	return r.Purge.ClaimedAt.Time
}

// noteClaim remembers what a change of a record, either of which may be nil, means
// for the claims.
func (w *wtx) noteClaim(old, now *record) {
	before, after := claimedSince(old), claimedSince(now)
	if before.Equal(after) {
		return
	}
	if now == nil {
		now = old
	}
	w.claimChanges = append(w.claimChanges, claimChange{now.ID, after})
}

// claimHeap has the oldest claim first.
type claimHeap []*claimed

func (h claimHeap) Len() int           { return len(h) }
func (h claimHeap) Less(i, j int) bool { return h[i].since.Before(h[j].since) }
func (h claimHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }

// Push implements heap.Interface.
func (h *claimHeap) Push(x any) {
	v := x.(*claimed)
	v.at = len(*h)
	*h = append(*h, v)
}

// Pop implements heap.Interface.
func (h *claimHeap) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return v
}
