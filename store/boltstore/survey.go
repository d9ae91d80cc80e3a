package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// Survey implements [store.Store].
func (s *Store) Survey(ctx context.Context, id string, req store.ClaimRequest) (map[string]store.Block, error) {
	blocks := map[string]store.Block{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		at, _, err := find(tx, id)
		if err != nil {
			return err
		}
		nodes, err := at.tree.subtree(at.ord)
		if err != nil {
			return err
		}
		s.survey(nodes, &req, blocks)
		return nil
	})
	return blocks, err
}

// survey adds the block of each tenant of a subtree but the last one, its top.
//
// The block of a claim is the worst of those that the tenants of its subtree
// give, where the tenant at the top comes first among equals. So one walk from
// the deepest up is enough: it carries the worst one, of the tenants strictly
// below, to each parent.
func (s *Store) survey(nodes []node, req *store.ClaimRequest, blocks map[string]store.Block) {
	below := map[uint32]*store.Block{}
	for i := range nodes[:len(nodes)-1] {
		n := &nodes[i]
		own, down := blockOf(n, req, false, s.leased), below[n.ord]
		delete(below, n.ord)
		come := req.Immediate || n.CheckDate() != nil || n.Due(req.At)
		if n.Status == store.StatusDisabled && come {
			// What it gives at the top of a claim is the same, since its date has
			// come.
			if b := store.Worse(n.ID, own, down); b != nil {
				blocks[n.ID] = *b
			}
		}
		if b := store.Worse("", own, down); b != nil {
			below[n.parent] = store.Worse("", below[n.parent], b)
		}
	}
}
