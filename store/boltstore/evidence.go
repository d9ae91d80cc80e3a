package boltstore

import (
	"context"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// keptRuns is how many passes are kept.
const keptRuns = 100

// Audit implements [store.Store].
func (s *Store) Audit(ctx context.Context, from uint64, limit int) ([]store.Entry, error) {
	list := []store.Entry{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketAudit).Cursor()
		for k, v := c.Seek(seqKey(from)); k != nil && len(list) < limit; k, v = c.Next() {
			var e store.Entry
			if err := json.Unmarshal(v, &e); err != nil {
				return store.Errorf(store.Internal, "audit entry %x: %w", k, err)
			}
			list = append(list, e)
		}
		return nil
	})
	return list, err
}

// Receipt implements [store.Store].
func (s *Store) Receipt(ctx context.Context, id string) (store.Receipt, error) {
	var r store.Receipt
	err := s.view(ctx, func(tx *bolt.Tx) error {
		// A tenant that went with a claim which another one absorbed leads to
		// the receipt by way of the absorbed one.
		at := id
		for {
			t, err := tombstone(tx, at)
			if err != nil {
				return err
			}
			if t.PurgedWith == at {
				break
			}
			at = t.PurgedWith
		}
		v := tx.Bucket(bucketReceipts).Get([]byte(at))
		if v == nil {
			return store.Errorf(store.Internal, "tenant %q was purged and has no receipt", id)
		}
		if err := json.Unmarshal(v, &r); err != nil {
			return store.Errorf(store.Internal, "receipt of tenant %q: %w", id, err)
		}
		return nil
	})
	return r, err
}

// RecordRun implements [store.Store].
func (s *Store) RecordRun(ctx context.Context, r store.Run) error {
	v, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode a pass: %w", err)
	}
	return s.writeAt(ctx, background, r.FinishedAt.Time, func(w *wtx) error {
		b := w.tx.Bucket(bucketRuns)
		seq, err := b.NextSequence()
		if err != nil {
			return fmt.Errorf("number a pass: %w", err)
		}
		if err := w.put(bucketRuns, seqKey(seq), v); err != nil {
			return err
		}
		if seq > keptRuns {
			return w.del(bucketRuns, seqKey(seq-keptRuns))
		}
		return nil
	})
}

// Runs implements [store.Store].
func (s *Store) Runs(ctx context.Context, limit int) ([]store.Run, error) {
	list := []store.Run{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketRuns).Cursor()
		for k, v := c.Last(); k != nil && len(list) < limit; k, v = c.Prev() {
			var r store.Run
			if err := json.Unmarshal(v, &r); err != nil {
				return store.Errorf(store.Internal, "pass %x: %w", k, err)
			}
			list = append(list, r)
		}
		return nil
	})
	return list, err
}
