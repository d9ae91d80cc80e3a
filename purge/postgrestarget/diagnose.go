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

// Diagnose implements [purge.Doctor]. It reads the catalog alone, and no row of
// a tenant.
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
	if c := s.subscriptions; c.err != nil {
		d.add(purge.SeverityError, "subscriptions", "", "%s", c.err)
	} else if t.CountsSubscriptions() {
		d.add(purge.SeverityInfo, "subscriptions", "", "PostgreSQL understands the statement; a tenant with any is not purged")
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

func (d *diagnosis) add(s purge.Severity, subject, fix, format string, args ...any) {
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
	var nullable, indexed bool
	var rows float64
	err := d.conn.QueryRow(ctx, `
SELECT NOT a.attnotnull, EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid
         AND i.indpred IS NULL AND i.indkey[0] = a.attnum),
       (SELECT sum(p.reltuples) FROM pg_catalog.pg_class p WHERE p.relkind <> 'p' AND (p.oid = a.attrelid OR p.oid IN
         (SELECT relid FROM pg_catalog.pg_partition_tree(a.attrelid) WHERE isleaf)))::float8
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum = $2`,
		tbl.oid, tbl.num).Scan(&nullable, &indexed, &rows)
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
	index := fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s)", tbl.name, strings.Join(keys, ", "))
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

// reference is a foreign key to a table, or to one that a cascade reaches.
type reference struct {
	Name, Child, Parent, Action string
	ChildOID                    uint32
	Columns                     []string
	Indexed                     bool
}

const referencesQuery = `
WITH RECURSIVE reached (oid) AS (
  SELECT $1::oid
  UNION
  SELECT f.conrelid FROM pg_catalog.pg_constraint f JOIN reached r ON f.confrelid = r.oid WHERE f.contype = 'f' AND f.confdeltype = 'c')
SELECT f.conname, pg_catalog.format('%I.%I', cn.nspname, c.relname), pg_catalog.format('%I.%I', pn.nspname, p.relname),
       f.confdeltype::text, f.conrelid,
       array(SELECT pg_catalog.quote_ident(a.attname) FROM unnest(f.conkey) WITH ORDINALITY k (num, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num ORDER BY k.place),
       EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = ic.relam
               WHERE i.indrelid = f.conrelid AND i.indisvalid AND m.amname IN ('btree', 'hash')
                 AND (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey
                 AND (i.indpred IS NULL OR pg_catalog.pg_get_expr(i.indpred, i.indrelid) = (
                   SELECT pg_catalog.format('(%I IS NOT NULL)', a.attname) FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = f.conrelid AND a.attnum = i.indkey[0])))
FROM pg_catalog.pg_constraint f JOIN reached r ON f.confrelid = r.oid
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = f.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0
ORDER BY 2, 1`

// foreignKeys looks at what refers to a table: each deletion looks for the rows
// that do.
func (d *diagnosis) foreignKeys(ctx context.Context, tbl *table) error {
	rows, err := d.conn.Query(ctx, referencesQuery, tbl.oid)
	if err != nil {
		return err
	}
	references, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (reference, error) {
		var r reference
		err := row.Scan(&r.Name, &r.Child, &r.Parent, &r.Action, &r.ChildOID, &r.Columns, &r.Indexed)
		return r, err
	})
	if err != nil {
		return err
	}
	purged := map[uint32]bool{}
	for _, src := range d.schema.sources {
		if src.table != nil {
			purged[src.table.oid] = true
		}
	}
	for _, r := range references {
		columns := strings.Join(r.Columns, ", ")
		if !r.Indexed {
			d.add(purge.SeverityWarning, r.Child, fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s)", r.Child, columns),
				"the foreign key %q (%s) to %s has no index: each row that is deleted there reads this whole table", r.Name, columns, r.Parent)
		}
		switch {
		case purged[r.ChildOID]:
		case r.Action == "a" || r.Action == "r":
			d.add(purge.SeverityWarning, r.Child, fmt.Sprintf("ALTER TABLE %s ... ON DELETE CASCADE, or a purge of %s before", r.Child, r.Child),
				"the foreign key %q refuses the deletion from %s while rows refer to it, and nothing here purges them", r.Name, r.Parent)
		case r.Action == "c":
			d.add(purge.SeverityInfo, r.Child, "", "rows go along with those of %s, by the foreign key %q, and are not counted", r.Parent, r.Name)
		}
	}
	return nil
}
