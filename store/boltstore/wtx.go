package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// wtx is a write transaction, with the state that is kept in memory as it will
// be when the transaction is committed.
type wtx struct {
	s      *Store
	tx     *bolt.Tx
	writes int // changes so far; refusals that wrote nothing leave it as it was
	// target is how long the transaction should take.
	target time.Duration

	totals totals
	head   store.AuditRef
	gates  store.Gates
	window windowTx
	dirty  struct{ totals, gates bool }
	// due holds the dates that were added to and removed from bucket due.
	dueAdded, dueRemoved []uint64
	erased               time.Time // the first deletion since the last compaction
	erasedDirty          bool
	at                   time.Time // the latest instant of a change in it; zero for none
	// access is told of accessChanges; nil when nobody asks for it.
	access        *accessIndex
	accessChanges []accessChange
	goneHosts     []hostDigest // of tenants that are purged
	claimChanges  []claimChange
	// touched are the trees that were opened, to be changed most likely.
	touched map[uint64]struct{}
	// free is what the disk has room for, in bytes, once it was asked.
	free  int64
	asked bool
}

func (s *Store) newWtx(tx *bolt.Tx) *wtx {
	return &wtx{
		s: s, tx: tx, totals: s.totals, head: s.head, gates: s.gates,
		window: windowTx{base: &s.window, added: &window{}}, erased: s.erased, touched: map[uint64]struct{}{},
		access: s.access,
	}
}

// put and del are the only ways in which keys of top buckets change.
func (w *wtx) put(bucket, key, value []byte) error {
	w.writes++
	if err := w.tx.Bucket(bucket).Put(key, value); err != nil {
		return fmt.Errorf("write to bucket %s: %w", bucket, err)
	}
	return nil
}

func (w *wtx) del(bucket, key []byte) error {
	w.writes++
	if err := w.tx.Bucket(bucket).Delete(key); err != nil {
		return fmt.Errorf("delete from bucket %s: %w", bucket, err)
	}
	return nil
}

// audit appends an entry; Seq, PrevHash and Hash are set here.
func (w *wtx) audit(e store.Entry) (store.AuditRef, error) {
	e.Seq = w.head.Seq + 1
	e.At.Time = store.Trim(e.At.Time)
	// encoding/json writes bad UTF-8 in another way than what it reads of that,
	// and the hash would not fit any more.
	e.Actor = strings.ToValidUTF8(e.Actor, "\uFFFD")
	body := e.Seal(w.head.Hash)
	b := w.tx.Bucket(bucketAudit)
	b.FillPercent = 0.95 // keys only grow
	w.writes++
	if err := b.Put(seqKey(e.Seq), body); err != nil {
		return store.AuditRef{}, fmt.Errorf("write audit entry %d: %w", e.Seq, err)
	}
	w.head = store.AuditRef{Seq: e.Seq, Hash: e.Hash}
	return w.head, nil
}

// needSchema makes the file one of at least this schema, for good.
func (w *wtx) needSchema(least uint32) error {
	if v := w.tx.Bucket(bucketMeta).Get(keySchema); len(v) == 4 && binary.BigEndian.Uint32(v) >= least {
		return nil
	}
	return w.put(bucketMeta, keySchema, binary.BigEndian.AppendUint32(nil, least))
}

// setGates replaces the gates.
func (w *wtx) setGates(g store.Gates) {
	w.writes++
	w.gates, w.dirty.gates = g, true
}

// touch notes that a tree is open, unless it is nil.
func (w *wtx) touch(t *tree) {
	if t != nil {
		w.touched[t.num] = struct{}{}
	}
}

// noteErased remembers that bytes of a deleted record are in the file.
func (w *wtx) noteErased(at time.Time) {
	if w.erased.IsZero() {
		w.erased, w.erasedDirty = store.Trim(at), true
	}
}

