package boltstore

import (
	"bytes"
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
	owner   [ownerBytes]byte
	at      time.Time
	digest  [32]byte
	answer  *store.Answer // nil while it is under way
}

// ownerBytes is how much of the digest of an owner is kept.
const ownerBytes = 16

// end returns the first instant at which it is forgotten.
func (r *replay) end() time.Time { return r.at.Add(store.ReplayLife) }

// encode returns the compact form of r.
func (r *replay) encode() []byte {
	b := append([]byte{recordVersion}, r.session[:]...)
	b = append(b, r.digest[:]...)
	b = append(b, r.owner[:]...)
	b = binary.AppendUvarint(b, millis(r.at))
	if r.answer == nil {
		return b
	}
	b = appendText(b, r.answer.TenantID)
	b = binary.AppendUvarint(b, flagOf(r.answer.Forgotten))
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
	head := 1 + len(r.session) + len(r.digest) + len(r.owner)
	if len(b) < head || b[0] != recordVersion {
		return nil, store.Errorf(store.Internal, "a kept answer is damaged or of another version")
	}
	copy(r.session[:], b[1:])
	copy(r.digest[:], b[1+len(r.session):])
	copy(r.owner[:], b[1+len(r.session)+len(r.digest):])
	d := decoder{b: b[head:]}
	r.at = d.time()
	if d.err == nil && len(d.b) > 0 {
		r.answer = &store.Answer{TenantID: d.text(), Forgotten: d.uvarint() != 0, Header: map[string]string{}}
		r.answer.Status = int(d.uvarint())
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

// flagOf returns 1 for true.
func flagOf(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// tenantKey returns the key of an answer in the index of tenants, nil for one that
// has no body to be dropped.
func (r *replay) tenantKey(key [32]byte) []byte {
	if r.answer == nil || r.answer.TenantID == "" || len(r.answer.Body) == 0 {
		return nil
	}
	return append(answersOf(r.answer.TenantID), key[:]...)
}

// answersOf returns what the keys of a tenant's answers begin with.
func answersOf(tenant string) []byte { return append([]byte(tenant), 0) }

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
		now := &replay{session: s.session, owner: [ownerBytes]byte(a.Owner[:]), at: store.Trim(a.At), digest: a.Digest}
		if old == nil {
			full = w.noReplay(now.owner)
		}
		if full != nil {
			if _, err := w.forget(a.At, forgetMost); err != nil {
				return err
			}
			full = w.noReplay(now.owner)
		}
		if full == nil {
			return w.setReplay(a.Key, old, now)
		}
		return nil // what was forgotten stays forgotten
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
		if v := w.tx.Bucket(bucketIDs).Get([]byte(answer.TenantID)); answer.TenantID != "" && v != nil && v[0] == idTombstone {
			r.answer = without(&answer)
		}
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

// without returns an answer without its body.
func without(a *store.Answer) *store.Answer {
	b := *a
	b.Body, b.Forgotten = []byte{}, a.Forgotten || len(a.Body) > 0
	return &b
}

// dropAnswers drops the bodies of the answers that tell of a tenant, which is
// purged.
func (w *wtx) dropAnswers(tenant string) error {
	var keys [][32]byte
	prefix := answersOf(tenant)
	c := w.tx.Bucket(bucketReplayTenants).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(k) == len(prefix)+32; k, _ = c.Next() {
		keys = append(keys, [32]byte(k[len(prefix):]))
	}
	for _, key := range keys {
		old, err := w.replay(key)
		switch {
		case err != nil:
			return err
		case old == nil || old.answer == nil:
			return store.Errorf(store.Internal, "an answer that tells of tenant %q is lost", tenant)
		}
		now := *old
		now.answer = without(old.answer)
		if err := w.setReplay(key, old, &now); err != nil {
			return err
		}
	}
	return nil
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
	if old != nil {
		if err := w.countReplay(old.owner, 1, uint64(len(old.encode())), false); err != nil {
			return err
		}
		if err := w.del(bucketReplayEnds, indexKey(old.end(), string(key[:]))); err != nil {
			return err
		}
		if k := old.tenantKey(key); k != nil {
			if err := w.del(bucketReplayTenants, k); err != nil {
				return err
			}
		}
	}
	if now == nil {
		return w.del(bucketReplays, key[:])
	}
	v := now.encode()
	if err := w.put(bucketReplays, key[:], v); err != nil {
		return err
	}
	if err := w.put(bucketReplayEnds, indexKey(now.end(), string(key[:])), []byte{}); err != nil {
		return err
	}
	if k := now.tenantKey(key); k != nil {
		if err := w.put(bucketReplayTenants, k, []byte{}); err != nil {
			return err
		}
	}
	return w.countReplay(now.owner, 1, uint64(len(v)), true)
}

// countReplay adds answers to what is kept in all and of their owner, or takes
// them away.
func (w *wtx) countReplay(owner [ownerBytes]byte, n, size uint64, add bool) error {
	if !add {
		n, size = -n, -size
	}
	t := w.replays()
	if err := w.put(bucketMeta, keyReplays, replayTotals{t.n + n, t.bytes + size}.encode()); err != nil {
		return err
	}
	t = w.replaysOf(owner)
	t = replayTotals{t.n + n, t.bytes + size}
	if t.n == 0 {
		return w.del(bucketReplayOwners, owner[:])
	}
	return w.put(bucketReplayOwners, owner[:], t.encode())
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

// full reports whether nothing more may be kept of who may use up one share of so
// many.
func (t replayTotals) full(shares uint64) bool {
	return t.n >= store.MaxReplays/shares || t.bytes >= store.MaxReplayBytes/shares
}

// noReplay returns why nothing more may be kept of an owner, nil when it may.
func (w *wtx) noReplay(owner [ownerBytes]byte) error {
	switch {
	case w.replays().full(1):
		return store.Errorf(store.Exhausted, "too many answers are kept for calls with a key; try again later, or without one")
	case w.replaysOf(owner).full(store.OwnerShare):
		return store.Errorf(store.Exhausted, "too many answers are kept for this caller's calls with a key, whose share is one %dth of what all may have; try again later, or without one",
			store.OwnerShare)
	}
	return nil
}

// encode returns t in 16 bytes.
func (t replayTotals) encode() []byte {
	return binary.BigEndian.AppendUint64(seqKey(t.n), t.bytes)
}

// replays returns how much is kept.
func (w *wtx) replays() replayTotals { return replaysOf(w.tx) }

// replaysOf returns how much is kept of an owner.
func (w *wtx) replaysOf(owner [ownerBytes]byte) replayTotals {
	return decodeReplayTotals(w.tx.Bucket(bucketReplayOwners).Get(owner[:]))
}

// replaysOf returns how much is kept on record.
func replaysOf(tx *bolt.Tx) replayTotals {
	return decodeReplayTotals(tx.Bucket(bucketMeta).Get(keyReplays))
}

// decodeReplayTotals is the inverse of encode. Nothing is nothing.
func decodeReplayTotals(v []byte) replayTotals {
	if len(v) != 16 {
		return replayTotals{}
	}
	return replayTotals{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}
}
