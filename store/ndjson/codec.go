package ndjson

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/tenantpurge/purger/store"
)

// appendTenant encodes a checked tenant for the temporary files. What follows
// from other fields or is the store's own is left out.
func appendTenant(b []byte, t *store.Tenant) []byte {
	for _, s := range []string{t.ID, t.ParentID, t.Name, t.Hostname, string(t.Status)} {
		b = appendText(b, s)
	}
	b = appendMillis(b, t.CreatedAt)
	b = appendMillis(b, t.DisabledAt)
	b = binary.AppendVarint(b, int64(t.PurgeAfterDays))
	b = binary.AppendVarint(b, int64(t.ActiveSubscriptions))
	b = appendActor(b, t.DisabledBy)
	b = appendMillis(b, t.ReactivatedAt)
	if t.Hold == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = appendText(b, t.Hold.Reason)
	b = appendActor(b, t.Hold.Actor)
	return appendMillis(appendMillis(b, t.Hold.Since), t.Hold.Until)
}

// decodeTenant is the inverse of appendTenant.
func decodeTenant(b []byte) (store.Tenant, error) {
	u := unpacker{b: b}
	t := store.Tenant{ID: u.text(), ParentID: u.text(), Name: u.text(), Hostname: u.text(), Status: store.Status(u.text())}
	t.CreatedAt, t.DisabledAt = u.millis(), u.millis()
	t.PurgeAfterDays, t.ActiveSubscriptions = int(u.varint()), int(u.varint())
	t.DisabledBy, t.ReactivatedAt = u.actor(), u.millis()
	if t.Status == store.StatusDisabled {
		t.EstimatedPurgeDate = store.PurgeDate(t.DisabledAt, t.PurgeAfterDays)
	}
	if u.byte() != 0 {
		t.Hold = &store.Hold{Reason: u.text(), Actor: u.actor(), Since: u.millis(), Until: u.millis()}
	}
	return t, u.err
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendActor(b []byte, a store.Actor) []byte {
	return appendText(appendText(appendText(b, a.ID), a.Name), a.Email)
}

// appendMillis encodes a time; the zero time is 0, which no checked time is.
func appendMillis(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMilli())
}

var errDamaged = errors.New("temporary file for sorting is damaged")

// unpacker reads what the append functions wrote. After an error every method
// returns a zero value.
type unpacker struct {
	b   []byte
	err error
}

func (u *unpacker) fail() { u.b, u.err = nil, errDamaged }

func (u *unpacker) byte() byte {
	if len(u.b) == 0 {
		u.fail()
		return 0
	}
	c := u.b[0]
	u.b = u.b[1:]
	return c
}

func (u *unpacker) varint() int64 {
	v, n := binary.Varint(u.b)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) text() string {
	n := u.uvarint()
	if n > uint64(len(u.b)) {
		u.fail()
		return ""
	}
	s := string(u.b[:n])
	u.b = u.b[n:]
	return s
}

func (u *unpacker) millis() time.Time {
	ms := u.varint()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (u *unpacker) actor() store.Actor {
	return store.Actor{ID: u.text(), Name: u.text(), Email: u.text()}
}
