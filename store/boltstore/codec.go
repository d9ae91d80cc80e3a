package boltstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// recordVersion is the first byte of every tenant record and tombstone.
const recordVersion = 1

// Which optional parts a tenant record has.
const (
	hasDisabledBy = 1 << iota
	hasHold
	hasBlock
	hasPurge
	hasReactivatedAt // the last part: a purger that does not know of it reads the others
)

// statusCode numbers the statuses in records.
func statusCode(s store.Status) byte {
	for i, v := range store.Statuses() {
		if v == s {
			return byte(i)
		}
	}
	return 255
}

// record is a tenant as it is kept, with its place in the tree.
type record struct {
	store.Tenant
	parent uint32 // ordinal of the parent; 0 for the root and its children
	depth  uint16
}

// encode returns the compact form of r: fixed parts as varints, texts with
// their lengths, rare parts only when present.
func (r *record) encode() ([]byte, error) {
	b := make([]byte, 0, 64+len(r.ID)+len(r.Name)+len(r.Hostname))
	b = append(b, recordVersion, statusCode(r.Status), 0)
	b = binary.AppendUvarint(b, uint64(r.parent))
	b = binary.AppendUvarint(b, uint64(r.depth))
	b = binary.AppendUvarint(b, uint64(r.Version))
	for _, t := range []time.Time{r.CreatedAt, r.UpdatedAt, r.DisabledAt, r.EstimatedPurgeDate} {
		b = binary.AppendUvarint(b, millis(t))
	}
	b = binary.AppendUvarint(b, uint64(r.PurgeAfterDays))
	b = binary.AppendUvarint(b, uint64(r.ActiveSubscriptions))
	b = appendText(b, r.ID)
	b = appendText(b, r.ParentID)
	b = appendText(b, r.Name)
	b = appendText(b, r.Hostname)
	var set byte
	if r.DisabledBy != (store.Actor{}) {
		set |= hasDisabledBy
		b = appendActor(b, r.DisabledBy)
	}
	if h := r.Hold; h != nil {
		set |= hasHold
		b = appendText(b, h.Reason)
		b = appendActor(b, h.Actor)
		b = binary.AppendUvarint(b, millis(h.Since))
		b = binary.AppendUvarint(b, millis(h.Until))
	}
	if k := r.Block; k != nil {
		set |= hasBlock
		b = appendText(b, string(k.Reason))
		b = appendText(b, k.By)
		b = binary.AppendUvarint(b, millis(k.Until.Time))
	}
	if r.Purge != nil {
		set |= hasPurge
		p, err := json.Marshal(r.Purge)
		if err != nil {
			return nil, fmt.Errorf("encode the progress of tenant %q: %w", r.ID, err)
		}
		b = appendText(b, string(p))
	}
	if !r.ReactivatedAt.IsZero() {
		set |= hasReactivatedAt
		b = binary.AppendUvarint(b, millis(r.ReactivatedAt))
	}
	b[2] = set
	return b, nil
}

// decodeRecord is the inverse of encode.
func decodeRecord(b []byte) (*record, error) {
	d := decoder{b: b}
	if v := d.byte(); v != recordVersion && d.err == nil {
		return nil, store.Errorf(store.Internal, "tenant record of version %d; this purger knows %d", v, recordVersion)
	}
	r := &record{}
	code := int(d.byte())
	if all := store.Statuses(); code < len(all) {
		r.Status = all[code]
	} else {
		d.fail()
	}
	set := d.byte()
	r.parent = uint32(d.uvarint())
	r.depth = uint16(d.uvarint())
	r.Version = int64(d.uvarint())
	r.CreatedAt, r.UpdatedAt, r.DisabledAt, r.EstimatedPurgeDate = d.time(), d.time(), d.time(), d.time()
	r.PurgeAfterDays = int(d.uvarint())
	r.ActiveSubscriptions = int(d.uvarint())
	r.ID, r.ParentID, r.Name, r.Hostname = d.text(), d.text(), d.text(), d.text()
	if set&hasDisabledBy != 0 {
		r.DisabledBy = d.actor()
	}
	if set&hasHold != 0 {
		r.Hold = &store.Hold{Reason: d.text(), Actor: d.actor(), Since: d.time(), Until: d.time()}
	}
	if set&hasBlock != 0 {
		r.Block = &store.Block{Reason: store.BlockReason(d.text()), By: d.text(), Until: store.Timestamp{Time: d.time()}}
	}
	if set&hasPurge != 0 {
		r.Purge = &store.Progress{}
		if p := d.text(); d.err == nil {
			d.err = json.Unmarshal([]byte(p), r.Purge)
		}
	}
	if set&hasReactivatedAt != 0 {
		r.ReactivatedAt = d.time()
	}
	if d.err != nil {
		return nil, store.Errorf(store.Internal, "tenant record %q: %w", r.ID, d.err)
	}
	return r, nil
}

// encodeTombstone returns the compact form of a tombstone, the id excepted.
func encodeTombstone(t *store.Tombstone) []byte {
	b := make([]byte, 0, 48+len(t.ParentID)+len(t.PurgedWith))
	b = append(b, idTombstone, recordVersion)
	b = appendText(b, t.ParentID)
	with := t.PurgedWith
	if with == t.ID {
		with = "" // most trees: saves the text
	}
	b = appendText(b, with)
	for _, ts := range []store.Timestamp{t.CreatedAt, t.DisabledAt, t.DeletedAt} {
		b = binary.AppendUvarint(b, millis(ts.Time))
	}
	b = binary.AppendUvarint(b, uint64(t.Version))
	return appendCounts(b, t.Deleted)
}

// decodeTombstone is the inverse of encodeTombstone; b begins with idTombstone.
func decodeTombstone(id string, b []byte) (store.Tombstone, error) {
	d := decoder{b: b[1:]}
	if v := d.byte(); v != recordVersion && d.err == nil {
		return store.Tombstone{}, store.Errorf(store.Internal, "tombstone of version %d; this purger knows %d", v, recordVersion)
	}
	t := store.Tombstone{ID: id, ParentID: d.text(), PurgedWith: d.text()}
	if t.PurgedWith == "" {
		t.PurgedWith = id
	}
	for _, ts := range []*store.Timestamp{&t.CreatedAt, &t.DisabledAt, &t.DeletedAt} {
		ts.Time = d.time()
	}
	t.Version = int64(d.uvarint())
	t.Deleted = d.counts()
	if d.err != nil {
		return t, store.Errorf(store.Internal, "tombstone %q: %w", id, d.err)
	}
	return t, nil
}

// appendCounts encodes the counts of resources and sub-tenants.
func appendCounts(b []byte, c store.Counts) []byte {
	for _, n := range []int64{c.OAuthClients, c.APIKeys, c.Credentials, c.Users, c.SubTenants} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendActor(b []byte, a store.Actor) []byte {
	return appendText(appendText(appendText(b, a.ID), a.Name), a.Email)
}

var errTruncated = errors.New("truncated or corrupt")

// decoder reads what the append functions wrote. After an error every method
// returns a zero value.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	d.b = nil
	if d.err == nil {
		d.err = errTruncated
	}
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) time() time.Time { return fromMillis(d.uvarint()) }

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) actor() store.Actor {
	return store.Actor{ID: d.text(), Name: d.text(), Email: d.text()}
}

func (d *decoder) counts() store.Counts {
	return store.Counts{
		OAuthClients: int64(d.uvarint()), APIKeys: int64(d.uvarint()),
		Credentials: int64(d.uvarint()), Users: int64(d.uvarint()), SubTenants: int64(d.uvarint()),
	}
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}
