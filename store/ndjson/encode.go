package ndjson

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tenantpurge/purger/store"
)

// appendTenantLine appends the line of a tenant, with its end. Members come in
// a fixed order; those that hold nothing are left out, except the ones that
// every line of the format has.
func appendTenantLine(b []byte, t *store.Tenant) []byte {
	b = append(b, `{"type":"tenant","id":`...)
	b = appendString(b, t.ID)
	b = appendString(append(b, `,"parentId":`...), t.ParentID)
	b = appendString(append(b, `,"name":`...), t.Name)
	b = appendString(append(b, `,"hostname":`...), t.Hostname)
	b = appendString(append(b, `,"status":`...), string(t.Status))
	b = appendTime(b, "createdAt", t.CreatedAt)
	if t.Status == store.StatusDisabled {
		b = appendTime(b, "disabledAt", t.DisabledAt)
		b = strconv.AppendInt(append(b, `,"purgeAfterDays":`...), int64(t.PurgeAfterDays), 10)
		b = appendActorMember(b, "disabledBy", t.DisabledBy)
	}
	b = appendTime(b, "reactivatedAt", t.ReactivatedAt)
	if h := t.Hold; h != nil {
		b = appendString(append(b, `,"hold":{"reason":`...), h.Reason)
		b = appendTime(b, "until", h.Until)
		b = appendTime(b, "since", h.Since)
		b = appendActorMember(b, "actor", h.Actor)
		b = append(b, '}')
	}
	b = strconv.AppendInt(append(b, `,"activeSubscriptions":`...), int64(t.ActiveSubscriptions), 10)
	return append(b, "}\n"...)
}

// appendResourceLine appends the line of a resource, with its end.
func appendResourceLine(b []byte, r *store.Resource) ([]byte, error) {
	b = appendString(append(b, `{"type":`...), string(r.Kind))
	b = appendString(append(b, `,"tenantId":`...), r.TenantID)
	b = appendString(append(b, `,"id":`...), r.ID)
	b = append(b, `,"data":`...)
	if len(r.Data) == 0 {
		return append(b, "{}}\n"...), nil
	}
	if !utf8.Valid(r.Data) {
		return b, store.Errorf(store.Internal, "the data of %s %q of tenant %q is not UTF-8", r.Kind, r.ID, r.TenantID)
	}
	data := bytes.NewBuffer(b)
	if err := json.Compact(data, r.Data); err != nil {
		return b, store.Errorf(store.Internal, "the data of %s %q of tenant %q: %w", r.Kind, r.ID, r.TenantID, err)
	}
	return append(data.Bytes(), "}\n"...), nil
}

// appendTime appends a member, or nothing for the zero time.
func appendTime(b []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(t.UTC().AppendFormat(b, store.TimeFormat), '"')
}

// appendActorMember appends a member, or nothing for nobody.
func appendActorMember(b []byte, name string, a store.Actor) []byte {
	if a == (store.Actor{}) {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":{"id":`...)
	b = appendString(b, a.ID)
	if a.Name != "" {
		b = appendString(append(b, `,"name":`...), a.Name)
	}
	if a.Email != "" {
		b = appendString(append(b, `,"email":`...), a.Email)
	}
	return append(b, '}')
}

// appendString appends s as JSON. Only what must be escaped is.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
