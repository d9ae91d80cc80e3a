package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// segment is one range of a tree's resources.
type segment struct {
	num   uint32
	first []byte // the smallest key it may hold; nil for segment 0
	rows  uint64
	bytes uint64
	b     *bolt.Bucket
	dirty bool
}

func (s *segment) key() []byte { return append([]byte{keySegment}, s.first...) }

func (s *segment) value() []byte {
	b := binary.AppendUvarint(nil, uint64(s.num))
	return binary.AppendUvarint(binary.AppendUvarint(b, s.rows), s.bytes)
}

// resourceKey orders a tree's resources as a purge removes them: by kind, then
// deepest tenant first, then tenant, then id.
func resourceKey(k store.Kind, depth uint16, ord uint32, id string) []byte {
	b := make([]byte, 0, 8+len(id))
	b = append(b, keyResource, kindCode(k))
	b = binary.BigEndian.AppendUint16(b, ^depth)
	b = binary.BigEndian.AppendUint32(b, ord)
	return append(b, id...)
}

// resourceHead is the length of resourceKey without the id.
const resourceHead = 8

// splitResourceKey returns kind, ordinal and id.
func splitResourceKey(k []byte) (kind store.Kind, ord uint32, id []byte, ok bool) {
	if len(k) <= resourceHead || k[0] != keyResource || int(k[1]) >= len(store.Kinds()) {
		return "", 0, nil, false
	}
	return store.Kinds()[k[1]], binary.BigEndian.Uint32(k[4:]), k[resourceHead:], true
}

// kindCode numbers the kinds in the order of removal.
func kindCode(k store.Kind) byte { return byte(slices.Index(store.Kinds(), k)) }

