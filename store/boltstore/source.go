package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// The keys of bucket source: the state, and for each mark a byte for its kind
// and the id. The value of a mark is its instant in milliseconds, 8 bytes, and the
// tenant that it is for.
const (
	keySourceState    = 's'
	keySourceVanished = 'v'
	keySourceAllowed  = 'a'
	keySourceUnread   = 'u'
	keySourceTooLate  = 'l'
)

// markPrefix returns the byte with which the keys of a kind begin; false for an
// unknown kind.
func markPrefix(kind store.MarkKind) (byte, bool) {
	switch kind {
	case store.MarkVanished:
		return keySourceVanished, true
	case store.MarkAllowed:
		return keySourceAllowed, true
	case store.MarkUnread:
		return keySourceUnread, true
	case store.MarkTooLate:
		return keySourceTooLate, true
	}
	return 0, false
}

// Source implements [store.SourceKeeper].
func (s *Store) Source(ctx context.Context) (store.SourceState, error) {
	var st store.SourceState
	err := s.view(ctx, func(tx *bolt.Tx) (err error) {
		st, err = sourceState(tx)
		return err
	})
	return st, err
}

func sourceState(tx *bolt.Tx) (store.SourceState, error) {
	var st store.SourceState
	v := tx.Bucket(bucketSource).Get([]byte{keySourceState})
	if v == nil {
		return st, nil
	}
	if err := json.Unmarshal(v, &st); err != nil {
		return st, store.Errorf(store.Internal, "what is on record of the source: %w", err)
	}
	return st, nil
}

// ChangeSource implements [store.SourceKeeper].
func (s *Store) ChangeSource(ctx context.Context, c store.SourceChange, o store.Origin) (store.SourceState, error) {
	if err := c.Check(); err != nil {
		return store.SourceState{}, err
	}
	var after store.SourceState
	err := s.writeAt(ctx, foreground, o.At, func(w *wtx) error {
		old, err := sourceState(w.tx)
		if err != nil {
			return err
		}
		now, err := sourceState(w.tx) // a copy that shares nothing
		if err != nil {
			return err
		}
		var detail map[string]string
		if c.Apply != nil {
			if detail, err = c.Apply(&now, o); err != nil {
				return err
			}
		}
		now.Vanished, now.Unread = old.Vanished, old.Unread
		if len(now.DeadLetters) > store.MaxDeadLetters {
			now.DeadLetters = now.DeadLetters[:store.MaxDeadLetters]
		}
		marked, err := w.mark(&c, &now)
		if err != nil {
			return err
		}
		after = now
		if !marked && reflect.DeepEqual(old, now) {
			return nil
		}
		if len(old.DeadLetters) > 0 {
			w.noteErased(o.At) // they may hold texts of tenants
		}
		if err := w.putSource(&now); err != nil || c.Action == "" {
			return err
		}
		_, err = w.audit(store.Entry{At: store.Timestamp{Time: o.At}, Actor: o.Actor.ID, Action: c.Action, Detail: detail})
		return err
	})
	if err != nil {
		return store.SourceState{}, err
	}
	return after, nil
}

// putSource writes the state.
func (w *wtx) putSource(st *store.SourceState) error {
	v, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode what is on record of the source: %w", err)
	}
	if w.tx.Bucket(bucketMeta).Get(keyReactivated) != nil {
		if err := w.needSchema(schemaReactivated); err != nil {
			return err
		}
	}
	return w.put(bucketSource, []byte{keySourceState}, v)
}

// noteReactivated notes that a record says that a person reactivated its tenant.
// With a source the file is one for purgers that know of that: another would let
// the source disable the tenant again.
func (w *wtx) noteReactivated(r *record) error {
	if r.ReactivatedAt.IsZero() {
		return nil
	}
	if w.tx.Bucket(bucketSource).Get([]byte{keySourceState}) != nil {
		return w.needSchema(schemaReactivated)
	}
	if w.tx.Bucket(bucketMeta).Get(keyReactivated) != nil {
		return nil
	}
	return w.put(bucketMeta, keyReactivated, []byte{1})
}

