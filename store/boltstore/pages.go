package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// How pages are read: in runs of up to runBytes, across gaps of up to gapPages,
// which take less time than another read, readers runs at a time.
const (
	runBytes = 256 << 10
	gapPages = 4
	readers  = 8
	// maxLevels and maxPageBytes bound what is followed in pages that were
	// overwritten while they were read. A page may be longer than that.
	maxLevels    = 24
	maxPageBytes = 64 << 20
)

// pageReader reads pages of the store's file into the page cache. bbolt's own
// way, the memory map, faults them in one by one, and each fault keeps a
// processor of the Go scheduler, not only a goroutine.
//
// It needs no transaction, so that it may be slow; then what it reads may be
// overwritten meanwhile. It is for reading ahead, never for an answer.
type pageReader struct {
	f    io.ReaderAt
	size int // of a page, in bytes
	bufs sync.Pool
	// seen is called with every page that was read; for tests.
	seen func(id uint64)

	mu   sync.Mutex
	read int64 // bytes
}

// page is one page with its overflow. The format is that of bbolt's
// internal/common/page.go: a header of id, flags, count and overflow, then an
// element of 16 bytes for each key, in the byte order of the machine.
type page []byte

const (
	pageHeader  = 16
	pageElement = 16
	flagBranch  = 0x01
	flagLeaf    = 0x02
)

func (p page) id() uint64     { return binary.NativeEndian.Uint64(p) }
func (p page) isBranch() bool { return binary.NativeEndian.Uint16(p[8:]) == flagBranch }
func (p page) isLeaf() bool   { return binary.NativeEndian.Uint16(p[8:]) == flagLeaf }
func (p page) overflow() int  { return int(binary.NativeEndian.Uint32(p[12:])) }

// count returns how many elements there are.
func (p page) count() int {
	n := int(binary.NativeEndian.Uint16(p[10:]))
	return min(n, (len(p)-pageHeader)/pageElement)
}

// branch returns the i-th key of a branch and the page that it leads to.
func (p page) branch(i int) (key []byte, child uint64) {
	at := pageHeader + i*pageElement
	e := p[at:]
	pos, n := int(binary.NativeEndian.Uint32(e)), int(binary.NativeEndian.Uint32(e[4:]))
	return cut(e, pos, n), binary.NativeEndian.Uint64(e[8:])
}

// leaf returns the i-th key of a leaf and its value.
func (p page) leaf(i int) (key, value []byte) {
	e := p[pageHeader+i*pageElement:]
	pos := int(binary.NativeEndian.Uint32(e[4:]))
	n, m := int(binary.NativeEndian.Uint32(e[8:])), int(binary.NativeEndian.Uint32(e[12:]))
	return cut(e, pos, n), cut(e, pos+n, m)
}

// cut returns n bytes of b from an offset, or nil.
func cut(b []byte, from, n int) []byte {
	if from < 0 || n < 0 || from > len(b) || n > len(b)-from {
		return nil
	}
	return b[from : from+n]
}

// get returns the value of a key of a leaf; nil when there is none.
func (p page) get(key []byte) []byte {
	lo, hi := 0, p.count()
	for lo < hi {
		mid := (lo + hi) / 2
		if k, _ := p.leaf(mid); bytes.Compare(k, key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < p.count() {
		if k, v := p.leaf(lo); bytes.Equal(k, key) {
			return v
		}
	}
	return nil
}

// walk reads all pages below some, level by level, and shows the leaves, one at
// a time. A leaf is valid only during the call.
func (r *pageReader) walk(ctx context.Context, from []uint64, leaf func(page)) error {
	level := from
	for i := 0; i < maxLevels && len(level) > 0; i++ {
		var below []uint64
		err := r.pages(ctx, level, func(p page) {
			if p.isLeaf() {
				leaf(p)
				return
			}
			for i := range p.count() {
				_, child := p.branch(i)
				below = append(below, child)
			}
		})
		if err != nil {
			return err
		}
		level = below
	}
	return nil
}

// span is the keys, of a sorted list, that are searched for below a page.
type span struct{ lo, hi int }

// search reads the pages on the way from root to each of the sorted keys, and
// shows the leaves where the keys are or would be, one at a time.
func (r *pageReader) search(ctx context.Context, root uint64, keys [][]byte, leaf func(p page, keys [][]byte)) error {
	if root == 0 || len(keys) == 0 {
		return nil
	}
	level := map[uint64]span{root: {0, len(keys)}}
	for range maxLevels {
		below := map[uint64]span{}
		ids := make([]uint64, 0, len(level))
		for id := range level {
			ids = append(ids, id)
		}
		err := r.pages(ctx, ids, func(p page) {
			s := level[p.id()]
			if p.isLeaf() {
				leaf(p, keys[s.lo:s.hi])
				return
			}
			lo := s.lo
			for i := 0; i < p.count() && lo < s.hi; i++ {
				_, child := p.branch(i)
				hi := s.hi
				if i+1 < p.count() {
					next, _ := p.branch(i + 1)
					n, _ := slices.BinarySearchFunc(keys[lo:s.hi], next, bytes.Compare)
					hi = lo + n
				}
				if hi > lo {
					below[child] = span{lo, hi}
				}
				lo = hi
			}
		})
		if err != nil || len(below) == 0 {
			return err
		}
		level = below
	}
	return nil
}

// pages reads pages in the order of their places in the file, neighbours
// together, and shows those that are what they should be, one at a time.
func (r *pageReader) pages(ctx context.Context, ids []uint64, visit func(page)) error {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	perRun := uint64(max(runBytes/r.size, 1))
	var runs [][]uint64
	for i := 0; i < len(ids); {
		j := i + 1
		for j < len(ids) && ids[j]-ids[j-1] <= gapPages && ids[j]-ids[i] < perRun {
			j++
		}
		runs = append(runs, ids[i:j])
		i = j
	}
	if len(runs) == 1 {
		return r.run(ctx, runs[0], visit)
	}
	var g errgroup.Group
	g.SetLimit(readers)
	for _, run := range runs {
		g.Go(func() error { return r.run(ctx, run, visit) })
	}
	return g.Wait()
}

// run reads neighbouring pages at once.
func (r *pageReader) run(ctx context.Context, ids []uint64, visit func(page)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, ok := r.bufs.Get().(*[]byte)
	if !ok {
		buf := make([]byte, max(runBytes, r.size))
		b = &buf
	}
	defer r.bufs.Put(b)
	first, last := ids[0], ids[len(ids)-1]
	buf, err := r.readAt((*b)[:int(last-first+1)*r.size], first)
	if err != nil {
		return err
	}
	for _, id := range ids {
		p := page(buf[min(int(id-first)*r.size, len(buf)):])
		if len(p) < pageHeader || p.id() != id || !p.isBranch() && !p.isLeaf() {
			continue
		}
		whole := (p.overflow() + 1) * r.size
		switch {
		case whole > maxPageBytes:
			continue
		case whole > len(p):
			if p, err = r.readAt(make([]byte, whole), id); err != nil {
				return err
			}
			if len(p) < whole {
				continue
			}
		}
		r.show(p[:whole], id, visit)
	}
	return nil
}

// show calls visit, one call at a time.
func (r *pageReader) show(p page, id uint64, visit func(page)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen != nil {
		for i := range uint64(p.overflow() + 1) {
			r.seen(id + i)
		}
	}
	visit(p)
}

// readAt fills b from a page on, as far as the file goes.
func (r *pageReader) readAt(b []byte, id uint64) ([]byte, error) {
	n, err := r.f.ReadAt(b, int64(id)*int64(r.size))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read += int64(n)
	return b[:n], err
}
