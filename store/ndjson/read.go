package ndjson

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tenantpurge/purger/store"
)

// maxLine is the largest length of a line, in bytes, without its end.
const maxLine = 1 << 20

// lines splits an input.
type lines struct {
	r *bufio.Reader
	n int64 // of the last line
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, maxLine+1)} }

// next returns the next line without its end, io.EOF after the last. Of a line
// that is too long, what is returned is of no use.
func (l *lines) next() (line []byte, tooLong bool, err error) {
	line, err = l.r.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, false, io.EOF
	}
	l.n++
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = l.r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("read line %d: %w", l.n, err)
	}
	return bytes.TrimSuffix(line, []byte{'\n'}), tooLong, nil
}

// read takes in the whole input.
func (im *importing) read(ctx context.Context) error {
	in := newLines(im.o.Input)
	im.meter.begin(StageRead, 0)
	for {
		text, tooLong, err := in.next()
		if errors.Is(err, io.EOF) {
			im.sum.Lines = in.n
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if tooLong {
			im.refuse(in.n, "", store.Errorf(store.Invalid, "longer than %d bytes", maxLine))
		} else if err := im.readLine(in.n, text); err != nil {
			return err
		}
		if err := im.meter.tick(ctx); err != nil {
			return err
		}
	}
}

// readLine takes in one line.
func (im *importing) readLine(line int64, text []byte) error {
	d := im.dec
	errs := d.line(text)
	for _, e := range errs {
		im.refuse(line, d.recordID(), e)
	}
	switch {
	case d.isTenant && len(errs) == 0:
		im.rows++
		im.key = tenantKey(im.key[:0], d.id, line)
		im.value = appendTenant(append(im.value[:0], 1), &d.tenant)
		return im.tenants.add(im.key, im.value)
	case d.isTenant && d.recordID() != "": // what refers to it is not at fault
		return im.tenants.add(tenantKey(nil, d.id, line), []byte{0})
	case len(errs) == 0:
		im.rows++
		im.key = resourceKey(im.key[:0], d.tenantID, d.kind, d.id, line)
		return im.resources.add(im.key, d.data)
	}
	return nil
}

// tenantKey is the id, a zero byte, which no id has, and the line.
func tenantKey(b []byte, id string, line int64) []byte {
	b = append(append(b, id...), 0)
	return binary.BigEndian.AppendUint64(b, uint64(line))
}

// tenantRecord is an entry of importing.tenants: the first one of its id.
type tenantRecord struct {
	id      []byte
	line    int64
	broken  bool   // refused when it was read: only id and line are known
	encoded []byte // of a sound one
}

// tenantPass goes over the tenants in the order of their ids, leaving out
// those whose id was there before.
type tenantPass struct {
	*records
	number    int // of the present one, from 0
	present   tenantRecord
	id        []byte
	duplicate func(line int64, of *tenantRecord) // may be nil
}

// eachTenant begins a pass.
func (im *importing) eachTenant() (*tenantPass, error) {
	r, err := im.tenants.sorted()
	return &tenantPass{records: r, number: -1}, err
}

// next moves to the next tenant.
func (p *tenantPass) next() bool {
	for p.records.next() {
		end := len(p.key) - 9
		id, line := p.key[:end], int64(binary.BigEndian.Uint64(p.key[end+1:]))
		if p.number >= 0 && bytes.Equal(id, p.id) {
			if p.duplicate != nil {
				p.duplicate(line, &p.present)
			}
			continue
		}
		p.id = append(p.id[:0], id...)
		p.number++
		p.present = tenantRecord{id: p.id, line: line, broken: p.value[0] == 0, encoded: p.value[1:]}
		return true
	}
	return false
}

// resourceKey is the tenant, a zero byte, the kind, the id, a zero byte and the
// line.
func resourceKey(b []byte, tenantID string, k store.Kind, id string, line int64) []byte {
	b = append(append(b, tenantID...), 0, kindRank(k))
	b = append(append(b, id...), 0)
	return binary.BigEndian.AppendUint64(b, uint64(line))
}

// splitResourceKey is the inverse of resourceKey.
func splitResourceKey(key []byte) (tenantID []byte, k store.Kind, id []byte, line int64) {
	i, end := bytes.IndexByte(key, 0), len(key)-9
	return key[:i], store.Kinds()[key[i+1]-1], key[i+2 : end], int64(binary.BigEndian.Uint64(key[end+1:]))
}

// kindRank is the place of a kind in the order of removal, from 1.
func kindRank(k store.Kind) byte {
	for i, v := range store.Kinds() {
		if k == v {
			return byte(i + 1)
		}
	}
	return 0
}
