package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// maxDefects bounds how many defects Check names.
const maxDefects = 100

// Check implements [store.Store]. Changes wait while it reads.
func (s *Store) Check(ctx context.Context) error {
	return s.exclusive(func() error {
		if err := s.failure(); err != nil {
			return err
		}
		return guard(func() error {
			return s.db.View(func(tx *bolt.Tx) error {
				c := &checker{s: s, tx: tx, ended: ctx.Err}
				if err := c.form(); err != nil {
					return err // reading on might not come to an end
				}
				c.file()
				c.trees()
				c.ids()
				for _, name := range [][]byte{bucketDue, bucketBlocked, bucketPurging} {
					c.index(name)
				}
				c.sums()
				c.chain()
				c.receipts()
				c.approvals()
				c.replays()
				c.source()
				c.goneHosts()
				if err := ctx.Err(); err != nil {
					return store.Errorf(store.Unavailable, "check: %w", err)
				}
				return c.result()
			})
		})
	})
}

// checker gathers defects.
type checker struct {
	s       *Store
	tx      *bolt.Tx
	ended   func() error
	defects []error
	more    int

	totals  totals         // recounted
	indexed map[string]int // entries that each index should have
}

func (c *checker) bad(format string, args ...any) {
	if len(c.defects) == maxDefects {
		c.more++
		return
	}
	c.defects = append(c.defects, fmt.Errorf(format, args...))
}

// result joins what was found.
func (c *checker) result() error {
	if len(c.defects) == 0 {
		return nil
	}
	if c.more > 0 {
		c.defects = append(c.defects, fmt.Errorf("and %d more", c.more))
	}
	return store.Errorf(store.Internal, "%w", errors.Join(c.defects...))
}

