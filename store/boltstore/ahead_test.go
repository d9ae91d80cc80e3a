package boltstore

import (
	"fmt"
	"maps"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

// seen records the pages that are read ahead.
type seen struct {
	mu    sync.Mutex
	pages map[uint64]bool
}

func (f *fixture) watchAhead() *seen {
	n := &seen{pages: map[uint64]bool{}}
	f.ahead.cold = true
	f.ahead.seen = func(id uint64) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.pages[id] = true
	}
	return n
}

// missing returns which pages were not read.
func (n *seen) missing(want map[uint64]bool) (list []uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range want {
		if !n.pages[id] {
			list = append(list, id)
		}
	}
	return list
}

func (n *seen) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.pages)
}

// pageOf returns the page of the memory map that holds a key or value.
func pageOf(tx *bolt.Tx, b []byte) uint64 {
	info := tx.DB().Info()
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))-info.Data) / uint64(info.PageSize)
}

// bucketPages returns the pages on which the keys of a bucket are.
func bucketPages(tx *bolt.Tx, b *bolt.Bucket) map[uint64]bool {
	pages := map[uint64]bool{}
	if b.Root() == 0 { // it is within the page that names it
		return pages
	}
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		pages[pageOf(tx, k)] = true
		if len(v) > 0 {
			pages[pageOf(tx, v[len(v)-1:])] = true // of one that overflows
		}
	}
	return pages
}

// touchedBy returns the pages that hold a tree, the ids of its tenants, and its
// place among the trees.
func (f *fixture) touchedBy(root string) map[uint64]bool {
	f.t.Helper()
	pages := map[uint64]bool{}
	f.must(f.db.View(func(tx *bolt.Tx) error {
		at, _, err := find(tx, root)
		f.must(err)
		maps.Copy(pages, bucketPages(tx, at.tree.b))
		nodes, err := at.tree.subtree(at.ord)
		f.must(err)
		for _, n := range nodes {
			pages[pageOf(tx, tx.Bucket(bucketIDs).Get([]byte(n.ID)))] = true
		}
		name := segmentName(at.place.tree, 0)
		k, _ := tx.Bucket(bucketTrees).Cursor().Seek(name)
		pages[pageOf(tx, k)] = true
		return nil
	}))
	return pages
}

// plantTrees imports due trees of three tenants with resources, the first ones
// larger: with less than a page, several pages, and two levels of them.
func (f *fixture) plantTrees(n int) {
	f.t.Helper()
	for i := 0; i < n; i += 20 {
		var b store.Batch
		for r := i; r < min(i+20, n); r++ {
			root := fmt.Sprintf("tree-%05d", r*7919%n)
			b.Tenants = append(b.Tenants, store.Tenant{
				ID: root, Status: store.StatusDisabled, DisabledAt: epoch, PurgeAfterDays: 10, EstimatedPurgeDate: dueAt,
			})
			ids := []string{root, fmt.Sprintf("sub-%d-of-%d", r, n), fmt.Sprintf("also-%d-of-%d", r, n)}
			for _, id := range ids[1:] {
				b.Tenants = append(b.Tenants, store.Tenant{ID: id, ParentID: root, Status: store.StatusActive})
			}
			rows, data := r%40, fmt.Sprintf(`{"about":%q}`, strings.Repeat("x", 40))
			switch r {
			case 3:
				rows = 4000
			case 4:
				data = fmt.Sprintf(`{"about":%q}`, strings.Repeat("x", 20_000)) // overflows its page
			}
			for k := range rows {
				b.Resources = append(b.Resources, store.Resource{
					TenantID: ids[k%3], Kind: store.Kinds()[k%4], ID: fmt.Sprintf("r-%05d", k), Data: []byte(data),
				})
			}
		}
		_, err := f.ImportBatch(f.t.Context(), b, at(epoch))
		f.must(err)
	}
}

// A page that is not in memory must not be fetched while the write lock is held:
// whatever the transaction of a claim touches is read before.
func TestClaim_ReadsAheadWhatItsTransactionTouches(t *testing.T) {
	f := newFixture(t)
	f.plantTrees(600)
	n := f.watchAhead()
	list, err := f.Due(t.Context(), dueAt, store.Cursor{}, store.MaxPage)
	f.must(err)
	if len(list) != 600 || len(n.pages) != 0 {
		t.Fatalf("%d are due, and listing them read %d pages ahead", len(list), len(n.pages))
	}
	var want []map[uint64]bool // what claims write from now on is in memory anyway
	for _, c := range list {
		want = append(want, f.touchedBy(c.ID))
	}
	for i, c := range list {
		f.readAheadOf(t.Context(), c.ID)
		if left := n.missing(want[i]); len(left) > 0 {
			t.Fatalf("tenant %d, %s: pages %v of %v were not read ahead", i, c.ID, left, want[i])
		}
		_, err := f.Claim(t.Context(), c.ID, request(true))
		f.must(err)
	}
}

