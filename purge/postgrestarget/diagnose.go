package postgrestarget

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Diagnose implements [purge.Doctor]. It reads the catalog, lets PostgreSQL plan the
// statements of the operator's own, and asks for the subscriptions of nobody: it
// reads no row of a tenant.
func (t *Target) Diagnose(ctx context.Context) ([]purge.Finding, error) {
	t.catalog.forget()
	s, err := t.schema(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := t.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	d := &diagnosis{conn: conn.Conn(), target: t, schema: s}
	if err = d.role(ctx); err == nil {
		for _, kind := range t.kinds {
			if err = d.kind(ctx, kind); err != nil {
				break
			}
		}
	}
	if err == nil && t.CountsSubscriptions() {
		d.subscriptions(ctx)
	}
	if err == nil && len(t.kinds) > 0 {
		err = d.ledger(ctx)
	}
	order := []purge.Severity{purge.SeverityError, purge.SeverityWarning, purge.SeverityInfo}
	slices.SortStableFunc(d.found, func(a, b purge.Finding) int {
		return cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity))
	})
	return d.found, refused("diagnose", err)
}

// diagnosis gathers findings.
type diagnosis struct {
	conn   *pgx.Conn
	target *Target
	schema *schema
	found  []purge.Finding

	user  string
	super bool
}

// add notes a finding. fix is SQL, which gets its last semicolon here, or "".
func (d *diagnosis) add(s purge.Severity, subject, fix, format string, args ...any) {
	if fix = strings.TrimSpace(fix); fix != "" && !strings.HasSuffix(fix, ";") {
		fix += ";"
	}
	d.found = append(d.found, purge.Finding{Severity: s, Subject: subject, Text: fmt.Sprintf(format, args...), Fix: fix})
}

// kind looks at one kind.
func (d *diagnosis) kind(ctx context.Context, kind store.Kind) error {
	src := d.schema.sources[kind]
	switch {
	case src.err != nil:
		d.add(purge.SeverityError, string(kind), "", "%s", src.err)
		return nil //nolint:nilerr // it is a finding
	case src.own != nil:
		d.own(ctx, kind, src.own)
		limit := "and removes up to a limit at a time"
		severity := purge.SeverityInfo
		if !src.own.limited {
			limit, severity = "and removes everything of a tenant in one transaction, having no $2", purge.SeverityWarning
		}
		d.add(severity, string(kind), "", "has statements of its own, which PostgreSQL understands; delete takes one tenant at a time %s", limit)
		return nil
	}
	for _, look := range []func(context.Context, *table) error{d.rights, d.columns, d.foreignKeys} {
		if err := look(ctx, src.table); err != nil {
			return err
		}
	}
	return nil
}

// subscriptions asks how many nobody has: what PostgreSQL understands it may still
// refuse to run.
func (d *diagnosis) subscriptions(ctx context.Context) {
	err := d.schema.subscriptions.err
	if err == nil {
		b := &pgx.Batch{}
		d.target.settings(b, true)
		typ := d.schema.subscriptions.typ
		b.Queue(d.target.cfg.Subscriptions, typ.value(typ.nobody())).Query(func(rows pgx.Rows) error {
			_, err := onlyNumber(rows)
			return err
		})
		err = refused("subscriptions", d.conn.SendBatch(ctx, b).Close())
	}
	if err != nil {
		d.add(purge.SeverityError, "subscriptions", "", "%s", err)
		return
	}
	d.add(purge.SeverityInfo, "subscriptions", "", "the statement answers; a tenant with any is not purged")
}

// own looks at the rights that statements of the operator's own need.
func (d *diagnosis) own(ctx context.Context, kind store.Kind, o *own) {
	remove := []any{o.delType.value(o.delType.nobody())}
	if o.limited {
		remove = append(remove, int64(1))
	}
	if err := d.refused(ctx, o.count, o.countType.value(o.countType.nobody())); err != nil {
		d.add(purge.SeverityError, string(kind), "", "count: %s", err)
	}
	if err := d.refused(ctx, o.remove, remove...); err != nil {
		d.add(purge.SeverityError, string(kind), "", "delete: %s", err)
	}
}

