package ndjson

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// records is a pass over sorted records.
//
//	for r.next() { use r.key, r.value }
//	return r.err
type records struct {
	key, value []byte // valid until next
	err        error

	s    *sorter
	held int         // of the records in memory, the next one
	heap []*runInput // of the runs, the one with the smallest key first
	read bool        // the first of heap was returned
}

// sorted begins a pass over the records in the order of their keys. A sealed
// sorter can be read any number of times.
func (s *sorter) sorted() (*records, error) {
	if !s.sealed {
		if err := s.seal(); err != nil {
			return nil, err
		}
	}
	return s.merge(s.runs)
}

// merge begins a pass over some runs, or over memory when there is none.
func (s *sorter) merge(runs []run) (*records, error) {
	it := &records{s: s}
	for _, r := range runs {
		size := min(max(s.limit/len(runs), 4<<10), 256<<10)
		in := &runInput{r: bufio.NewReaderSize(io.NewSectionReader(s.file, r.off, r.len), size)}
		if !in.next() {
			return nil, in.err
		}
		it.heap = append(it.heap, in)
	}
	for i := len(it.heap)/2 - 1; i >= 0; i-- {
		it.sink(i)
	}
	return it, nil
}

// next moves to the next record.
func (it *records) next() bool {
	if it.err != nil {
		return false
	}
	if len(it.s.runs) == 0 {
		if it.held == len(it.s.refs) {
			return false
		}
		r := &it.s.refs[it.held]
		it.key, it.value = it.s.key(r), it.s.value(r)
		it.held++
		return true
	}
	if it.read && !it.advance() {
		return false
	}
	if len(it.heap) == 0 {
		return false
	}
	it.read = true
	it.key, it.value = it.heap[0].key, it.heap[0].value
	return true
}

// advance replaces the record that was returned by the next one of its run.
func (it *records) advance() bool {
	top := it.heap[0]
	if !top.next() {
		if top.err != nil {
			it.err = top.err
			return false
		}
		last := len(it.heap) - 1
		it.heap[0] = it.heap[last]
		it.heap = it.heap[:last]
		it.read = false
		if last == 0 {
			return true
		}
	}
	it.sink(0)
	return true
}

// sink restores the order of the heap below i.
func (it *records) sink(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(it.heap); c++ {
			if it.heap[c].before(it.heap[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		it.heap[i], it.heap[least] = it.heap[least], it.heap[i]
		i = least
	}
}

// runInput reads one run.
type runInput struct {
	r          *bufio.Reader
	buf        []byte
	key, value []byte
	prefix     uint64
	err        error
}

// before orders inputs by their present records.
func (in *runInput) before(o *runInput) bool {
	if in.prefix != o.prefix {
		return in.prefix < o.prefix
	}
	return bytes.Compare(in.key, o.key) < 0
}

// next reads the next record; false with a nil err is the end of the run.
func (in *runInput) next() bool {
	klen, err := binary.ReadUvarint(in.r)
	if errors.Is(err, io.EOF) {
		return false
	}
	if err != nil {
		return in.fail(err)
	}
	vlen, err := binary.ReadUvarint(in.r)
	if err != nil {
		return in.fail(err)
	}
	if klen > maxLine || vlen > 2*maxLine {
		return in.fail(errors.New("damaged"))
	}
	n := int(klen + vlen)
	if cap(in.buf) < n {
		in.buf = make([]byte, n+n/4)
	}
	if _, err := io.ReadFull(in.r, in.buf[:n]); err != nil {
		return in.fail(err)
	}
	in.key, in.value, in.prefix = in.buf[:klen], in.buf[klen:n], prefix(in.buf[:klen])
	return true
}

// fail ends the run with an error.
func (in *runInput) fail(err error) bool {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	in.err = fmt.Errorf("read temporary file for sorting: %w", err)
	return false
}
