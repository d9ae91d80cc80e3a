package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// accessPage is how many tenants one read transaction takes to memory.
const accessPage = 4096

// LoadAccess implements [store.Gatekeeper]. It reads in many short transactions.
func (s *Store) LoadAccess(ctx context.Context) error { return s.loadAccess(ctx, accessPage) }

// loadAccess is LoadAccess with page tenants a transaction.
//
// Commits are told to the index from the beginning, and what it knows from them
// is newer than what is read: reading adds only what is not there yet. Since no
// id ever leaves the index, that makes it exact.
func (s *Store) loadAccess(ctx context.Context, page int) error {
	s.accessMu.Lock()
	defer s.accessMu.Unlock()
	if s.accessReady.Load() != nil {
		return nil
	}
	began := time.Now()
	var x *accessIndex
	tombstones := int64(0)
	err := s.exclusive(func() error {
		n := int64(0)
		for _, v := range s.totals.status {
			n += v
		}
		tombstones = s.totals.status[statusCode(store.StatusDeleted)]
		x = newAccessIndex(int(n), &s.hostKey)
		s.access = x
		return nil
	})
	if err != nil {
		return err
	}
	err = s.loadTrees(ctx, x, page)
	if err == nil && tombstones > 0 {
		err = s.loadTombstones(ctx, x, page)
	}
	if err == nil && tombstones > 0 {
		err = s.loadGoneHosts(ctx, x, page)
	}
	if err == nil {
		// On the writer's goroutine, so that Close comes after it.
		err = s.exclusive(func() error {
			if x.unread > 0 {
				return store.Errorf(store.Internal, "%d tenants are missing of which there are sub-tenants", x.unread)
			}
			s.accessReady.Store(x)
			s.log.Info("loaded which tenants may be served", zap.Int32("tenants", x.size-1),
				zap.Int("hostnames", len(x.hosts)), zap.Duration("took", time.Since(began)))
			return nil
		})
	}
	if err != nil {
		_ = s.exclusive(func() error { s.access = nil; return nil }) // or the store is closed
	}
	return err
}

// accessRead is a page of records or tombstones on the way to the index.
type accessRead struct {
	page  int    // most rows
	text  []byte // their ids, one after another
	rows  []accessRow
	nodes []int32 // ordinal -> node, of the tree of the last row
	tree  uint64  // of nodes
}

type accessRow struct {
	tree        uint64
	ord, parent uint32
	end         int // of its id in text
	status      uint8
	host        string
}

// loadTrees reads every record, in the order of trees and ordinals, in which
// parents come before their children.
func (s *Store) loadTrees(ctx context.Context, x *accessIndex, page int) error {
	p := accessRead{page: page}
	at, ord := uint64(0), uint32(0) // what is next
	for more := true; more; {
		p.text, p.rows = p.text[:0], p.rows[:0]
		err := s.viewPublished(ctx, func(tx *bolt.Tx) error {
			trees := tx.Bucket(bucketTrees)
			c := trees.Cursor()
			for {
				k, _ := c.Seek(segmentName(at, 0))
				if more = k != nil; !more {
					return nil
				}
				if num := binary.BigEndian.Uint64(k); num != at {
					at, ord = num, 0
				}
				b := trees.Bucket(segmentName(at, 0))
				if b == nil {
					return store.Errorf(store.Internal, "tree %d is missing", at)
				}
				full, err := p.readTree(b, at, &ord)
				if full || err != nil {
					return err
				}
				at, ord = at+1, 0
			}
		})
		if err != nil {
			return err
		}
		if err := p.addTo(x); err != nil {
			return err
		}
	}
	return nil
}

