package boltstore

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"sync"
	"syscall"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// What is read ahead of the write transactions that need it, so that these find
// it in memory: of the trees that are due the next aheadBytes, and as much again
// while those are purged; of a tree that is erased in steps, what one step may
// take.
const (
	aheadBytes = 8 << 20
	aheadFirst = 16  // trees, before their size is known or when all is in memory
	aheadMost  = 256 // trees
	// residentEach is how many pages it is worth to look at for each tree, to
	// find that all are in memory and nothing has to be read.
	residentEach = 256
	eraseBytes   = 32 << 20
)

// ahead reads, and foresees, what claims will touch, in the order in which [Store.Due] listed
// it, a chunk at a time. The first claim of a chunk waits for it and starts the
// next one. A tenant that was not listed is read on its own.
type ahead struct {
	mu sync.Mutex
	// lists are the last two, the newest last: claims of one are still under way
	// when the next is asked for.
	lists []*dueList
	trees int // in the next chunk
	stop  bool
	wg    sync.WaitGroup
	// foreseen has the trees that were read, or are being read, by their
	// numbers, and tenants counts what is kept of them.
	foreseen map[uint64]*foreseen
	tenants  int
	// seen is called with every page that was read, and cold takes no page for
	// one that is in memory; for tests.
	seen func(id uint64)
	cold bool
}

// dueList is what one call of Due returned.
type dueList struct {
	ids    []string
	places []place
	at     map[string]int
	whole  map[uint64]bool // trees whose root is in the list
	chunks []*aheadChunk   // of each tenant; nil when it is not being read yet
	next   int             // the first tenant that is not
	warm   bool            // all of the store was in memory
}

// aheadChunk is part of a list. done is closed once it was read.
type aheadChunk struct{ done chan struct{} }

// expectClaims notes what will be claimed next.
func (s *Store) expectClaims(ctx context.Context, list []store.Candidate, places []place) {
	if len(list) == 0 {
		return
	}
	in := false
	err := s.view(ctx, func(tx *bolt.Tx) error {
		in = resident(tx, residentEach*len(list))
		return nil
	})
	s.ahead.expect(list, places, in && err == nil)
}

