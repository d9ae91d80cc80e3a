package postgrestarget

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
)

// columns looks at the tenant column, its index, and the size of the table.
func (d *diagnosis) columns(ctx context.Context, tbl *table) error {
	var nullable, indexed, partitioned, unique, only bool
	var rows float64
	err := d.conn.QueryRow(ctx, `
SELECT NOT a.attnotnull, EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid
         AND i.indpred IS NULL AND i.indkey[0] = a.attnum),
       (SELECT sum(p.reltuples) FROM pg_catalog.pg_class p WHERE p.relkind <> 'p' AND (p.oid = a.attrelid OR p.oid IN
         (SELECT relid FROM pg_catalog.pg_partition_tree(a.attrelid) WHERE isleaf)))::float8,
       (SELECT c.relkind = 'p' FROM pg_catalog.pg_class c WHERE c.oid = a.attrelid),
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
         AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
       -- A row for each tenant, in a table beside that of tenants, has no other key either.
       NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
         AND (i.indnkeyatts > 1 OR i.indkey[0] <> a.attnum))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.conrelid = a.attrelid AND f.conkey = ARRAY[a.attnum])
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum = $2`,
		tbl.oid, tbl.num).Scan(&nullable, &indexed, &rows, &partitioned, &unique, &only)
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(tbl.key)+1)
	keys = append(keys, tbl.tenant)
	for _, k := range tbl.key {
		if k.name != tbl.tenant {
			keys = append(keys, k.name)
		}
	}
	index := indexSQL(tbl.name, partitioned, keys)
	switch {
	case !indexed:
		d.add(purge.SeverityWarning, d.subject(tbl), index, "no index begins with the tenant column %s: every count and every step reads the whole table", tbl.tenant)
	case !tbl.ordered && len(keys) > 1:
		d.add(purge.SeverityInfo, d.subject(tbl), index, "no index is on the tenant column and the key: a tenant with very many rows is purged more slowly than need be")
	}
	if unique {
		severity := purge.SeverityWarning
		if only {
			severity = purge.SeverityError
		}
		d.add(severity, d.subject(tbl), "", "the tenant column %s is a key by itself: at most one row can belong to a tenant; want the column that says whose a row is", tbl.tenant)
	}
	if nullable {
		if err := d.nulls(ctx, tbl); err != nil {
			return err
		}
	}
	if rows < 0 {
		d.add(purge.SeverityInfo, d.subject(tbl), "ANALYZE "+tbl.name, "its number of rows is not known: it was never analyzed")
	} else {
		d.add(purge.SeverityInfo, d.subject(tbl), "", "about %.0f rows", rows)
	}
	return nil
}

// How many rows without a tenant are counted, and for how long.
const (
	manyNulls = 1000
	nullsTime = 2 * time.Second
)

// nulls looks at a tenant column that may be NULL.
func (d *diagnosis) nulls(ctx context.Context, tbl *table) error {
	const never = "such rows belong to nobody and are never purged"
	b := &pgx.Batch{}
	d.target.settings(b, true)
	b.Queue("SELECT pg_catalog.set_config('statement_timeout', $1, true)", milliseconds(min(nullsTime, d.target.cfg.StatementTimeout)))
	var n int64
	b.Queue(fmt.Sprintf("SELECT count(*) FROM (SELECT FROM %s WHERE %s IS NULL LIMIT %d) these", tbl.name, tbl.tenant, manyNulls+1)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	err := d.conn.SendBatch(ctx, b).Close()
	add := func(fix, format string, args ...any) {
		d.add(purge.SeverityWarning, d.subject(tbl), fix, format, args...)
	}
	switch {
	case asPgError(err) != nil: // no right, or no time
		add("", "the tenant column %s may be NULL: %s; see whether there are any: SELECT count(*) FROM %s WHERE %[1]s IS NULL", tbl.tenant, never, tbl.name)
	case err != nil:
		return err
	case n > manyNulls:
		add("", "the tenant column %s is NULL in more than %d rows: %s; give them a tenant, or remove them", tbl.tenant, manyNulls, never)
	case n > 0:
		add("", "the tenant column %s is NULL in %d rows: %s; give them a tenant, or remove them", tbl.tenant, n, never)
	default:
		add(fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", tbl.name, tbl.tenant), "the tenant column %s may be NULL: %s", tbl.tenant, never)
	}
	return nil
}

// indexSQL makes an index; PostgreSQL makes none concurrently on what is partitioned.
func indexSQL(name string, partitioned bool, columns []string) string {
	how := "CREATE INDEX CONCURRENTLY"
	if partitioned {
		how = "CREATE INDEX"
	}
	return fmt.Sprintf("%s ON %s (%s)", how, name, strings.Join(columns, ", "))
}