// form checks what bbolt's own check takes for granted.
func (c *checker) form() error {
	if err := isStill(c.s.path, c.s.held); err != nil {
		return store.Errorf(store.Unavailable, "check: %w", err)
	}
	f, err := os.Open(c.s.path)
	if err != nil {
		return store.Errorf(store.Unavailable, "check: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	root, high := uint64(c.tx.Cursor().Bucket().RootPage()), uint64(c.tx.Size()/c.s.pageSize)
	if err := checkForm(f, int(c.s.pageSize), root, high); err != nil {
		return store.Errorf(store.Internal, "file: %w", err)
	}
	return nil
}

// file runs bbolt's own check.
func (c *checker) file() {
	for err := range c.tx.Check() {
		c.bad("file: %w", err)
	}
}

// trees checks every tree within itself, and recounts.
func (c *checker) trees() {
	c.indexed = map[string]int{}
	trees := c.tx.Bucket(bucketTrees)
	cur := trees.Cursor()
	segments := map[uint32]bool{}
	var open uint64
	started := false
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		if v != nil || len(k) != 12 {
			c.bad("bucket trees holds the foreign key %x", k)
			continue
		}
		num, seg := binary.BigEndian.Uint64(k), binary.BigEndian.Uint32(k[8:])
		if seg == 0 {
			for left := range segments {
				c.bad("tree %d: segment %d is missing", open, left)
			}
			t, err := openTree(c.tx, num)
			if err != nil {
				c.bad("%w", err)
				continue
			}
			open, started = num, true
			segments = c.tree(t)
			if num >= c.s.totals.nextTree {
				c.bad("tree %d was never numbered", num)
			}
			continue
		}
		if !started || num != open || !segments[seg] {
			c.bad("segment %d of tree %d belongs to nothing", seg, num)
			continue
		}
		delete(segments, seg)
	}
	for left := range segments {
		c.bad("tree %d: segment %d is missing", open, left)
	}
}

// tree checks one tree and returns the segments that it should have.
func (c *checker) tree(t *tree) map[uint32]bool {
	want := map[uint32]bool{}
	segs, err := t.segments()
	if err != nil {
		c.bad("%w", err)
		return want
	}
	counts := tally{}
	for i := range segs {
		s := &segs[i]
		if i > 0 {
			want[s.num] = true
		}
		c.segment(t, segs, i, counts)
	}
	records := map[uint32]*record{}
	cur := t.b.Cursor()
	for k, v := cur.Seek([]byte{keyTenant}); len(k) == 5 && k[0] == keyTenant; k, v = cur.Next() {
		r, err := decodeRecord(v)
		if err != nil {
			c.bad("tree %d: %w", t.num, err)
			continue
		}
		records[binary.BigEndian.Uint32(k[1:])] = r
	}
	if len(records) != int(t.header.tenants) {
		c.bad("tree %d has %d tenants, its header says %d", t.num, len(records), t.header.tenants)
	}
	for ord, r := range records {
		c.tenant(t, records, ord, r)
		kept, err := t.countsOf(ord)
		if err != nil {
			c.bad("tenant %q: %w", r.ID, err)
		}
		var have store.Counts
		if n := counts[ord]; n != nil {
			have = *n
		}
		if kept != have {
			c.bad("tenant %q: the counters say %+v, the rows %+v", r.ID, kept, have)
		}
		delete(counts, ord)
	}
	for ord := range counts {
		c.bad("tree %d: resources of tenant %d, which is not there", t.num, ord)
	}
	return want
}

// segment checks the rows and the size of one segment.
func (c *checker) segment(t *tree, segs []segment, i int, counts tally) {
	s := &segs[i]
	rows, size := s.rows, s.bytes
	if i == 0 {
		rows, size = t.header.rows, t.header.bytes
	}
	lo, hi := allResources()
	var n, b uint64
	cur := s.b.Cursor()
	for k, v := cur.Seek(lo); k != nil && bytes.Compare(k, hi) < 0; k, v = cur.Next() {
		kind, ord, _, ok := splitResourceKey(k)
		if !ok {
			c.bad("tree %d, segment %d: a resource key is damaged", t.num, s.num)
			continue
		}
		if i > 0 && bytes.Compare(k, s.first) < 0 || i+1 < len(segs) && bytes.Compare(k, segs[i+1].first) >= 0 {
			c.bad("tree %d, segment %d: a resource outside of its range", t.num, s.num)
		}
		counts.add(ord, kind)
		c.totals.resources.Add(kind, 1)
		n++
		b += uint64(len(k) + len(v))
	}
	if n != rows || b != size {
		c.bad("tree %d, segment %d has %d rows of %d bytes, its directory says %d of %d", t.num, s.num, n, b, rows, size)
	}
}

// tenant checks one record against its family and the index of ids.
func (c *checker) tenant(t *tree, records map[uint32]*record, ord uint32, r *record) {
	c.totals.count(r, 1)
	if p, err := findPlace(c.tx, r.ID); err != nil || p != (place{t.num, ord}) {
		c.bad("tenant %q is not where bucket ids says", r.ID)
	}
	if err := r.Validate(); err != nil {
		c.bad("tenant %q: %w", r.ID, err)
	}
	if b, k := indexOf(r); b != nil {
		c.indexed[string(b)]++
		p, ok := readPlace(c.tx.Bucket(b).Get(k))
		if !ok || p != (place{t.num, ord}) {
			c.bad("tenant %q is not in index %s", r.ID, b)
		}
	}
	if r.Purge != nil && !r.Status.Irrevocable() {
		c.bad("tenant %q is %s and has a purge", r.ID, r.Status)
	}
	if ord == 0 {
		if r.ParentID != "" || r.depth != 0 {
			c.bad("tenant %q is a root with parent %q and depth %d", r.ID, r.ParentID, r.depth)
		}
		return
	}
	parent := records[r.parent]
	switch {
	case parent == nil:
		c.bad("tenant %q is a child of %q, which is deleted", r.ID, r.ParentID)
	case parent.ID != r.ParentID || parent.depth+1 != r.depth:
		c.bad("tenant %q: its parent %q is recorded as %q at depth %d", r.ID, r.ParentID, parent.ID, parent.depth)
	case parent.Status.Irrevocable() && !r.Status.Irrevocable():
		c.bad("tenant %q is %s below %q, which is %s", r.ID, r.Status, parent.ID, parent.Status)
	}
	if t.b.Get(childKey(r.parent, ord)) == nil {
		c.bad("tenant %q is not among the children of %q", r.ID, r.ParentID)
	}
}

// ids checks that every id leads to a record or to a tombstone with a receipt.
func (c *checker) ids() {
	var live, dead int64
	cur := c.tx.Bucket(bucketIDs).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		if len(v) > 0 && v[0] == idLive {
			live++
			continue
		}
		dead++
		t, err := decodeTombstone(string(k), v)
		if err != nil {
			c.bad("%w", err)
			continue
		}
		if t.PurgedWith == t.ID {
			if c.tx.Bucket(bucketReceipts).Get(k) == nil {
				c.bad("tenant %q was purged and has no receipt", k)
			}
		} else if c.tx.Bucket(bucketIDs).Get([]byte(t.PurgedWith)) == nil {
			c.bad("tenant %q was purged with %q, which is not known", k, t.PurgedWith)
		}
	}
	c.totals.status[statusCode(store.StatusDeleted)] = dead
	var records int64
	for _, s := range store.Statuses() {
		if s != store.StatusDeleted {
			records += c.totals.status[statusCode(s)]
		}
	}
	if live != records {
		c.bad("bucket ids has %d tenants, the trees have %d", live, records)
	}
}

