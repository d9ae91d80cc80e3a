package restsource

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// row makes a row of a tenant as the API has it.
func (c *Config) row(v gjson.Result) purge.SourceRow {
	var r purge.SourceRow
	if !v.IsObject() {
		r.Err = errors.New("not an object")
		return r
	}
	fail := func(field, format string, args ...any) {
		if r.Err == nil {
			r.Err = fmt.Errorf(field+": "+format, args...)
		}
	}
	text := func(field, path string) *string {
		if path == "" {
			return nil
		}
		switch f := v.Get(path); {
		case !f.Exists() || f.Type == gjson.Null:
			return nil
		case f.Type == gjson.String:
			return &f.Str
		case f.Type == gjson.Number && isInteger(f.Raw): // as an id may be; not as a float has it
			return &f.Raw
		case f.IsBool():
			return &f.Raw
		}
		fail(field, "want a text")
		return nil
	}
	or := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	t := &r.Tenant
	t.ID, t.ParentID = or(text("id", c.Fields.ID)), or(text("parent", c.Fields.Parent))
	t.Name, t.Hostname = text("name", c.Fields.Name), text("host", c.Fields.Host)
	switch status := or(text("status", c.Fields.Status)); {
	case slices.Contains(c.Active, status):
		t.Status = store.StatusActive
	case slices.Contains(c.Disabled, status):
		t.Status = store.StatusDisabled
	default:
		fail("status", "%s is neither among active nor among disabled", store.Quote(status))
	}
	if days := text("purgeAfterDays", c.Fields.PurgeAfterDays); days != nil {
		n, err := strconv.Atoi(*days)
		if err != nil || n == 0 { // 0 would be taken for the default
			fail("purgeAfterDays", "%s: want a positive integer", store.Quote(*days))
		}
		t.PurgeAfterDays = n
	}
	instant := func(field, path string) time.Time {
		s := text(field, path)
		if s == nil || *s == "" {
			return time.Time{}
		}
		at, err := c.parseTime(*s)
		if err != nil {
			fail(field, "%s: want a time as %s", store.Quote(*s), c.Times)
		}
		return at
	}
	t.DisabledAt, t.PurgeAt = instant("disabledAt", c.Fields.DisabledAt), instant("purgeAt", c.Fields.PurgeAt)
	return r
}

// isInteger reports whether a number is written as one.
func isInteger(raw string) bool {
	_, err := strconv.ParseInt(raw, 10, 64)
	return err == nil
}

// parseTime reads an instant.
func (c *Config) parseTime(s string) (time.Time, error) {
	if c.Times == "rfc3339" {
		return store.ParseTime("time", s)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	if c.Times == "unix" {
		return time.Unix(n, 0).UTC(), nil
	}
	return time.UnixMilli(n).UTC(), nil
}
