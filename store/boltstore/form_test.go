package boltstore

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store/storetest"
)

// giant puts a value of n bytes in place of a receipt, and returns the file as a
// kill would leave it.
func giant(t *testing.T, n int) (dir string) {
	f := newFixture(t)
	f.create("a", "")
	f.must(f.Close())
	db, err := bolt.Open(f.path, 0o600, &bolt.Options{NoFreelistSync: true})
	f.must(err)
	f.must(db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketReceipts).Put([]byte("giant"), bytes.Repeat([]byte("x"), n))
	}))
	f.must(db.Close())
	dir = t.TempDir()
	storetest.CopyFile(t, f.path, filepath.Join(dir, FileName))
	f.must(os.Remove(f.path)) // nothing in it is a receipt: a check would find it
	f.open()
	return dir
}

// A receipt is one value and names every tenant that went: with enough of them
// it is larger than any bound on a page.
func TestOpen_AStoreWithAGiantReceiptIsNotDamaged(t *testing.T) {
	dir := giant(t, maxPageBytes+maxPageBytes/4)
	h, err := inspect(filepath.Join(dir, FileName))
	if err != nil || h.synced {
		t.Fatalf("the form would not be looked at: %+v, %v", h, err)
	}
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// What is not in its place in a long page is found as it is in a short one, and
// without the page in memory.
func TestCheckForm_LooksAtLongPagesPieceByPiece(t *testing.T) {
	dir := giant(t, 32*wholeBytes)
	path := filepath.Join(dir, FileName)
	h, err := inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	long := 0 // where the long page is
	for id := 2; id < int(h.high); id++ {
		if p := page(b[id*h.page:]); p.id() == uint64(id) && p.isLeaf() && p.overflow() > wholeBytes/h.page {
			long = id * h.page
		}
	}
	if long == 0 {
		t.Fatal("there is no long page")
	}
	check := func() error { return checkForm(bytes.NewReader(b), h.page, h.root, h.high) }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := check(); err != nil {
		t.Errorf("without damage: %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8*wholeBytes {
		t.Errorf("%d bytes were allocated for a page of %d", n, 32*wholeBytes)
	}
	element := long + pageHeader
	for name, tc := range map[string]struct {
		at   int
		word uint32
		want string
	}{
		"a value that is too long": {element + 12, 1 << 30, "outside"},
		"a key that is too long":   {element + 8, bolt.MaxKeySize + 1, "outside"},
		"a key that is elsewhere":  {element + 4, 1 << 31, "outside"},
		"too much of a bucket":     {element, flagBucket, "is a bucket of"},
		"a page that is too long":  {long + 12, 1 << 20, "it says to be page"},
	} {
		was := binary.NativeEndian.Uint32(b[tc.at:])
		binary.NativeEndian.PutUint32(b[tc.at:], tc.word)
		if err := check(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		binary.NativeEndian.PutUint32(b[tc.at:], was)
	}
}
