package postgrestarget

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

const tableQuery = `
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relhassubclass
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)`

const columnQuery = `
SELECT a.attname, a.attnum, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod),
       coalesce(l.collisdeterministic, true)
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`

// Valid indexes that hold every row, the primary key first.
const indexQuery = `
SELECT i.indkey::text, i.indisprimary
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
ORDER BY i.indisprimary DESC`

// column is a column in the catalog.
type column struct {
	Name          string
	Num           int16
	Type          uint32
	SQL           string
	Deterministic bool
}

// index is an index in the catalog: its columns in order, 0 for an expression.
type index struct {
	columns []int16
	primary bool
}

// describeTable looks a table up. Errors are store errors, or the server's.
func describeTable(ctx context.Context, conn *pgx.Conn, k Kind) (*table, error) {
	name, err := parseName(k.Table)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "table %q: %w", k.Table, err)
	}
	tbl := &table{tenant: quote(k.Tenant)}
	var schemaName, tableName, kind string
	var children bool
	err = conn.QueryRow(ctx, tableQuery, name.Sanitize()).Scan(&tbl.oid, &schemaName, &tableName, &kind, &children)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noSuch("there is no table %s, or the role may not use its schema", name.Sanitize())
	}
	if err != nil {
		return nil, err
	}
	tbl.name = pgx.Identifier{schemaName, tableName}.Sanitize()
	if kind != "r" && kind != "p" {
		return nil, noSuch("%s is not a table; give it statements of its own, count and delete", tbl.name)
	}
	tbl.whole = kind == "r" && !children
	columns, err := columnsOf(ctx, conn, tbl.oid)
	if err != nil {
		return nil, err
	}
	tenant, ok := columns[k.Tenant]
	if !ok {
		return nil, noSuch("%s has no column %s", tbl.name, tbl.tenant)
	}
	if tbl.typ, ok = typeOf(tenant.Type); !ok {
		return nil, noSuch("column %s of %s is of type %s; want text, varchar, uuid or an integer, or statements of its own",
			tbl.tenant, tbl.name, tenant.SQL)
	}
	tbl.num, tbl.typ.exact = tenant.Num, tbl.typ.exact || tenant.Deterministic
	tbl.typ.place = "the tenant column " + tbl.tenant + " of " + tbl.name
	if tbl.selfs, err = selfReferencesOf(ctx, conn, tbl.oid); err != nil {
		return nil, err
	}
	indexes, err := indexesOf(ctx, conn, tbl.oid)
	if err != nil {
		return nil, err
	}
	return tbl, tbl.setKey(k.Key, columns, indexes, tenant.Num)
}

// setKey finds the columns of the key, and whether an index orders the rows of
// a tenant by it.
func (tbl *table) setKey(configured []string, columns map[string]column, indexes []index, tenant int16) error {
	var nums []int16
	for _, name := range configured {
		c, ok := columns[name]
		if !ok {
			return noSuch("%s has no column %s, which is to be its key", tbl.name, quote(name))
		}
		nums = append(nums, c.Num)
	}
	if len(nums) == 0 && len(indexes) > 0 && indexes[0].primary {
		nums = indexes[0].columns
	}
	// In the order of one tenant, its own column says nothing.
	walked := slices.DeleteFunc(slices.Clone(nums), func(n int16) bool { return n == tenant })
	for _, i := range indexes {
		if len(walked) > 0 && len(i.columns) > len(walked) && i.columns[0] == tenant && slices.Equal(i.columns[1:len(walked)+1], walked) {
			tbl.ordered = true
		}
	}
	if tbl.whole {
		nums = walked
	}
	for _, num := range nums {
		for _, c := range columns {
			if c.Num == num {
				tbl.key = append(tbl.key, keyColumn{quote(c.Name), c.SQL})
			}
		}
	}
	if !tbl.whole && len(tbl.key) == 0 {
		return noSuch("%s has partitions or children and no primary key; want key in the configuration", tbl.name)
	}
	return nil
}

func columnsOf(ctx context.Context, conn *pgx.Conn, oid uint32) (map[string]column, error) {
	rows, err := conn.Query(ctx, columnQuery, oid)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	columns := map[string]column{}
	for _, c := range list {
		columns[c.Name] = c
	}
	return columns, err
}

func indexesOf(ctx context.Context, conn *pgx.Conn, oid uint32) ([]index, error) {
	rows, err := conn.Query(ctx, indexQuery, oid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (index, error) {
		var i index
		var vector string
		if err := row.Scan(&vector, &i.primary); err != nil {
			return i, err
		}
		for field := range strings.FieldsSeq(vector) {
			n, err := strconv.ParseInt(field, 10, 16)
			if err != nil {
				return i, err
			}
			i.columns = append(i.columns, int16(n))
		}
		return i, nil
	})
}
