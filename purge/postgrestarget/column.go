package postgrestarget

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// columnType is a type that a tenant column, or the parameter of a statement,
// may have. It knows which ids fit.
type columnType struct {
	sql string // as in a cast
	// exact: equal values have equal texts. Without it equality must be checked
	// twice, by the index and byte by byte. Of texts the collation says so, which may have
	// changed since it was looked at.
	exact bool
	bits  int // of an integer, else 0
	// place names what has the type, for errors.
	place string
}

// typeOf returns the type with an object id, false for one that has no place here.
func typeOf(oid uint32) (columnType, bool) {
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID:
		return columnType{sql: "text"}, true
	case pgtype.UUIDOID:
		return columnType{sql: "uuid", exact: true}, true
	case pgtype.Int2OID:
		return columnType{sql: "int2", exact: true, bits: 16}, true
	case pgtype.Int4OID:
		return columnType{sql: "int4", exact: true, bits: 32}, true
	case pgtype.Int8OID:
		return columnType{sql: "int8", exact: true, bits: 64}, true
	}
	return columnType{}, false
}

// fits reports whether a column of the type may hold the id. The error refuses
// an id that is not how the type writes a value, and yet one for it.
func (c columnType) fits(id string) (bool, error) {
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return false, nil
	}
	switch {
	case c.bits > 0:
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return false, nil //nolint:nilerr // no row has such an id
		}
		if strconv.FormatInt(n, 10) != id {
			return false, ambiguous(id, strconv.FormatInt(n, 10))
		}
		limit := int64(math.MaxInt64) >> (64 - c.bits)
		return n <= limit && n >= -limit-1, nil
	case c.sql == "uuid":
		// PostgreSQL takes hyphens anywhere, braces and upper case.
		u, err := uuid.Parse(strings.ReplaceAll(strings.Trim(id, "{}"), "-", ""))
		if err != nil {
			return false, nil //nolint:nilerr // no row has such an id
		}
		if u.String() != id {
			return false, ambiguous(id, u.String())
		}
	}
	return true, nil
}

// idKind names what an id looks like, for an error about one that does not fit.
func idKind(id string) string {
	if _, err := strconv.ParseInt(id, 10, 64); err == nil {
		return "an integer"
	}
	if _, err := uuid.Parse(id); err == nil {
		return "a UUID"
	}
	return "a text"
}

// ambiguous refuses an id that stands for the same value as another one. That
// no row has it as its text is no proof that the tenant has no rows.
func ambiguous(id, canonical string) error {
	return purge.Permanent(store.Errorf(store.Invalid,
		"tenant %q would be %q in the database: whose rows these are cannot be told", id, canonical))
}

// value returns an id that fits as an argument of the type.
func (c columnType) value(id string) any {
	switch {
	case c.bits > 0:
		n, _ := strconv.ParseInt(id, 10, 64)
		return n
	case c.sql == "uuid":
		return pgtype.UUID{Bytes: uuid.MustParse(id), Valid: true}
	}
	return id
}

// values returns ids that fit as an argument of the array type.
func (c columnType) values(ids []string) any {
	switch {
	case c.bits > 0:
		return mapped(ids, func(id string) int64 { return c.value(id).(int64) })
	case c.sql == "uuid":
		return mapped(ids, func(id string) pgtype.UUID { return c.value(id).(pgtype.UUID) })
	}
	return ids
}

func mapped[T any](ids []string, fn func(string) T) []T {
	values := make([]T, len(ids))
	for i, id := range ids {
		values[i] = fn(id)
	}
	return values
}
