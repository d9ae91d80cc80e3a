package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// replay is a call that is under way, or whose answer is kept.
type replay struct {
	session [8]byte // of the Open in which it began
	at      time.Time
	digest  [32]byte
	answer  *store.Answer // nil while it is under way
}

// end returns the first instant at which it is forgotten.
func (r *replay) end() time.Time { return r.at.Add(store.ReplayLife) }

// encode returns the compact form of r.
func (r *replay) encode() []byte {
	b := append([]byte{recordVersion}, r.session[:]...)
	b = append(b, r.digest[:]...)
	b = binary.AppendUvarint(b, millis(r.at))
	if r.answer == nil {
		return b
	}
	b = binary.AppendUvarint(b, uint64(r.answer.Status))
	b = binary.AppendUvarint(b, uint64(len(r.answer.Header)))
	for _, name := range slices.Sorted(maps.Keys(r.answer.Header)) {
		b = appendText(appendText(b, name), r.answer.Header[name])
	}
	return append(b, r.answer.Body...)
}

// decodeReplay is the inverse of encode.
func decodeReplay(b []byte) (*replay, error) {
	r := &replay{}
	head := 1 + len(r.session) + len(r.digest)
	if len(b) < head || b[0] != recordVersion {
		return nil, store.Errorf(store.Internal, "a kept answer is damaged or of another version")
	}
	copy(r.session[:], b[1:])
	copy(r.digest[:], b[1+len(r.session):])
	d := decoder{b: b[head:]}
	r.at = d.time()
	if d.err == nil && len(d.b) > 0 {
		r.answer = &store.Answer{Status: int(d.uvarint()), Header: map[string]string{}}
		for n := d.uvarint(); n > 0 && d.err == nil; n-- {
			name := d.text()
			r.answer.Header[name] = d.text()
		}
		r.answer.Body = append([]byte{}, d.b...)
	}
	if d.err != nil {
		return nil, store.Errorf(store.Internal, "a kept answer: %w", d.err)
	}
	return r, nil
}

// to returns what a repetition of the call is answered with.
func (r *replay) to(a store.Attempt, session [8]byte) (*store.Answer, error) {
	switch {
	case r.digest != a.Digest:
		return nil, store.Errorf(store.Conflict, "the key was used for another request at %s; want a new key for each call", store.FormatTime(r.at))
	case r.answer != nil:
		return r.answer, nil
	case r.session == session:
		return nil, store.Errorf(store.Conflict, "a call with this key began at %s: %w", store.FormatTime(r.at), store.ErrUnderway)
	}
	return nil, store.Errorf(store.Conflict,
		"a call with this key began at %s and the daemon ended before it did: look what became of it, and use a new key", store.FormatTime(r.at))
}