// keyAfter returns the smallest key greater than all that begin with prefix.
func keyAfter(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// allResources is the range of every resource of a tree.
func allResources() (lo, hi []byte) { return []byte{keyResource}, []byte{keyResource + 1} }

// segments returns the directory of the tree's segments, segment 0 first.
func (t *tree) segments() ([]segment, error) {
	if t.loaded {
		return t.segs, nil
	}
	t.segs = append(t.segs[:0], segment{num: 0, b: t.b})
	c := t.b.Cursor()
	for k, v := c.Seek([]byte{keySegment}); len(k) > 0 && k[0] == keySegment; k, v = c.Next() {
		d := decoder{b: v}
		s := segment{num: uint32(d.uvarint()), rows: d.uvarint(), bytes: d.uvarint(), first: slices.Clone(k[1:])}
		if d.err == nil {
			s.b = t.trees.Bucket(segmentName(t.num, s.num))
		}
		if s.b == nil {
			return nil, store.Errorf(store.Internal, "segment %d of tree %d is missing", s.num, t.num)
		}
		t.segs = append(t.segs, s)
	}
	t.loaded = true
	return t.segs, nil
}

// locate returns the segment whose range holds the key.
func (t *tree) locate(key []byte) (*segment, error) {
	segs, err := t.segments()
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(segs[1:], key, func(s segment, k []byte) int { return bytes.Compare(s.first, k) })
	if found {
		i++
	}
	return &segs[i], nil
}

// resize counts rows and bytes that came or went.
func (t *tree) resize(s *segment, rows, size int64) {
	if s.num == 0 {
		t.header.rows += uint64(rows)
		t.header.bytes += uint64(size)
		t.dirty = true
		return
	}
	s.rows += uint64(rows)
	s.bytes += uint64(size)
	s.dirty = true
}

// full reports whether the segment takes no more.
func (t *tree) full(s *segment) bool {
	if s.num == 0 {
		return t.header.rows >= segmentRows || t.header.bytes >= segmentBytes
	}
	return s.rows >= segmentRows || s.bytes >= segmentBytes
}

// resource reads the data of one resource; nil when there is none.
func (t *tree) resource(key []byte) ([]byte, error) {
	s, err := t.locate(key)
	if err != nil {
		return nil, err
	}
	return s.b.Get(key), nil
}

// putResource adds or replaces one resource and reports whether it is new.
func (t *tree) putResource(key, data []byte) (bool, error) {
	s, err := t.locate(key)
	if err != nil {
		return false, err
	}
	old := s.b.Get(key)
	if old == nil && t.full(s) {
		if s, err = t.split(s, key); err != nil {
			return false, err
		}
	}
	if t.fill > 0 {
		s.b.FillPercent = t.fill
	}
	size := int64(len(data))
	if old != nil {
		t.resize(s, 0, size-int64(len(old)))
	} else {
		t.resize(s, 1, size+int64(len(key)))
	}
	if err := s.b.Put(key, data); err != nil {
		return false, fmt.Errorf("write resource: %w", err)
	}
	return old == nil, nil
}

// split makes room for a key in a full segment and returns the segment that
// takes it. A key beyond the last one begins a new segment, which is how an
// import fills them; else the upper half moves.
func (t *tree) split(s *segment, key []byte) (*segment, error) {
	c := s.b.Cursor()
	_, hi := allResources()
	last, _ := c.Seek(hi)
	if last == nil {
		last, _ = c.Last()
	} else {
		last, _ = c.Prev()
	}
	if bytes.Compare(key, last) > 0 {
		return t.addSegment(key)
	}
	rows := s.rows
	if s.num == 0 {
		rows = t.header.rows
	}
	lo, _ := allResources()
	k, v := c.Seek(lo)
	for range rows / 2 {
		k, v = c.Next()
	}
	type pair struct{ k, v []byte }
	var upper []pair
	var size int64
	for ; len(k) > 0 && k[0] == keyResource; k, v = c.Next() {
		upper = append(upper, pair{slices.Clone(k), slices.Clone(v)})
		size += int64(len(k) + len(v))
	}
	if len(upper) == 0 {
		return s, nil
	}
	from := s.num
	to, err := t.addSegment(upper[0].k)
	if err != nil {
		return nil, err
	}
	to.b.FillPercent = 0.9
	for _, p := range upper {
		if err := to.b.Put(p.k, p.v); err != nil {
			return nil, fmt.Errorf("split segment %d: %w", from, err)
		}
	}
	t.resize(to, int64(len(upper)), size)
	i := slices.IndexFunc(t.segs, func(s segment) bool { return s.num == from })
	src := &t.segs[i]
	for _, p := range upper {
		if err := src.b.Delete(p.k); err != nil {
			return nil, fmt.Errorf("split segment %d: %w", from, err)
		}
	}
	t.resize(src, -int64(len(upper)), -size)
	return t.locate(key)
}

// addSegment makes an empty segment that begins at a key.
func (t *tree) addSegment(first []byte) (*segment, error) {
	num := t.header.nextSeg
	t.header.nextSeg++
	t.dirty = true
	b, err := t.trees.CreateBucket(segmentName(t.num, num))
	if err != nil {
		return nil, fmt.Errorf("create segment %d of tree %d: %w", num, t.num, err)
	}
	s := segment{num: num, first: slices.Clone(first), b: b, dirty: true}
	i, _ := slices.BinarySearchFunc(t.segs[1:], first, func(s segment, k []byte) int { return bytes.Compare(s.first, k) })
	t.segs = slices.Insert(t.segs, i+1, s)
	return &t.segs[i+1], nil
}

// dropSegment removes the i-th segment, which is not segment 0, as a whole.
func (t *tree) dropSegment(i int) error {
	s := &t.segs[i]
	if err := t.b.Delete(s.key()); err != nil {
		return fmt.Errorf("drop segment %d: %w", s.num, err)
	}
	if err := t.trees.DeleteBucket(segmentName(t.num, s.num)); err != nil {
		return fmt.Errorf("drop segment %d of tree %d: %w", s.num, t.num, err)
	}
	t.segs = slices.Delete(t.segs, i, i+1)
	return nil
}

// tally counts resources by tenant and kind.
type tally map[uint32]*store.Counts

func (c tally) add(ord uint32, k store.Kind) {
	n := c[ord]
	if n == nil {
		n = &store.Counts{}
		c[ord] = n
	}
	n.Add(k, 1)
}

// sum adds up all tenants.
func (c tally) sum() store.Counts {
	var s store.Counts
	for _, n := range c {
		s = s.Plus(*n)
	}
	return s
}

// scan counts the resources of a range, by reading every key.
func (t *tree) scan(lo, hi []byte, into tally) error {
	segs, err := t.segments()
	if err != nil {
		return err
	}
	for i := range segs {
		if i+1 < len(segs) && bytes.Compare(segs[i+1].first, lo) <= 0 {
			continue
		}
		if i > 0 && bytes.Compare(segs[i].first, hi) >= 0 {
			break
		}
		if err := scanBucket(segs[i].b, lo, hi, into); err != nil {
			return err
		}
	}
	return nil
}

func scanBucket(b *bolt.Bucket, lo, hi []byte, into tally) error {
	c := b.Cursor()
	var (
		last uint32
		n    *store.Counts
	)
	for k, _ := c.Seek(lo); k != nil && bytes.Compare(k, hi) < 0; k, _ = c.Next() {
		kind, ord, _, ok := splitResourceKey(k)
		if !ok {
			return store.Errorf(store.Internal, "a resource key is damaged")
		}
		if n == nil || ord != last {
			if n = into[ord]; n == nil {
				n = &store.Counts{}
				into[ord] = n
			}
			last = ord
		}
		n.Add(kind, 1)
	}
	return nil
}

// erase removes up to limit resources of a range in the order of their keys,
// counts them, and reports whether there are more. Segments that lie within the
// range are dropped as a whole, even when that goes beyond the limit; the caller
// bounds it by the size of a segment.
func (t *tree) erase(lo, hi []byte, limit int, into tally) (removed int, more bool, err error) {
	if _, err := t.segments(); err != nil {
		return 0, false, err
	}
	for i := 0; i < len(t.segs); {
		if i+1 < len(t.segs) && bytes.Compare(t.segs[i+1].first, lo) <= 0 {
			i++
			continue
		}
		s := &t.segs[i]
		if i > 0 && bytes.Compare(s.first, hi) >= 0 {
			break
		}
		if removed >= limit {
			return removed, true, nil
		}
		within := i > 0 && bytes.Compare(s.first, lo) >= 0 &&
			(i+1 < len(t.segs) && bytes.Compare(t.segs[i+1].first, hi) <= 0 || lastBelow(s.b, hi))
		if within {
			if err := scanBucket(s.b, lo, hi, into); err != nil {
				return removed, false, err
			}
			removed += int(s.rows)
			if err := t.dropSegment(i); err != nil {
				return removed, false, err
			}
			continue
		}
		n, left, err := t.eraseKeys(i, lo, hi, limit-removed, into)
		removed += n
		if err != nil || left {
			return removed, left, err
		}
		if i > 0 && t.segs[i].rows == 0 {
			if err := t.dropSegment(i); err != nil {
				return removed, false, err
			}
			continue
		}
		i++
	}
	return removed, false, nil
}

// lastBelow reports whether every key of the bucket is below hi.
func lastBelow(b *bolt.Bucket, hi []byte) bool {
	k, _ := b.Cursor().Last()
	return k == nil || bytes.Compare(k, hi) < 0
}

// eraseKeys removes keys of one segment one by one. Keys are collected first: a
// cursor that deletes while it walks loses its place.
func (t *tree) eraseKeys(i int, lo, hi []byte, limit int, into tally) (int, bool, error) {
	s := &t.segs[i]
	var keys [][]byte
	var size int64
	more := false
	c := s.b.Cursor()
	for k, v := c.Seek(lo); k != nil && bytes.Compare(k, hi) < 0; k, v = c.Next() {
		if len(keys) >= limit {
			more = true
			break
		}
		kind, ord, _, ok := splitResourceKey(k)
		if !ok {
			return 0, false, store.Errorf(store.Internal, "a resource key is damaged")
		}
		into.add(ord, kind)
		keys = append(keys, slices.Clone(k))
		size += int64(len(k) + len(v))
	}
	for _, k := range keys {
		if err := s.b.Delete(k); err != nil {
			return 0, false, fmt.Errorf("delete a resource: %w", err)
		}
	}
	t.resize(s, -int64(len(keys)), -size)
	return len(keys), more, nil
}
