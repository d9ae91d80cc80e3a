package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// The first byte of a key in a tree's bucket.
const (
	keyChild    = 'c' // parent ordinal, ordinal: a child
	keyRemoved  = 'd' // ordinal: counts of what a purge in steps removed
	keyHeader   = 'h' // the header
	keyCounts   = 'n' // ordinal: counts of the tenant's resources
	keyResource = 'r' // see resourceKey
	keySegment  = 's' // first resource key of a segment: its number and size
	keyTenant   = 't' // ordinal: the record
	keyGone     = 'x' // ordinal of the top, n: ids of tenants that a purge in steps removed
)

// A segment is full at either of these; then resources go to another one. It
// bounds what one transaction has to drop.
const (
	segmentRows  = 16 << 10
	segmentBytes = 16 << 20
)

// tree is one tree within a transaction. Its resources are in its own bucket
// (segment 0) up to a size, and beyond it in segments: further flat buckets,
// each holding one range of keys. A tree is not safe for concurrent use.
type tree struct {
	num    uint64
	trees  *bolt.Bucket
	b      *bolt.Bucket
	header header
	segs   []segment // ordered by first key; segs[0] is segment 0
	loaded bool      // segs is filled
	counts map[uint32]store.Counts
	dirty  bool // header
	fill   float64
}

// header is the value of key 'h'.
type header struct {
	nextOrd uint32
	tenants uint32 // live ones
	rows    uint64 // resources in segment 0
	bytes   uint64 // of them
	gone    uint32 // keys 'x'
	nextSeg uint32
}

func (h *header) encode() []byte {
	b := []byte{recordVersion}
	for _, n := range []uint64{uint64(h.nextOrd), uint64(h.tenants), h.rows, h.bytes, uint64(h.gone), uint64(h.nextSeg)} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func decodeHeader(b []byte) (header, error) {
	d := decoder{b: b}
	if v := d.byte(); v != recordVersion && d.err == nil {
		return header{}, store.Errorf(store.Internal, "tree header of version %d; this purger knows %d", v, recordVersion)
	}
	h := header{
		nextOrd: uint32(d.uvarint()), tenants: uint32(d.uvarint()), rows: d.uvarint(), bytes: d.uvarint(),
		gone: uint32(d.uvarint()), nextSeg: uint32(d.uvarint()),
	}
	if d.err != nil {
		return h, store.Errorf(store.Internal, "tree header: %w", d.err)
	}
	return h, nil
}

// segmentName is the name of a segment's bucket.
func segmentName(tree uint64, seg uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, tree), seg)
}

// openTree opens a tree for reading or, in a write transaction, writing.
func openTree(tx *bolt.Tx, num uint64) (*tree, error) {
	t, err := openBucket(tx, num)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(t.b.Get([]byte{keyHeader}))
	if err != nil {
		return nil, fmt.Errorf("tree %d: %w", num, err)
	}
	t.header = h
	return t, nil
}

// openBucket opens a tree without reading its header.
func openBucket(tx *bolt.Tx, num uint64) (*tree, error) {
	t := &tree{num: num, trees: tx.Bucket(bucketTrees)}
	t.b = t.trees.Bucket(segmentName(num, 0))
	if t.b == nil {
		return nil, store.Errorf(store.Internal, "tree %d is missing", num)
	}
	return t, nil
}

// createTree makes a tree without tenants.
func (w *wtx) createTree() (*tree, error) {
	num := w.totals.nextTree
	w.totals.nextTree++
	w.dirty.totals = true
	w.writes++
	t := &tree{num: num, trees: w.tx.Bucket(bucketTrees), header: header{nextSeg: 1}, dirty: true}
	b, err := t.trees.CreateBucket(segmentName(num, 0))
	if err != nil {
		return nil, fmt.Errorf("create tree %d: %w", num, err)
	}
	t.b = b
	return t, nil
}

// save writes what is kept in memory while a tree is changed.
func (t *tree) save() error {
	for ord, c := range t.counts {
		if err := t.b.Put(ordKey(keyCounts, ord), appendCounts(nil, c)); err != nil {
			return fmt.Errorf("write counts: %w", err)
		}
	}
	t.counts = nil
	for i := range t.segs {
		if s := &t.segs[i]; s.dirty && i > 0 {
			if err := t.b.Put(s.key(), s.value()); err != nil {
				return fmt.Errorf("write segment %d: %w", s.num, err)
			}
			s.dirty = false
		}
	}
	if !t.dirty {
		return nil
	}
	t.dirty = false
	if err := t.b.Put([]byte{keyHeader}, t.header.encode()); err != nil {
		return fmt.Errorf("write tree header: %w", err)
	}
	return nil
}

// ordKey is a key made of its first byte and an ordinal.
func ordKey(first byte, ord uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{first}, ord)
}