func TestClaim_ReadsAheadATenantThatWasNotListed(t *testing.T) {
	f := newFixture(t)
	f.plantTrees(100)
	n := f.watchAhead()
	for r := range 5 {
		id := fmt.Sprintf("tree-%05d", r*7919%100)
		n.reset()
		want := f.touchedBy(id)
		_, err := f.Claim(t.Context(), id, request(true))
		f.must(err)
		if left := n.missing(want); len(left) > 0 {
			t.Errorf("%s: pages %v of %v were not read ahead", id, left, want)
		}
	}
}

// Reading ahead is bounded: a pass that takes a few of many reads a few.
func TestClaim_ReadsAheadNoMoreThanIsNear(t *testing.T) {
	f := newFixture(t)
	f.plantTrees(1000)
	n := f.watchAhead()
	list, err := f.Due(t.Context(), dueAt, store.Cursor{}, store.MaxPage)
	f.must(err)
	_, err = f.Claim(t.Context(), list[0].ID, request(true))
	f.must(err)
	f.ahead.wg.Wait()
	if read := f.trees(n); len(read) > 2*aheadMost || len(read) < 2 {
		t.Errorf("for one claim, %d of 1,000 trees were read ahead; want two chunks at the most", len(read))
	}
	if !f.trees(n)[f.treeOf(list[1].ID)] {
		t.Error("the tree that is next was not read ahead")
	}
}

func (f *fixture) treeOf(id string) (num uint64) {
	f.t.Helper()
	f.must(f.db.View(func(tx *bolt.Tx) error {
		p, err := findPlace(tx, id)
		num = p.tree
		return err
	}))
	return num
}

// trees returns which trees have their first page among those that were read.
func (f *fixture) trees(n *seen) map[uint64]bool {
	f.t.Helper()
	read := map[uint64]bool{}
	f.must(f.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketIDs).ForEach(func(_, v []byte) error {
			if p, ok := readPlace(v[1:]); ok && v[0] == idLive && p.isRoot() {
				t, err := openTree(tx, p.tree)
				if err != nil {
					return err
				}
				if root := uint64(t.b.Root()); root > 0 && n.pages[root] {
					read[p.tree] = true
				}
			}
			return nil
		})
	}))
	return read
}

// Reading is slow on a cold file; a transaction that is open meanwhile would pin
// pages and could block a writer.
func TestClaim_ReadsATreeAheadWithoutATransaction(t *testing.T) {
	f := newFixture(t)
	f.plantTrees(40)
	var pages map[uint64]bool
	const id = "tree-00037" // the large one
	f.must(f.db.View(func(tx *bolt.Tx) error {
		at, _, err := find(tx, id)
		f.must(err)
		pages = bucketPages(tx, at.tree.b)
		return nil
	}))
	read, open := 0, 0
	f.ahead.seen = func(id uint64) {
		if pages[id] {
			read++
			open = max(open, f.db.Stats().OpenTxN)
		}
	}
	_, err := f.Claim(t.Context(), id, request(true))
	f.must(err)
	if open > 0 || read < 20 {
		t.Errorf("%d read transactions were open while %d pages of the tree were read", open, read)
	}
}

// A step of a purge in steps drops only segments that were read before it, even
// with all the time of the world.
func TestErase_ReadsAheadWhatItsTransactionDrops(t *testing.T) {
	f := newFixture(t)
	f.opt.TxTarget = time.Hour
	f.create("big", "")
	data := []byte(fmt.Sprintf(`{"about":%q}`, strings.Repeat("x", 40_000))) // few to a segment
	const users = 2_000
	for i := 0; i < users; i += 250 {
		var list []store.Resource
		for j := range 250 {
			list = append(list, store.Resource{TenantID: "big", Kind: store.KindUser, ID: fmt.Sprintf("u-%06d", i+j), Data: data})
		}
		f.must(f.Put(t.Context(), list))
	}
	f.deactivate("big")
	c, err := f.Claim(t.Context(), "big", request(true))
	f.must(err)
	segments := func() map[uint32]map[uint64]bool {
		list := map[uint32]map[uint64]bool{}
		f.must(f.db.View(func(tx *bolt.Tx) error {
			at, _, err := find(tx, "big")
			f.must(err)
			segs, err := at.tree.segments()
			f.must(err)
			for _, g := range segs {
				list[g.num] = bucketPages(tx, g.b)
			}
			return nil
		}))
		return list
	}
	steps := 0
	for more := true; more; steps++ {
		n := f.watchAhead()
		before := segments()
		e, err := f.Erase(t.Context(), c.Token, dueAt, time.Minute)
		f.must(err)
		after := segments()
		for num, pages := range before {
			if _, kept := after[num]; kept {
				continue
			}
			if left := n.missing(pages); len(left) > 0 {
				t.Errorf("step %d dropped segment %d; %d of its %d pages were not read ahead", steps, num, len(left), len(pages))
			}
		}
		more = e.More
	}
	if steps < 2 {
		t.Errorf("%d steps for %d MiB: they were not bounded by what was read", steps, users*40_000>>20)
	}
	r, err := f.Finish(t.Context(), c.Token, store.Verification{At: dueAt})
	f.must(err)
	if r.Deleted.Users != users {
		t.Errorf("%d users were removed", r.Deleted.Users)
	}
}

