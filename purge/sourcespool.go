package purge

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Sizes in bytes. A spool takes spoolRun and its bookkeeping while it is filled,
// and spoolRead for each run while it is read: 10 million tenants of 100 bytes
// are 60 runs.
const (
	spoolRun  = 16 << 20
	spoolRead = 64 << 10
	// spoolRecord is the largest size of a record: ids, names and a reason.
	spoolRecord = 64 << 10
)

// spooled is a record of a spool.
type spooled struct {
	row    int64 // its place in the snapshot, from 1; 0 for none
	step   syncStep
	danger bool // it is what a person may have to accept
	t      SourceTenant
	bad    string // why the row was not understood
	// parents are those in other rows of the same tenant. They are not written.
	parents []string
}

// spool is a temporary file of records, which are read in the order of their ids,
// those of one id in the order in which they were added. The file has no name,
// and goes with the process.
type spool struct {
	f       *os.File
	w       *bufio.Writer
	written int64
	runs    [][2]int64 // offset and size of each, sorted within
	buf     []byte
	places  []spoolPlace // records in buf
	n       int64
}

// spoolPlace is where a record that begins with the id is in the buffer.
type spoolPlace struct{ from, id, to int }

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "purger-sync-*")
	if err != nil {
		return nil, store.Errorf(store.Unavailable, "create a temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(store.Errorf(store.Unavailable, "remove the name of a temporary file: %w", err), f.Close())
	}
	return &spool{f: f, w: bufio.NewWriterSize(f, spoolRead)}, nil
}

func (s *spool) close() { _ = s.f.Close() }

// add adds a record.
func (s *spool) add(r *spooled) error {
	from := len(s.buf)
	s.buf = append(s.buf, r.t.ID...)
	id := len(s.buf)
	s.buf = r.encode(s.buf)
	if len(s.buf)-from > spoolRecord {
		return store.Errorf(store.Internal, "a record of a sync is %d bytes long", len(s.buf)-from)
	}
	s.places = append(s.places, spoolPlace{from, id, len(s.buf)})
	s.n++
	if len(s.buf) < spoolRun {
		return nil
	}
	return s.flush()
}

// flush writes what is in memory as one sorted run.
func (s *spool) flush() error {
	if len(s.places) == 0 {
		return nil
	}
	slices.SortStableFunc(s.places, func(a, b spoolPlace) int {
		return bytes.Compare(s.buf[a.from:a.id], s.buf[b.from:b.id])
	})
	began := s.written
	for _, p := range s.places {
		head := binary.AppendUvarint(nil, uint64(p.to-p.from))
		head = binary.AppendUvarint(head, uint64(p.id-p.from))
		for _, b := range [][]byte{head, s.buf[p.from:p.to]} {
			if _, err := s.w.Write(b); err != nil {
				return store.Errorf(store.Unavailable, "write a temporary file: %w", err)
			}
			s.written += int64(len(b))
		}
	}
	s.runs = append(s.runs, [2]int64{began, s.written - began})
	s.buf, s.places = s.buf[:0], s.places[:0]
	return nil
}

// each calls fn for every record in order. It may be called more than once, also
// within fn, but nothing may be added after the first call.
func (s *spool) each(fn func(*spooled) error) error {
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.w.Flush(); err != nil {
		return store.Errorf(store.Unavailable, "write a temporary file: %w", err)
	}
	s.buf, s.places = nil, nil
	var h spoolHeap
	for i, r := range s.runs {
		run := &spoolReader{r: bufio.NewReaderSize(io.NewSectionReader(s.f, r[0], r[1]), spoolRead), order: i}
		if err := run.next(); err != nil {
			return err
		}
		h = append(h, run)
	}
	heap.Init(&h)
	for len(h) > 0 {
		run := h[0]
		rec, err := decodeSpooled(run.id, run.body)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
		switch err := run.next(); {
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		case err != nil:
			return err
		default:
			heap.Fix(&h, 0)
		}
	}
	return nil
}

// eachID is each that also calls end with each id, behind the last record of it.
func (s *spool) eachID(fn func(*spooled) error, end func(id string) error) error {
	var last *spooled
	err := s.each(func(r *spooled) error {
		if last != nil && last.t.ID != r.t.ID {
			if err := end(last.t.ID); err != nil {
				return err
			}
		}
		last = r
		return fn(r)
	})
	if err != nil || last == nil {
		return err
	}
	return end(last.t.ID)
}