// record reads one tenant.
func (t *tree) record(ord uint32) (*record, error) {
	v := t.b.Get(ordKey(keyTenant, ord))
	if v == nil {
		return nil, store.Errorf(store.Internal, "tenant %d of tree %d is missing", ord, t.num)
	}
	return decodeRecord(v)
}

// putRecord writes one tenant.
func (t *tree) putRecord(ord uint32, r *record) error {
	v, err := r.encode()
	if err != nil {
		return err
	}
	if err := t.b.Put(ordKey(keyTenant, ord), v); err != nil {
		return fmt.Errorf("write tenant %q: %w", r.ID, err)
	}
	return nil
}

// addTenant gives a tenant the next ordinal. Its parent, unless it is the root,
// is in the tree.
func (t *tree) addTenant(r *record) (uint32, error) {
	ord := t.header.nextOrd
	t.header.nextOrd++
	t.header.tenants++
	t.dirty = true
	if ord > 0 {
		if err := t.b.Put(childKey(r.parent, ord), nil); err != nil {
			return 0, fmt.Errorf("write child of tenant %q: %w", r.ParentID, err)
		}
	}
	return ord, t.putRecord(ord, r)
}

// removeTenant takes a tenant's record away, and all that goes with it.
func (t *tree) removeTenant(n *node) error {
	t.header.tenants--
	t.dirty = true
	delete(t.counts, n.ord)
	keys := [][]byte{ordKey(keyTenant, n.ord), ordKey(keyCounts, n.ord), ordKey(keyRemoved, n.ord)}
	if n.ord > 0 {
		keys = append(keys, childKey(n.parent, n.ord))
	}
	for _, k := range keys {
		if err := t.b.Delete(k); err != nil {
			return fmt.Errorf("delete tenant %q: %w", n.ID, err)
		}
	}
	return nil
}

func childKey(parent, ord uint32) []byte {
	return binary.BigEndian.AppendUint32(ordKey(keyChild, parent), ord)
}

// node is a tenant of a subtree.
type node struct {
	*record
	ord uint32
}

// subtree reads the tenants below and including one, deepest first, those of
// one depth by their ordinals. It uses no recursion, since depth is data.
func (t *tree) subtree(top uint32) ([]node, error) {
	var nodes []node
	if top == 0 {
		c := t.b.Cursor()
		for k, v := c.Seek([]byte{keyTenant}); len(k) == 5 && k[0] == keyTenant; k, v = c.Next() {
			r, err := decodeRecord(v)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, node{r, binary.BigEndian.Uint32(k[1:])})
		}
	} else {
		c := t.b.Cursor()
		for stack := []uint32{top}; len(stack) > 0; {
			ord := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			r, err := t.record(ord)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, node{r, ord})
			prefix := ordKey(keyChild, ord)
			for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(k) == 9; k, _ = c.Next() {
				stack = append(stack, binary.BigEndian.Uint32(k[5:]))
			}
		}
	}
	slices.SortFunc(nodes, func(a, b node) int {
		if a.depth != b.depth {
			return int(b.depth) - int(a.depth)
		}
		return int(int64(a.ord) - int64(b.ord))
	})
	return nodes, nil
}

// nearestInactive returns the nearest tenant that is not active, from the given
// one upwards; nil when there is none.
func (t *tree) nearestInactive(ord uint32) (*store.Tenant, error) {
	for {
		r, err := t.record(ord)
		if err != nil {
			return nil, err
		}
		if r.Status != store.StatusActive {
			return &r.Tenant, nil
		}
		if ord == 0 {
			return nil, nil
		}
		ord = r.parent
	}
}

// countsOf reads the counters of one tenant.
func (t *tree) countsOf(ord uint32) (store.Counts, error) {
	if c, ok := t.counts[ord]; ok {
		return c, nil
	}
	return readCounts(t.b.Get(ordKey(keyCounts, ord)))
}

// removedOf reads what a purge in steps removed of one tenant so far.
func (t *tree) removedOf(ord uint32) (store.Counts, error) {
	return readCounts(t.b.Get(ordKey(keyRemoved, ord)))
}

func readCounts(v []byte) (store.Counts, error) {
	if v == nil {
		return store.Counts{}, nil
	}
	d := decoder{b: v}
	c := d.counts()
	if d.err != nil {
		return c, store.Errorf(store.Internal, "counts of a tenant: %w", d.err)
	}
	return c, nil
}

// count adds to the counters of one tenant.
func (t *tree) count(ord uint32, k store.Kind, n int64) error {
	c, err := t.countsOf(ord)
	if err != nil {
		return err
	}
	c.Add(k, n)
	if t.counts == nil {
		t.counts = map[uint32]store.Counts{}
	}
	t.counts[ord] = c
	return nil
}