// Pages may be overwritten while they are read: whatever they hold is passed
// over.
func TestPages_AnythingIsReadWithoutAPanic(t *testing.T) {
	const size = 512
	rapid.Check(t, func(t *rapid.T) {
		file := make([]byte, 16*size)
		for i := range uint64(16) {
			p := file[i*size : (i+1)*size]
			copy(p, rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "page"))
			p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7] = byte(i), 0, 0, 0, 0, 0, 0, 0
			p[8], p[9] = rapid.SampledFrom([]byte{flagBranch, flagLeaf}).Draw(t, "kind"), 0
			if rapid.Bool().Draw(t, "sane") {
				p[10], p[11], p[12], p[13], p[14], p[15] = 2, 0, byte(i%3), 0, 0, 0
				for _, child := range []int{24, 40} { // also in a circle
					copy(p[child:], []byte{rapid.Byte().Draw(t, "child") % 16, 0, 0, 0, 0, 0, 0, 0})
				}
			}
		}
		r := &pageReader{f: strings.NewReader(string(file)), size: size}
		_ = r.search(t.Context(), 1, [][]byte{{0}, []byte("key"), {255, 255}}, func(p page, keys [][]byte) { p.get(keys[0]) })
		_ = r.walk(t.Context(), []uint64{4, 5, 99}, func(p page) {
			p.get([]byte("key"))
			bucketAt(p.get([]byte{keyHeader}))
		})
	})
}

// What is in memory is not read once more: that took an eighth of the throughput.
func TestClaim_ReadsNothingAheadOfAStoreThatIsInMemory(t *testing.T) {
	f := newFixture(t)
	f.plantTrees(100)
	n := f.watchAhead()
	f.ahead.cold = false
	var list []store.Candidate
	// A system that is short of memory, or saves it, may drop pages at any time.
	for tries := 0; ; tries++ {
		_, err := os.ReadFile(f.path)
		f.must(err)
		list, err = f.Due(t.Context(), dueAt, store.Cursor{}, store.MaxPage)
		f.must(err)
		if f.ahead.lists[len(f.ahead.lists)-1].warm {
			break
		}
		if tries == 20 {
			if os.Getenv("CI") != "" {
				t.Fatal("what was just read is not in memory, or this system does not tell")
			}
			t.Skip("what was just read is not in memory, or this system does not tell")
		}
	}
	for _, c := range list[:50] {
		_, err := f.Claim(t.Context(), c.ID, request(true))
		f.must(err)
	}
	if len(n.pages) > 0 {
		t.Errorf("%d pages were read", len(n.pages))
	}
}

// A large file is not looked at in full.
func TestResident_LooksAtFewPages(t *testing.T) {
	f := newFixture(t)
	f.plantTrees(20)
	f.must(f.db.View(func(tx *bolt.Tx) error {
		if resident(tx, 1) {
			t.Error("looked at more pages than it may")
		}
		return nil
	}))
}

// A page that left the memory is noticed.
func TestResident_SeesAPageThatWasDropped(t *testing.T) {
	f := newFixture(t)
	f.plantTrees(100)
	path := f.path
	f.must(f.Close())
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	f.must(err)
	f.must(file.Sync())
	f.must(unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED))
	b := make([]byte, 1)
	_, err = unix.Preadv2(int(file.Fd()), [][]byte{b}, 40*4096, unix.RWF_NOWAIT)
	f.must(file.Close())
	if err == nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the file stays in the page cache: set TMPDIR to a disk")
		}
		t.Skip("the file stays in the page cache: set TMPDIR to a disk")
	}
	f.open()
	f.must(f.db.View(func(tx *bolt.Tx) error {
		if resident(tx, math.MaxInt) {
			t.Error("a file that was dropped from the page cache is said to be in memory")
		}
		return nil
	}))
}
