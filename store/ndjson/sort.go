package ndjson

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter sorts records by their keys in bounded memory: it collects them until
// its memory is full, sorts and writes what it has as one run to a temporary
// file, and merges the runs when they are read. Keys must differ from each
// other; a record of which they might not ends its key with something unique,
// such as its line.
//
// The file has no name: it is gone with the process, however that ends.
type sorter struct {
	dir   string
	limit int // bytes of memory for records, or for reading them back

	chunks [][]byte // reused after a run was written
	used   int      // chunks that hold records; the last of them has room
	held   int      // bytes in use
	refs   []ref

	file   *os.File
	size   int64
	runs   []run
	sealed bool
	// free is freeSpace but in tests.
	free func(*os.File) (int64, error)
}

// ref is a record in memory.
type ref struct {
	prefix     uint64 // the first bytes of the key, so that most comparisons end here
	chunk      uint32
	off        uint32
	klen, vlen uint32
}

const refSize = 24

// run is a sorted part of the file.
type run struct{ off, len int64 }

// newSorter returns a sorter that uses about limit bytes and keeps its file in
// dir, "" for the system's.
func newSorter(dir string, limit int64) *sorter {
	return &sorter{dir: dir, limit: int(max(limit, 4<<10)), free: freeSpace}
}

// chunkSize is how much memory is allocated at a time.
func (s *sorter) chunkSize() int { return min(max(s.limit/16, 1<<10), 256<<10) }

// add takes a copy of a record.
func (s *sorter) add(key, value []byte) error {
	n := len(key) + len(value)
	if s.held > 0 && s.held+n+refSize > s.limit {
		if err := s.spill(); err != nil {
			return err
		}
	}
	b := s.room(n)
	off := len(*b)
	*b = append(append(*b, key...), value...)
	s.refs = append(s.refs, ref{prefix(key), uint32(s.used - 1), uint32(off), uint32(len(key)), uint32(len(value))})
	s.held += n + refSize
	return nil
}

// room returns a chunk with n bytes to spare.
func (s *sorter) room(n int) *[]byte {
	if s.used > 0 {
		if b := &s.chunks[s.used-1]; cap(*b)-len(*b) >= n {
			return b
		}
	}
	if s.used < len(s.chunks) && cap(s.chunks[s.used]) < n {
		s.chunks[s.used] = make([]byte, 0, n)
	}
	if s.used == len(s.chunks) {
		s.chunks = append(s.chunks, make([]byte, 0, max(n, s.chunkSize())))
	}
	s.used++
	return &s.chunks[s.used-1]
}

// prefix returns the first bytes of a key as a number of the same order.
func prefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// key and value return the parts of a record in memory.
func (s *sorter) key(r *ref) []byte { return s.chunks[r.chunk][r.off : r.off+r.klen] }

func (s *sorter) value(r *ref) []byte {
	return s.chunks[r.chunk][r.off+r.klen : r.off+r.klen+r.vlen]
}

// sortHeld sorts the records in memory.
func (s *sorter) sortHeld() {
	slices.SortFunc(s.refs, func(a, b ref) int {
		if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		return bytes.Compare(s.key(&a), s.key(&b))
	})
}

// spill writes the records in memory as one run.
func (s *sorter) spill() error {
	s.sortHeld()
	w, err := s.newRun(s.limit)
	if err != nil {
		return err
	}
	for i := range s.refs {
		r := &s.refs[i]
		if err := w.write(s.key(r), s.value(r)); err != nil {
			return err
		}
	}
	if err := w.end(); err != nil {
		return err
	}
	for i := range s.chunks {
		if cap(s.chunks[i]) > s.chunkSize() {
			s.chunks[i] = make([]byte, 0, s.chunkSize())
		}
		s.chunks[i] = s.chunks[i][:0]
	}
	s.used, s.held, s.refs = 0, 0, s.refs[:0]
	return nil
}

// seal ends adding. When a part of the records is in the file already, the
// rest goes there too and the memory is given back.
func (s *sorter) seal() error {
	s.sealed = true
	if len(s.runs) == 0 {
		s.sortHeld()
		return nil
	}
	if len(s.refs) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.chunks, s.refs = nil, nil
	return s.reduce()
}

// fanIn is how many runs are merged at a time.
func (s *sorter) fanIn() int { return max(s.limit/(16<<10), 2) }

// reduce merges runs until one merge can read all that are left. What was
// merged goes to the end of the queue, so that records are copied as seldom as
// possible.
func (s *sorter) reduce() error {
	for len(s.runs) > s.fanIn() {
		n := min(s.fanIn(), len(s.runs)-s.fanIn()+1)
		it, err := s.merge(s.runs[:n])
		if err != nil {
			return err
		}
		w, err := s.newRun(64 << 10)
		if err != nil {
			return err
		}
		for it.next() {
			if err := w.write(it.key, it.value); err != nil {
				return err
			}
		}
		if it.err != nil {
			return it.err
		}
		s.runs = s.runs[n:]
		if err := w.end(); err != nil {
			return err
		}
	}
	return nil
}

// tempFile returns a file without a name in dir, "" for the system's. Where the
// file system cannot make one, it has a name for an instant.
func tempFile(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	if f, err := os.OpenFile(dir, os.O_RDWR|unnamed, 0o600); err == nil {
		return f, nil
	}
	f, err := os.CreateTemp(dir, "purger-import-*")
	if err != nil {
		return nil, fmt.Errorf("create temporary file for sorting: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("remove name of temporary file: %w", err), f.Close())
	}
	return f, nil
}

// runWriter appends one run to the file.
type runWriter struct {
	s   *sorter
	w   *bufio.Writer
	len int64
}

// newRun begins a run, creating the file for the first.
func (s *sorter) newRun(limit int) (*runWriter, error) {
	if s.file == nil {
		f, err := tempFile(s.dir)
		if err != nil {
			return nil, err
		}
		s.file = f
	}
	at := sparing{s, io.NewOffsetWriter(s.file, s.size)}
	return &runWriter{s: s, w: bufio.NewWriterSize(at, min(max(limit/16, 4<<10), 64<<10))}, nil
}

// write appends one record.
func (w *runWriter) write(key, value []byte) error {
	var b [2 * binary.MaxVarintLen32]byte
	head := binary.AppendUvarint(binary.AppendUvarint(b[:0], uint64(len(key))), uint64(len(value)))
	w.len += int64(len(head) + len(key) + len(value))
	for _, p := range [][]byte{head, key, value} {
		if _, err := w.w.Write(p); err != nil {
			return fmt.Errorf("write temporary file for sorting: %w", err)
		}
	}
	return nil
}

// end makes the run known to the sorter.
func (w *runWriter) end() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("write temporary file for sorting: %w", err)
	}
	w.s.runs = append(w.s.runs, run{w.s.size, w.len})
	w.s.size += w.len
	return nil
}

// close gives everything back. Closing again does nothing.
func (s *sorter) close() error {
	s.chunks, s.refs, s.runs = nil, nil, nil
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