// findPlace finds a tenant. Its errors are NotFound and Gone.
func findPlace(tx *bolt.Tx, id string) (place, error) {
	v := tx.Bucket(bucketIDs).Get([]byte(id))
	switch {
	case v == nil:
		return place{}, store.Errorf(store.NotFound, "tenant %q is not known", clip(id))
	case v[0] == idTombstone:
		return place{}, store.Errorf(store.Gone, "tenant %q was purged", clip(id))
	}
	p, ok := readPlace(v[1:])
	if !ok {
		return place{}, store.Errorf(store.Internal, "the place of tenant %q is damaged", clip(id))
	}
	return p, nil
}

// clip keeps an id that nobody checked readable in a message.
func clip(id string) string {
	if begin := store.Cut(id, store.MaxIDLength); begin != id {
		return begin + "..."
	}
	return id
}

// reindex moves a tenant from where its old record puts it in the indexes to
// where its new one does, and counts it. Either may be nil. Every change of a
// record comes by here.
func (w *wtx) reindex(old, now *record, p place) error {
	w.noteAccess(old, now)
	w.noteClaim(old, now)
	var ob, nb []byte
	var ok, nk []byte
	if old != nil {
		w.totals.count(old, -1)
		ob, ok = indexOf(old)
	}
	if now != nil {
		w.totals.count(now, 1)
		nb, nk = indexOf(now)
	}
	w.dirty.totals = true
	if bytes.Equal(ob, nb) && bytes.Equal(ok, nk) {
		return nil
	}
	if ob != nil {
		if bytes.Equal(ob, bucketDue) {
			w.dueRemoved = append(w.dueRemoved, millis(old.EstimatedPurgeDate))
		}
		if err := w.del(ob, ok); err != nil {
			return err
		}
	}
	if nb != nil {
		if bytes.Equal(nb, bucketDue) {
			w.dueAdded = append(w.dueAdded, millis(now.EstimatedPurgeDate))
		}
		return w.put(nb, nk, appendPlace(nil, p))
	}
	return nil
}

// indexOf returns the index and key of a record; nil for none.
func indexOf(r *record) (bucket, key []byte) {
	switch {
	case r.Status == store.StatusDisabled && r.Block == nil:
		return bucketDue, indexKey(r.EstimatedPurgeDate, r.ID)
	case r.Status == store.StatusDisabled:
		return bucketBlocked, indexKey(r.EstimatedPurgeDate, r.ID)
	case r.Status == store.StatusPurging && r.Purge != nil:
		return bucketPurging, indexKey(r.Purge.NextAttempt.Time, r.ID)
	}
	return nil, nil
}

// flush writes what was gathered during the transaction, and forgets a part of
// what has expired.
func (w *wtx) flush() error {
	if !w.at.IsZero() {
		if _, err := w.forget(w.at, forgetEach); err != nil {
			return err
		}
	}
	if w.dirty.totals {
		if err := w.put(bucketMeta, keyTotals, w.totals.encode()); err != nil {
			return err
		}
	}
	if w.dirty.gates {
		b, err := json.Marshal(w.gates)
		if err != nil {
			return fmt.Errorf("encode gates: %w", err)
		}
		if err := w.put(bucketMeta, keyGates, b); err != nil {
			return err
		}
	}
	if w.erasedDirty {
		if err := w.put(bucketMeta, keyErased, seqKey(millis(w.erased))); err != nil {
			return err
		}
	}
	return w.window.flush(w)
}

// publish makes the committed state that of the store. The caller holds memMu.
func (w *wtx) publish() {
	s := w.s
	s.totals, s.head, s.gates, s.erased = w.totals, w.head, w.gates, w.erased
	s.gatesNow.Store(&w.gates)
	w.window.publish()
	s.ahead.forget(w.touched)
	for _, ms := range w.dueAdded {
		s.dueCount.add(ms, 1)
	}
	for _, ms := range w.dueRemoved {
		s.dueCount.add(ms, -1)
	}
	for _, c := range w.claimChanges {
		s.claims.apply(c)
	}
	if w.access != nil {
		// First, so that a name is not unknown in between.
		w.access.bury(w.goneHosts)
		w.access.apply(w.accessChanges)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