// mark sets and takes away marks, and reports whether that changed anything.
func (w *wtx) mark(c *store.SourceChange, st *store.SourceState) (changed bool, err error) {
	prefix, known := markPrefix(c.Kind)
	if !known {
		return false, nil // without marks: Check saw to that
	}
	count := func(n int64) {
		changed = true
		switch c.Kind {
		case store.MarkVanished:
			st.Vanished += n
		case store.MarkUnread:
			st.Unread += n
		}
	}
	for _, m := range c.Mark {
		k, v := append([]byte{prefix}, m.ID...), append(seqKey(millis(m.At.Time)), m.By...)
		old := w.tx.Bucket(bucketSource).Get(k)
		switch {
		case bytes.Equal(old, v):
			continue
		case old == nil:
			count(1)
		default:
			count(0)
		}
		if err := w.put(bucketSource, k, v); err != nil {
			return changed, err
		}
	}
	for _, id := range c.Unmark {
		k := append([]byte{prefix}, id...)
		if w.tx.Bucket(bucketSource).Get(k) == nil {
			continue
		}
		count(-1)
		if err := w.del(bucketSource, k); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// SourceMarks implements [store.SourceKeeper].
func (s *Store) SourceMarks(ctx context.Context, kind store.MarkKind, after string, limit int) ([]store.SourceMark, error) {
	if err := store.CheckMarkKind(kind); err != nil {
		return nil, err
	}
	prefix, _ := markPrefix(kind)
	if limit <= 0 || limit > store.MaxPage {
		limit = store.MaxPage
	}
	list := []store.SourceMark{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketSource).Cursor()
		from := append([]byte{prefix}, after...)
		for k, v := c.Seek(from); len(k) > 0 && k[0] == prefix && len(list) < limit; k, v = c.Next() {
			if bytes.Equal(k, from) {
				continue
			}
			m, err := sourceMark(k, v)
			if err != nil {
				return err
			}
			list = append(list, m)
		}
		return nil
	})
	return list, err
}

// SourceMarksOf implements [store.SourceKeeper].
func (s *Store) SourceMarksOf(ctx context.Context, kind store.MarkKind, ids []string) ([]store.SourceMark, error) {
	if err := store.CheckMarkKind(kind); err != nil {
		return nil, err
	}
	if len(ids) > store.MaxPage {
		return nil, store.Errorf(store.Invalid, "marks of %d tenants; want at most %d", len(ids), store.MaxPage)
	}
	prefix, _ := markPrefix(kind)
	list := []store.SourceMark{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSource)
		for _, id := range ids {
			k := append([]byte{prefix}, id...)
			v := b.Get(k)
			if v == nil {
				continue
			}
			m, err := sourceMark(k, v)
			if err != nil {
				return err
			}
			list = append(list, m)
		}
		return nil
	})
	return list, err
}

// sourceMark decodes a mark.
func sourceMark(k, v []byte) (store.SourceMark, error) {
	const instant = 8
	if len(v) < instant || len(v) > instant && k[0] != keySourceUnread {
		return store.SourceMark{}, store.Errorf(store.Internal, "the mark %q of the source is damaged", k)
	}
	at := fromMillis(binary.BigEndian.Uint64(v))
	m := store.SourceMark{ID: string(k[1:]), At: store.Timestamp{Time: at}, By: string(v[instant:])}
	if m.By == "" {
		return m, nil
	}
	if err := store.CheckID("by", m.By); err != nil {
		return store.SourceMark{}, store.Errorf(store.Internal, "the mark %q of the source is damaged: %w", k, err)
	}
	return m, nil
}

// source checks what is on record of the source.
func (c *checker) source() {
	st, err := sourceState(c.tx)
	if err != nil {
		c.bad("%w", err)
		return
	}
	var vanished, unread int64
	cur := c.tx.Bucket(bucketSource).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		switch k[0] {
		case keySourceState:
			continue
		case keySourceVanished:
			vanished++
		case keySourceUnread:
			unread++
		case keySourceAllowed, keySourceTooLate:
		default:
			c.bad("bucket source holds the foreign key %x", k)
			continue
		}
		if _, err := sourceMark(k, v); err != nil {
			c.bad("%w", err)
		} else if err := store.CheckID("id", string(k[1:])); err != nil {
			c.bad("a mark of the source: %w", err)
		}
	}
	if vanished != st.Vanished || unread != st.Unread {
		c.bad("the source says that %d tenants vanished, and %d wait for rows below them; %d and %d are marked",
			st.Vanished, st.Unread, vanished, unread)
	}
	if len(st.DeadLetters) > store.MaxDeadLetters {
		c.bad("%d dead letters are kept; want at most %d", len(st.DeadLetters), store.MaxDeadLetters)
	}
}
