package boltstore

import (
	"encoding/binary"
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"
)

// wholeBytes is up to how long a page with its overflow is read at once. A
// longer one has a value that is nearly all of it, as a receipt that names a
// million tenants, and nothing of that value is looked at.
const wholeBytes = 1 << 20

// extent is a page with its overflow, of which only the beginning, with all the
// elements, need be in memory.
type extent struct {
	page
	r    io.ReaderAt
	at   int64 // where it is in r, in bytes
	size int64 // of all, in bytes
}

// load reads what there has to be in memory, when there is the first page.
func (x *extent) load() error {
	n := min(x.size, max(wholeBytes, pageHeader+int64(x.said())*pageElement))
	if n <= int64(len(x.page)) {
		return nil
	}
	x.page = make(page, n)
	_, err := x.r.ReadAt(x.page, x.at)
	return err
}

// said returns how many elements the header promises.
func (x *extent) said() int { return int(binary.NativeEndian.Uint16(x.page[10:])) }

// key returns the key of an element, whose value, if any, has to be inside too.
func (x *extent) key(i int) ([]byte, error) {
	from, n, m := x.place(i)
	if from+n+m > x.size || n > bolt.MaxKeySize {
		return nil, fmt.Errorf("element %d is outside of it", i)
	}
	return x.bytes(from, n)
}

// bucket returns the value of an element that is a bucket, and nil for any other.
func (x *extent) bucket(i int) ([]byte, error) {
	if binary.NativeEndian.Uint32(x.page[pageHeader+i*pageElement:])&flagBucket == 0 {
		return nil, nil
	}
	from, n, m := x.place(i)
	if m > wholeBytes {
		return nil, fmt.Errorf("element %d is a bucket of %d bytes", i, m)
	}
	return x.bytes(from+n, m)
}

// place returns where an element's key begins, its length and that of the value
// behind it, 0 in a branch.
func (x *extent) place(i int) (from, key, value int64) {
	at := pageHeader + i*pageElement
	e := x.page[at:]
	word := func(i int) int64 { return int64(binary.NativeEndian.Uint32(e[4*i:])) }
	if x.isLeaf() {
		return int64(at) + word(1), word(2), word(3)
	}
	return int64(at) + word(0), word(1), 0
}

// bytes returns n bytes from an offset. They are inside.
func (x *extent) bytes(from, n int64) ([]byte, error) {
	if from+n <= int64(len(x.page)) {
		return x.page[from : from+n : from+n], nil
	}
	b := make([]byte, n)
	_, err := x.r.ReadAt(b, x.at+from)
	return b, err
}