// index checks that an index has no more entries than its records demand.
func (c *checker) index(name []byte) {
	n := 0
	cur := c.tx.Bucket(name).Cursor()
	for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
		n++
	}
	if n != c.indexed[string(name)] {
		c.bad("index %s has %d entries, the records demand %d", name, n, c.indexed[string(name)])
	}
}

// sums compares the totals on record and in memory with what was counted.
func (c *checker) sums() {
	kept, err := decodeTotals(c.tx.Bucket(bucketMeta).Get(keyTotals))
	if err != nil {
		c.bad("%w", err)
	}
	if kept != c.s.totals {
		c.bad("totals on record %+v differ from those in memory %+v", kept, c.s.totals)
	}
	c.totals.nextTree, c.totals.fence = kept.nextTree, kept.fence
	if kept != c.totals {
		c.bad("totals on record %+v differ from those counted %+v", kept, c.totals)
	}
}

// chain verifies the audit trail from its first entry.
func (c *checker) chain() {
	var chain store.Chain
	cur := c.tx.Bucket(bucketAudit).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		var e store.Entry
		if err := json.Unmarshal(v, &e); err != nil {
			c.bad("audit entry %x: %w", k, err)
			return
		}
		if !bytes.Equal(k, seqKey(e.Seq)) {
			c.bad("audit entry %d is kept as %x", e.Seq, k)
		}
		if err := chain.Verify(e); err != nil {
			c.bad("%w", err)
			return
		}
	}
	if chain.Head() != c.s.head {
		c.bad("the audit trail ends at %d, memory says %d", chain.Head().Seq, c.s.head.Seq)
	}
}

// receipts checks every receipt against its audit entry and its tombstones.
func (c *checker) receipts() {
	cur := c.tx.Bucket(bucketReceipts).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		var r store.Receipt
		if err := json.Unmarshal(v, &r); err != nil {
			c.bad("receipt of %q: %w", k, err)
			continue
		}
		var e store.Entry
		if err := json.Unmarshal(c.tx.Bucket(bucketAudit).Get(seqKey(r.Audit.Seq)), &e); err != nil {
			c.bad("receipt of %q: audit entry %d: %w", k, r.Audit.Seq, err)
			continue
		}
		if e.Hash != r.Audit.Hash || e.Detail["receiptSha256"] != r.Digest() || e.TenantID != string(k) {
			c.bad("receipt of %q does not fit audit entry %d", k, r.Audit.Seq)
		}
		if len(r.Tenants) == 0 || !slices.Contains(r.Tenants, string(k)) {
			c.bad("receipt of %q does not name it", k)
		}
		for _, id := range r.Tenants {
			if _, err := tombstone(c.tx, id); err != nil {
				c.bad("receipt of %q: %w", k, err)
			}
		}
	}
}