// expect notes what will be claimed next. in tells that all of the store is in
// memory already.
func (a *ahead) expect(list []store.Candidate, places []place, in bool) {
	l := &dueList{
		places: places, at: make(map[string]int, len(list)), whole: map[uint64]bool{},
		chunks: make([]*aheadChunk, len(list)),
	}
	for i := range list {
		l.ids = append(l.ids, list[i].ID)
		l.at[list[i].ID] = i
		if places[i].isRoot() {
			l.whole[places[i].tree] = true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l.warm = in && !a.cold
	a.lists = append(a.lists, l)
	for len(a.lists) > 2 {
		for _, p := range a.lists[0].places {
			a.drop(p.tree)
		}
		a.lists = slices.Delete(a.lists, 0, 1)
	}
}

// chunk returns the chunk of a tenant, and those that have to be started; nil
// when the tenant is in none.
func (a *ahead) chunk(id string) (c *aheadChunk, start []func(*Store, context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stop {
		return nil, nil
	}
	for _, l := range slices.Backward(a.lists) {
		i, ok := l.at[id]
		if !ok {
			continue
		}
		if i >= l.next {
			l.next = i
			start = append(start, a.begin(l))
		}
		if l.chunks[i] == nil { // it was passed over
			return nil, start
		}
		if l.next < len(l.ids) && l.chunks[i] == l.chunks[l.next-1] {
			start = append(start, a.begin(l))
		}
		return l.chunks[i], start
	}
	return nil, nil
}

// begin makes the next chunk of a list and returns what reads it.
func (a *ahead) begin(l *dueList) func(*Store, context.Context) {
	if a.trees == 0 {
		a.trees = aheadFirst
	}
	c := &aheadChunk{done: make(chan struct{})}
	n := a.trees
	if l.warm {
		n = aheadFirst
	}
	from, to := l.next, min(l.next+n, len(l.ids))
	for i := from; i < to; i++ {
		l.chunks[i] = c
	}
	l.next = to
	a.wg.Add(1)
	return func(s *Store, ctx context.Context) {
		defer a.wg.Done()
		defer close(c.done)
		var read int64
		if !l.warm {
			read = s.readTenants(ctx, l.ids[from:to], l.places[from:to], l.whole)
		}
		s.foresee(ctx, l, l.places[from:to])
		a.mu.Lock()
		defer a.mu.Unlock()
		if n := int64(to - from); read > 0 {
			a.trees = int(min(max(aheadBytes*n/read, 1), aheadMost))
		}
	}
}

// end waits until nothing is being read, and begins nothing any more.
func (a *ahead) end() {
	a.mu.Lock()
	a.stop = true
	a.mu.Unlock()
	a.wg.Wait()
}

// readAheadOf returns once what a claim of a tenant will touch is in memory, or
// could not be read: then the transaction will tell.
func (s *Store) readAheadOf(ctx context.Context, id string) {
	c, start := s.ahead.chunk(id)
	for _, read := range start {
		go read(s, context.WithoutCancel(ctx))
	}
	if c != nil {
		select {
		case <-c.done:
		case <-ctx.Done():
		}
		return
	}
	var p place
	err := s.view(ctx, func(tx *bolt.Tx) (err error) {
		p, err = findPlace(tx, id)
		return err
	})
	if err == nil {
		s.readTenants(ctx, []string{id}, []place{p}, nil)
	}
}

// readTenants reads what claims of tenants will touch, and returns how many
// bytes that were. whole names trees that go as a whole anyway.
func (s *Store) readTenants(ctx context.Context, ids []string, places []place, whole map[uint64]bool) int64 {
	var trees []uint64
	for i, p := range places {
		if p.isRoot() {
			trees = append(trees, p.tree)
		} else if !whole[p.tree] {
			s.rehearse(ctx, ids[i])
		}
	}
	return s.readPages(ctx, func(r *pageReader) error { return s.readTrees(ctx, r, trees) })
}

// readPages runs fn with a reader of the store's file. Nothing depends on it:
// what cannot be read here fails, or does not, where it is needed.
func (s *Store) readPages(ctx context.Context, fn func(*pageReader) error) int64 {
	r := &pageReader{seen: s.ahead.seen}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		r.size = tx.DB().Info().PageSize
		return nil
	})
	if err != nil {
		return 0
	}
	f, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err == nil {
		defer func() { _ = f.Close() }()
		r.f = f
		err = fn(r)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Debug("reading the store ahead", zap.Error(err))
	}
	return r.read
}

// lookUp reads where keys are in a top bucket. Every commit moves pages of these,
// so this little is read in a transaction; those of a tree stay in their places
// until somebody changes that very tree.
func (s *Store) lookUp(ctx context.Context, r *pageReader, bucket []byte, keys [][]byte, leaf func(p page, keys [][]byte)) error {
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, slices.Compare)
	return s.view(ctx, func(tx *bolt.Tx) error {
		return r.search(ctx, uint64(tx.Bucket(bucket).Root()), keys, leaf)
	})
}

// readTrees reads the pages of trees, without further segments, and where the
// ids of their tenants and their receipts are.
func (s *Store) readTrees(ctx context.Context, r *pageReader, trees []uint64) error {
	names := make([][]byte, 0, len(trees))
	for _, n := range trees {
		names = append(names, segmentName(n, 0))
	}
	var from []uint64
	var ids, receipts [][]byte
	collect := func(p page) {
		for i := p.count() - 1; i >= 0 && len(ids) < aheadMost*inlineTenants/8; i-- {
			k, v := p.leaf(i)
			switch {
			case len(k) == 0 || k[0] < keyTenant:
				return
			case k[0] != keyTenant || len(k) != 5:
				continue
			}
			t, err := decodeRecord(v)
			if err != nil {
				continue
			}
			ids = append(ids, []byte(t.ID))
			if binary.BigEndian.Uint32(k[1:]) == 0 {
				receipts = append(receipts, []byte(t.ID))
			}
		}
	}
	err := s.lookUp(ctx, r, bucketTrees, names, func(p page, names [][]byte) {
		for _, name := range names {
			if root, inline := bucketAt(p.get(name)); inline != nil {
				collect(inline)
			} else if root > 0 {
				from = append(from, root)
			}
		}
	})
	if err == nil {
		err = r.walk(ctx, from, collect)
	}
	if err == nil {
		err = s.lookUp(ctx, r, bucketIDs, ids, func(page, [][]byte) {})
	}
	if err == nil {
		err = s.lookUp(ctx, r, bucketReceipts, receipts, func(page, [][]byte) {})
	}
	return err
}

