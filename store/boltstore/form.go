package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/tenantpurge/purger/store"
)

// A bucket is a value in a leaf with flagBucket: the page of its root and a
// sequence, 8 bytes each. One without a page of its own has its leaf behind that.
const (
	flagBucket   = 0x01
	bucketHeader = 16
)

// checkForm looks at every page that can be reached from root, and returns the
// first that is not what it should be: another page, one with something in it
// that lies outside of it, or one whose keys are not in order. bbolt looks for
// free pages, and checks the file, in a goroutine where neither a panic nor a
// fault of the memory map can be caught.
func checkForm(r io.ReaderAt, size int, root, high uint64) error {
	f := &form{r: r, size: size, high: high, seen: make([]uint64, high/64+1), buf: make([]byte, size)}
	f.todo = append(f.todo, subtree{id: root})
	for len(f.todo) > 0 {
		at := f.todo[len(f.todo)-1]
		f.todo = f.todo[:len(f.todo)-1]
		if err := f.page(at); err != nil {
			return fmt.Errorf("page %d: %w", at.id, err)
		}
	}
	return nil
}

// subtree is a page and the bounds of the keys below it; nil is no bound.
type subtree struct {
	id       uint64
	least    []byte
	lessThan []byte
}

// form is the state of checkForm.
type form struct {
	r    io.ReaderAt
	size int    // of a page
	high uint64 // the first page that is not in use
	seen []uint64
	buf  []byte
	todo []subtree
}

// page checks one page with its overflow, and notes those that it leads to.
func (f *form) page(at subtree) error {
	id := at.id
	if id < 2 || id >= f.high {
		return fmt.Errorf("it is not between 2 and %d", f.high)
	}
	p := page(f.buf[:f.size])
	if _, err := f.r.ReadAt(p, int64(id)*int64(f.size)); err != nil {
		return err
	}
	last := id + uint64(p.overflow())
	if p.id() != id || last >= f.high {
		return fmt.Errorf("it says to be page %d, up to %d of %d", p.id(), last, f.high)
	}
	for i := id; i <= last; i++ {
		if f.seen[i/64]&(1<<(i%64)) != 0 {
			return errors.New("two others lead to it")
		}
		f.seen[i/64] |= 1 << (i % 64)
	}
	x := extent{page: p, r: f.r, at: int64(id) * int64(f.size), size: (int64(last-id) + 1) * int64(f.size)}
	if err := x.load(); err != nil {
		return err
	}
	return f.elements(x, at)
}

// elements checks what is in a page, or in the leaf of a bucket without one.
func (f *form) elements(p extent, at subtree) error {
	n := p.said()
	switch {
	case !p.isBranch() && !p.isLeaf():
		return errors.New("it is neither a branch nor a leaf")
	case n > p.count(), p.isBranch() && n == 0:
		return fmt.Errorf("it has %d elements in %d bytes", n, p.size)
	}
	var before []byte
	for i := range n {
		key, err := p.key(i)
		switch {
		case err != nil:
			return err
		case i == 0 && bytes.Compare(key, at.least) < 0, i > 0 && bytes.Compare(before, key) >= 0,
			at.lessThan != nil && bytes.Compare(key, at.lessThan) >= 0:
			return fmt.Errorf("element %d is not in order", i)
		}
		before = key
		if err := f.below(p, i, key, at); err != nil {
			return err
		}
	}
	return nil
}

// below notes the pages that an element leads to.
func (f *form) below(p extent, i int, key []byte, at subtree) error {
	if p.isBranch() {
		next := at.lessThan
		if i+1 < p.count() {
			k, err := p.key(i + 1)
			if err != nil {
				return err
			}
			next = bytes.Clone(k)
		}
		_, child := p.branch(i)
		f.todo = append(f.todo, subtree{child, bytes.Clone(key), next})
		return nil
	}
	value, err := p.bucket(i)
	if err != nil || value == nil {
		return err
	}
	if len(value) < bucketHeader {
		return fmt.Errorf("element %d is a bucket of %d bytes", i, len(value))
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		f.todo = append(f.todo, subtree{id: root})
		return nil
	}
	inline := page(value[bucketHeader:])
	if len(inline) < pageHeader || !inline.isLeaf() {
		return fmt.Errorf("element %d is a bucket with neither a page nor a leaf", i)
	}
	if err := f.elements(extent{page: inline, size: int64(len(inline))}, subtree{}); err != nil {
		return fmt.Errorf("the leaf of element %d: %w", i, err)
	}
	return nil
}

// checkFormOf checks the form of a file that nobody has open. Where somebody has
// it changes, and it is theirs to look at.
func checkFormOf(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return notUsable("open the store", err)
	}
	defer func() { _ = f.Close() }() // and gives the lock back
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return nil // whoever has the lock has it open
	}
	h, err := inspect(path) // again: nobody changes it now
	if err != nil {
		return err
	}
	err = checkForm(f, h.page, h.root, h.high)
	var system syscall.Errno
	switch {
	case errors.As(err, &system):
		return notUsable("read "+path, err)
	case err != nil:
		return store.Errorf(store.Precondition, "%s is damaged: %w; restore a backup", path, err)
	}
	return nil
}