// BeginReplay implements [store.Replayer].
func (s *Store) BeginReplay(ctx context.Context, a store.Attempt) (*store.Answer, error) {
	var kept *store.Answer
	var full error
	err := s.writeAt(ctx, foreground, a.At, func(w *wtx) error {
		kept, full = nil, nil
		old, err := w.replay(a.Key)
		if err != nil {
			return err
		}
		if old != nil && a.At.Before(old.end()) {
			kept, err = old.to(a, s.session)
			return err
		}
		if old == nil && w.replays().full() {
			if _, err := w.forget(a.At, forgetMost); err != nil {
				return err
			}
			if w.replays().full() {
				full = store.Errorf(store.Exhausted, "too many answers are kept for calls with a key; try again later, or without one")
				return nil // what was forgotten stays forgotten
			}
		}
		return w.setReplay(a.Key, old, &replay{session: s.session, at: store.Trim(a.At), digest: a.Digest})
	})
	if err == nil {
		err = full
	}
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// KeepReplay implements [store.Replayer].
func (s *Store) KeepReplay(ctx context.Context, a store.Attempt, answer store.Answer, now time.Time) error {
	if n := answer.Size(); n > store.MaxAnswer {
		return store.Errorf(store.Invalid, "the answer is %d bytes long; want at most %d for one that is kept", n, store.MaxAnswer)
	}
	return s.writeAt(ctx, foreground, now, func(w *wtx) error {
		old, err := w.underway(a)
		if err != nil {
			return err
		}
		if old == nil || !now.Before(old.end()) {
			return store.Errorf(store.NotFound, "the call is not known any more: its answer is not kept")
		}
		r := *old
		r.answer = &answer
		return w.setReplay(a.Key, old, &r)
	})
}

// DropReplay implements [store.Replayer].
func (s *Store) DropReplay(ctx context.Context, a store.Attempt, now time.Time) error {
	return s.writeAt(ctx, foreground, now, func(w *wtx) error {
		old, err := w.underway(a)
		if err != nil || old == nil {
			return err
		}
		return w.setReplay(a.Key, old, nil)
	})
}

// underway returns the very call that began with a, nil when it has ended.
func (w *wtx) underway(a store.Attempt) (*replay, error) {
	r, err := w.replay(a.Key)
	if err != nil || r == nil || r.answer != nil || r.session != w.s.session || r.digest != a.Digest || !r.at.Equal(store.Trim(a.At)) {
		return nil, err
	}
	return r, nil
}

// replay returns what is kept under a key, nil for nothing.
func (w *wtx) replay(key [32]byte) (*replay, error) {
	v := w.tx.Bucket(bucketReplays).Get(key[:])
	if v == nil {
		return nil, nil
	}
	return decodeReplay(v)
}

// setReplay replaces what is kept under a key; either may be nil.
func (w *wtx) setReplay(key [32]byte, old, now *replay) error {
	t := w.replays()
	if old != nil {
		t.n--
		t.bytes -= uint64(len(old.encode()))
		if err := w.del(bucketReplayEnds, indexKey(old.end(), string(key[:]))); err != nil {
			return err
		}
	}
	if now == nil {
		if err := w.del(bucketReplays, key[:]); err != nil {
			return err
		}
		return w.put(bucketMeta, keyReplays, t.encode())
	}
	v := now.encode()
	t.n++
	t.bytes += uint64(len(v))
	if err := w.put(bucketReplays, key[:], v); err != nil {
		return err
	}
	if err := w.put(bucketReplayEnds, indexKey(now.end(), string(key[:])), []byte{}); err != nil {
		return err
	}
	return w.put(bucketMeta, keyReplays, t.encode())
}

// forgetReplays removes up to limit of those that have expired at now.
func (w *wtx) forgetReplays(now time.Time, limit int) (int, error) {
	keys := expired(w.tx.Bucket(bucketReplayEnds), now, limit)
	for _, k := range keys {
		key := [32]byte(k[8:])
		old, err := w.replay(key)
		if err == nil && old == nil {
			err = store.Errorf(store.Internal, "a kept answer is lost")
		}
		if err == nil {
			err = w.setReplay(key, old, nil)
		}
		if err != nil {
			return 0, fmt.Errorf("forget an answer: %w", err)
		}
	}
	if len(keys) > 0 {
		w.noteErased(now)
	}
	return len(keys), nil
}

// replayTotals is how much is kept.
type replayTotals struct{ n, bytes uint64 }

// full reports whether nothing more may be kept.
func (t replayTotals) full() bool {
	return t.n >= store.MaxReplays || t.bytes >= store.MaxReplayBytes
}

// encode returns t in 16 bytes.
func (t replayTotals) encode() []byte {
	return binary.BigEndian.AppendUint64(seqKey(t.n), t.bytes)
}

// replays returns how much is kept.
func (w *wtx) replays() replayTotals { return replaysOf(w.tx) }

// replaysOf returns how much is kept on record.
func replaysOf(tx *bolt.Tx) replayTotals {
	v := tx.Bucket(bucketMeta).Get(keyReplays)
	if len(v) != 16 {
		return replayTotals{}
	}
	return replayTotals{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}
}

// replays checks every kept answer against the index of ends and the totals.
func (c *checker) replays() {
	var t replayTotals
	ends := c.tx.Bucket(bucketReplayEnds)
	cur := c.tx.Bucket(bucketReplays).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		t.n++
		t.bytes += uint64(len(v))
		r, err := decodeReplay(v)
		if err != nil || len(k) != 32 {
			c.bad("kept answer %x: %w", k, err)
			continue
		}
		if ends.Get(indexKey(r.end(), string(k))) == nil {
			c.bad("kept answer %x is not in the index of ends", k)
		}
	}
	var n uint64
	cur = ends.Cursor()
	for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
		n++
	}
	if kept := replaysOf(c.tx); n != t.n || kept != t {
		c.bad("answers: %d are kept and %d will be forgotten; %+v on record, %+v counted", t.n, n, kept, t)
	}
}