// spoolReader reads one run.
type spoolReader struct {
	r     *bufio.Reader
	order int
	buf   []byte
	id    string
	body  []byte
}

// next reads a record. It returns io.EOF behind the last one.
func (r *spoolReader) next() error {
	size, err := binary.ReadUvarint(r.r)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	n, err2 := binary.ReadUvarint(r.r)
	if err := errors.Join(err, err2); err != nil || size > spoolRecord || n > size {
		return store.Errorf(store.Unavailable, "read a temporary file: record of %d and %d bytes: %w", size, n, err)
	}
	r.buf = slices.Grow(r.buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return store.Errorf(store.Unavailable, "read a temporary file: %w", err)
	}
	r.id, r.body = string(r.buf[:n]), r.buf[n:]
	return nil
}

// spoolHeap orders runs by their next record. Of one id that of the earlier run
// was added first.
type spoolHeap []*spoolReader

func (h spoolHeap) Len() int      { return len(h) }
func (h spoolHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h spoolHeap) Push(any)      {} // nothing is ever pushed
func (h spoolHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].id, h[j].id), cmp.Compare(h[i].order, h[j].order)) < 0
}

func (h *spoolHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// Which optional parts a record has.
const (
	spoolName = 1 << iota
	spoolHostname
	spoolDanger
)

// encode appends everything but the id.
func (r *spooled) encode(b []byte) []byte {
	var set byte
	if r.t.Name != nil {
		set |= spoolName
	}
	if r.t.Hostname != nil {
		set |= spoolHostname
	}
	if r.danger {
		set |= spoolDanger
	}
	b = append(b, set, byte(r.step))
	b = binary.AppendVarint(b, r.row)
	b = binary.AppendVarint(b, int64(r.t.PurgeAfterDays))
	b = binary.AppendVarint(b, instant(r.t.DisabledAt))
	b = binary.AppendVarint(b, instant(r.t.PurgeAt))
	texts := []string{r.t.ParentID, string(r.t.Status), r.bad}
	if r.t.Name != nil {
		texts = append(texts, *r.t.Name)
	}
	if r.t.Hostname != nil {
		texts = append(texts, *r.t.Hostname)
	}
	for _, s := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// decodeSpooled is the inverse of encode.
func decodeSpooled(id string, b []byte) (*spooled, error) {
	d := spoolDecoder{b: b}
	set, step := d.byte(), d.byte()
	r := &spooled{step: syncStep(step), danger: set&spoolDanger != 0, t: SourceTenant{ID: id}}
	r.row = d.varint()
	r.t.PurgeAfterDays = int(d.varint())
	r.t.DisabledAt, r.t.PurgeAt = fromInstant(d.varint()), fromInstant(d.varint())
	r.t.ParentID, r.t.Status, r.bad = d.text(), store.Status(d.text()), d.text()
	if set&spoolName != 0 {
		s := d.text()
		r.t.Name = &s
	}
	if set&spoolHostname != 0 {
		s := d.text()
		r.t.Hostname = &s
	}
	if d.short {
		return nil, store.Errorf(store.Unavailable, "read a temporary file: a record is too short")
	}
	return r, nil
}

// instant returns Unix milliseconds, and the smallest number for a zero time.
func instant(t time.Time) int64 {
	if t.IsZero() {
		return noInstant
	}
	return t.UnixMilli()
}

const noInstant = -1 << 63

func fromInstant(ms int64) time.Time {
	if ms == noInstant {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// spoolDecoder reads what encode wrote.
type spoolDecoder struct {
	b     []byte
	short bool
}

func (d *spoolDecoder) take(n int) []byte {
	if d.short || n < 0 || n > len(d.b) {
		d.short = true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *spoolDecoder) byte() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (d *spoolDecoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if d.take(max(n, -1)); n <= 0 {
		d.short = true
	}
	return v
}

func (d *spoolDecoder) text() string {
	v, n := binary.Uvarint(d.b)
	if d.take(max(n, -1)); n <= 0 || v > uint64(len(d.b)) {
		d.short = true
		return ""
	}
	return string(d.take(int(v)))
}