// readTree reads the records of a tree from an ordinal on, which it moves. It
// reports whether the page is full.
func (p *accessRead) readTree(b *bolt.Bucket, tree uint64, ord *uint32) (bool, error) {
	c := b.Cursor()
	for k, v := c.Seek(ordKey(keyTenant, *ord)); len(k) == 5 && k[0] == keyTenant; k, v = c.Next() {
		*ord = binary.BigEndian.Uint32(k[1:])
		if len(p.rows) == p.page {
			return true, nil
		}
		r, err := decodeRecord(v)
		if err != nil {
			return false, err
		}
		if *ord > 0 && r.parent >= *ord {
			return false, store.Errorf(store.Internal, "tenant %d of tree %d is older than its parent", *ord, tree)
		}
		p.text = append(p.text, r.ID...)
		p.rows = append(p.rows, accessRow{tree: tree, ord: *ord, parent: r.parent, end: len(p.text), status: statusCode(r.Status), host: strings.ToLower(r.Hostname)})
	}
	return false, nil
}

// addTo adds to the index what it does not know yet.
func (p *accessRead) addTo(x *accessIndex) error {
	ids := string(p.text) // they stay as long as the index does
	x.mu.Lock()
	defer x.mu.Unlock()
	begin := 0
	for i := range p.rows {
		r := &p.rows[i]
		n := x.at(ids[begin:r.end])
		begin = r.end
		if r.tree != p.tree {
			p.tree, p.nodes = r.tree, p.nodes[:0]
		}
		for len(p.nodes) <= int(r.ord) {
			p.nodes = append(p.nodes, 0)
		}
		p.nodes[r.ord] = n
		if x.node(n).status != accessUnread {
			continue
		}
		parent := int32(0)
		if r.ord > 0 {
			if parent = p.nodes[r.parent]; parent == 0 {
				return store.Errorf(store.Internal, "tenant %d of tree %d has no parent", r.ord, r.tree)
			}
		}
		x.fill(n, parent, r.status, r.host)
	}
	return nil
}

// loadTombstones reads the ids of what was purged.
func (s *Store) loadTombstones(ctx context.Context, x *accessIndex, page int) error {
	deleted := statusCode(store.StatusDeleted)
	var p accessRead
	var after []byte
	for more := true; more; {
		p.text, p.rows = p.text[:0], p.rows[:0]
		err := s.viewPublished(ctx, func(tx *bolt.Tx) error {
			c := tx.Bucket(bucketIDs).Cursor()
			k, v := c.Seek(after)
			if bytes.Equal(k, after) && k != nil {
				k, v = c.Next()
			}
			for n := 0; k != nil && n < 4*page && len(p.rows) < page; n++ {
				if v[0] == idTombstone {
					p.text = append(p.text, k...)
					p.rows = append(p.rows, accessRow{end: len(p.text), status: deleted})
				}
				after = append(after[:0], k...)
				k, v = c.Next()
			}
			more = k != nil
			return nil
		})
		if err != nil {
			return err
		}
		ids := string(p.text)
		x.mu.Lock()
		begin := 0
		for i := range p.rows {
			n := x.at(ids[begin:p.rows[i].end])
			begin = p.rows[i].end
			if x.node(n).status == accessUnread {
				x.fill(n, 0, deleted, "")
			}
		}
		x.mu.Unlock()
	}
	return nil
}

// loadGoneHosts reads the digests of the host names of what was purged. None ever
// goes away, so that adding them to those of changes is exact.
func (s *Store) loadGoneHosts(ctx context.Context, x *accessIndex, page int) error {
	var after hostDigest
	for more, begun := true, false; more; begun = true {
		var list []hostDigest
		err := s.viewPublished(ctx, func(tx *bolt.Tx) error {
			c := tx.Bucket(bucketGoneHosts).Cursor()
			k, _ := c.Seek(after[:])
			if begun && bytes.Equal(k, after[:]) {
				k, _ = c.Next()
			}
			for ; k != nil && len(list) < page; k, _ = c.Next() {
				if len(k) != len(after) {
					return store.Errorf(store.Internal, "host name %x of a purged tenant is damaged", k)
				}
				after = hostDigest(k)
				list = append(list, after)
			}
			more = k != nil
			return nil
		})
		if err != nil {
			return err
		}
		x.bury(list)
	}
	return nil
}