// refused lets PostgreSQL plan a statement, which runs nothing of it, and returns
// its error if the role lacks a right for it. What else PostgreSQL says is not
// about rights: EXPLAIN does not take every statement.
func (d *diagnosis) refused(ctx context.Context, sql string, args ...any) error {
	b := &pgx.Batch{}
	d.target.settings(b, true)
	b.Queue("EXPLAIN "+sql, args...)
	if err := d.conn.SendBatch(ctx, b).Close(); asPgError(err) != nil && asPgError(err).Code == codeInsufficientPrivilege {
		return refused("look at rights", err)
	}
	return nil
}

// rights looks at what the role may do with a table.
func (d *diagnosis) rights(ctx context.Context, tbl *table) error {
	var missing, wide []string
	var hidden bool
	err := d.conn.QueryRow(ctx, `
SELECT array(SELECT p FROM unnest('{SELECT,DELETE}'::text[]) p WHERE NOT pg_catalog.has_table_privilege($1::oid, p)),
       array(SELECT p FROM unnest('{INSERT,UPDATE,TRUNCATE,TRIGGER}'::text[]) p WHERE pg_catalog.has_table_privilege($1::oid, p)),
       pg_catalog.row_security_active($1::oid)`, tbl.oid).Scan(&missing, &wide, &hidden)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		d.add(purge.SeverityError, tbl.name, fmt.Sprintf("GRANT %s ON %s TO %s", strings.Join(missing, ", "), tbl.name, quote(d.user)),
			"the role lacks %s", strings.Join(missing, " and "))
	}
	if len(wide) > 0 && !d.super {
		d.add(purge.SeverityWarning, tbl.name, fmt.Sprintf("REVOKE %s ON %s FROM %s", strings.Join(wide, ", "), tbl.name, quote(d.user)),
			"the role has %s, which no purge needs; an owner has them all", strings.Join(wide, ", "))
	}
	if hidden {
		d.add(purge.SeverityError, tbl.name, "ALTER ROLE "+quote(d.user)+" BYPASSRLS",
			"row-level security applies to the role: rows that a policy hides could not be told from rows that are gone")
	}
	return nil
}

// columns looks at the tenant column, its index, and the size of the table.
func (d *diagnosis) columns(ctx context.Context, tbl *table) error {
	var nullable, indexed, partitioned bool
	var rows float64
	err := d.conn.QueryRow(ctx, `
SELECT NOT a.attnotnull, EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid
         AND i.indpred IS NULL AND i.indkey[0] = a.attnum),
       (SELECT sum(p.reltuples) FROM pg_catalog.pg_class p WHERE p.relkind <> 'p' AND (p.oid = a.attrelid OR p.oid IN
         (SELECT relid FROM pg_catalog.pg_partition_tree(a.attrelid) WHERE isleaf)))::float8,
       (SELECT c.relkind = 'p' FROM pg_catalog.pg_class c WHERE c.oid = a.attrelid)
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum = $2`,
		tbl.oid, tbl.num).Scan(&nullable, &indexed, &rows, &partitioned)
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
		d.add(purge.SeverityWarning, tbl.name, index, "no index begins with the tenant column %s: every count and every step reads the whole table", tbl.tenant)
	case !tbl.ordered && len(keys) > 1:
		d.add(purge.SeverityInfo, tbl.name, index, "no index is on the tenant column and the key: a tenant with very many rows is purged more slowly than need be")
	}
	if nullable {
		d.add(purge.SeverityWarning, tbl.name, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", tbl.name, tbl.tenant),
			"the tenant column %s may be NULL: such rows belong to nobody and are never purged", tbl.tenant)
	}
	if rows < 0 {
		d.add(purge.SeverityInfo, tbl.name, "ANALYZE "+tbl.name, "its number of rows is not known: it was never analyzed")
	} else {
		d.add(purge.SeverityInfo, tbl.name, "", "about %.0f rows", rows)
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