// bucketAt splits the value of a bucket: its first page, or the page itself
// when it is small. The format is that of bbolt's internal/common/bucket.go.
func bucketAt(v []byte) (root uint64, inline page) {
	if len(v) < bucketHeader {
		return 0, nil
	}
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return root, nil
	}
	if len(v) < bucketHeader+pageHeader {
		return 0, nil
	}
	return 0, page(v[bucketHeader:])
}

// readErase reads what the next step of the purge of a whole tree will remove,
// and returns how many resources that are; the step should not go beyond.
func (s *Store) readErase(ctx context.Context, num uint64) int {
	var segments []uint64
	rows, all, small := 0, true, false
	err := s.view(ctx, func(tx *bolt.Tx) error {
		t, err := openTree(tx, num)
		if err != nil {
			return err
		}
		segs, err := t.segments()
		if err != nil {
			return err
		}
		size := t.header.bytes
		rows = int(t.header.rows)
		for _, g := range segs[1:] {
			if size >= eraseBytes {
				all = false
				break
			}
			size += g.bytes
			rows += int(g.rows)
			segments = append(segments, uint64(g.b.Root()))
		}
		// Most of what a tree with many tenants has in its first bucket is
		// their records, of which a step takes a few.
		if small = t.header.tenants <= inlineTenants; small {
			return nil
		}
		lo, hi := allResources()
		touchBucket(t.b, lo, hi, segmentRows)
		return nil
	})
	if err != nil {
		return math.MaxInt // the transaction will tell
	}
	s.readPages(ctx, func(r *pageReader) error {
		if small {
			if err := s.readTrees(ctx, r, []uint64{num}); err != nil {
				return err
			}
		}
		return r.walk(ctx, segments, func(page) {})
	})
	if all {
		return math.MaxInt
	}
	return rows
}

// rehearse reads what a purge of a part of a tree will touch, up to what one
// transaction removes. It is little, and spread over the tree: a read
// transaction does.
func (s *Store) rehearse(ctx context.Context, id string) {
	// Nothing depends on it: what cannot be read fails, or does not, where it is
	// needed.
	_ = s.view(ctx, func(tx *bolt.Tx) error {
		at, _, err := find(tx, id)
		if err != nil {
			return err
		}
		nodes, err := at.tree.subtree(at.ord)
		if err != nil {
			return err
		}
		known := tx.Bucket(bucketIDs)
		for i := range nodes[:min(len(nodes), inlineTenants)] {
			known.Get([]byte(nodes[i].ID))
		}
		left := inlineRows
		for _, g := range rangesOf(nodes) {
			if left, err = at.tree.touch(g.lo, g.hi, left); err != nil || left <= 0 {
				return err
			}
		}
		return nil
	})
}

// touch reads up to limit resources of a range and returns how many of the
// limit are left.
func (t *tree) touch(lo, hi []byte, limit int) (int, error) {
	segs, err := t.segments()
	if err != nil {
		return 0, err
	}
	for i := range segs {
		if i+1 < len(segs) && string(segs[i+1].first) <= string(lo) {
			continue
		}
		if i > 0 && string(segs[i].first) >= string(hi) {
			break
		}
		limit = touchBucket(segs[i].b, lo, hi, limit)
	}
	return limit, nil
}

// touchBucket is touch for one segment.
func touchBucket(b *bolt.Bucket, lo, hi []byte, limit int) int {
	c := b.Cursor()
	for k, _ := c.Seek(lo); k != nil && string(k) < string(hi) && limit > 0; k, _ = c.Next() {
		limit--
	}
	return limit
}
