package boltstore

import (
	"context"
	"reflect"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// Gates implements [store.Store]. It does not wait for a commit under way, which
// on a slow disk would make the daemon look as if it were not ready.
func (s *Store) Gates(ctx context.Context) (store.Gates, error) {
	var g store.Gates
	err := s.view(ctx, func(tx *bolt.Tx) error {
		g = *s.gatesNow.Load()
		g.Space = s.short(tx.DB(), stepRoom)
		return nil
	})
	return g, err
}

// ChangeGates implements [store.Store].
func (s *Store) ChangeGates(ctx context.Context, c store.GateChange, o store.Origin) (store.Gates, error) {
	var after store.Gates
	err := s.writeAt(ctx, foreground, o.At, func(w *wtx) error {
		g := w.gates
		detail, err := c.Apply(&g, o)
		if err != nil {
			return err
		}
		after = g
		after.Space = w.short(stepRoom)
		if reflect.DeepEqual(g, w.gates) {
			return nil
		}
		w.setGates(g)
		action := c.Action
		if action == store.ActionUnpause && detail["lifted"] != "" {
			action = store.ActionLift
		}
		_, err = w.audit(store.Entry{At: store.Timestamp{Time: o.At}, Actor: o.Actor.ID, Action: action, Detail: detail})
		return err
	})
	if err != nil {
		return store.Gates{}, err
	}
	return after, nil
}
