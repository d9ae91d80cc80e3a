package postgressource

import (
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// The columns that a query may yield.
const (
	colID = iota
	colStatus
	colParent
	colName
	colHost
	colDisabledAt
	colDays
	colPurgeAt
	numColumns
)

// columnNames returns the names of the columns, in the order of the constants.
func columnNames() []string {
	return []string{"id", "status", "parent", "name", "host", "disabled_at", "purge_after_days", "purge_at"}
}

// columns says where in a row each column is; -1 for nowhere.
type columns [numColumns]int

// columnsOf finds the columns. A name that is none of them is most likely a
// mistake, which would otherwise be taken for a source that says nothing.
func columnsOf(fields []pgconn.FieldDescription) (columns, error) {
	var at columns
	for i := range at {
		at[i] = -1
	}
	for i, f := range fields {
		known := false
		for c, name := range columnNames() {
			if f.Name != name {
				continue
			}
			if at[c] >= 0 {
				return at, store.Errorf(store.Precondition, "query: it yields two columns %q", name)
			}
			at[c], known = i, true
		}
		if !known {
			return at, store.Errorf(store.Precondition, "query: it yields a column %q; want id, status, parent, name, host, disabled_at, purge_after_days, purge_at", f.Name)
		}
	}
	for _, c := range []int{colID, colStatus} {
		if at[c] < 0 {
			return at, store.Errorf(store.Precondition, "query: it yields no column %q", columnNames()[c])
		}
	}
	return at, nil
}

// row makes a row of values in PostgreSQL's text form.
func (at *columns) row(values [][]byte) purge.SourceRow {
	text := func(c int) *string {
		if at[c] < 0 || values[at[c]] == nil {
			return nil
		}
		s := string(values[at[c]])
		return &s
	}
	or := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	r := purge.SourceRow{Tenant: purge.SourceTenant{
		ID: or(text(colID)), ParentID: or(text(colParent)), Name: text(colName), Hostname: text(colHost),
		Status: store.Status(or(text(colStatus))),
	}}
	t := &r.Tenant
	if s := text(colDays); s != nil {
		n, err := strconv.Atoi(*s)
		if err != nil || n == 0 { // 0 would be taken for the default
			r.Err = fmt.Errorf("purge_after_days %s: want a positive integer", store.Quote(*s))
		}
		t.PurgeAfterDays = n
	}
	instant := func(c int) (at time.Time) {
		if s := text(c); s != nil {
			var err error
			if at, err = parseTime(*s); err != nil && r.Err == nil {
				r.Err = fmt.Errorf("%s %s: want a timestamp with time zone", columnNames()[c], store.Quote(*s))
			}
		}
		return at
	}
	t.DisabledAt, t.PurgeAt = instant(colDisabledAt), instant(colPurgeAt)
	return r
}

// parseTime reads a timestamp with or without a time zone, or a date, in ISO
// style. What has no zone is in UTC.
func parseTime(s string) (time.Time, error) {
	var err error
	for _, layout := range []string{
		"2006-01-02 15:04:05.999999999-07", "2006-01-02 15:04:05.999999999-07:00",
		"2006-01-02 15:04:05.999999999", time.DateOnly, time.RFC3339Nano,
	} {
		var t time.Time
		if t, err = time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, err
}
