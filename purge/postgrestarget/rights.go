package postgrestarget

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
)

// few is how many names a finding lists.
const few = 5

// role looks at what the role may do beside a purge.
func (d *diagnosis) role(ctx context.Context) error {
	var attributes, schemas, others []string
	var version int
	var database string
	err := d.conn.QueryRow(ctx, `
SELECT r.rolname, r.rolsuper, pg_catalog.current_setting('server_version_num')::int,
       array_remove(ARRAY[CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
                          CASE WHEN r.rolreplication THEN 'REPLICATION' END], NULL),
       CASE WHEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
         THEN pg_catalog.quote_ident(pg_catalog.current_database()) ELSE '' END,
       array(SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_namespace n
             WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
               AND pg_catalog.has_schema_privilege(n.oid, 'CREATE') ORDER BY 1)
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`).Scan(&d.user, &d.super, &version, &attributes, &database, &schemas)
	if err != nil {
		return err
	}
	if err := d.durability(ctx); err != nil {
		return err
	}
	if version < 130000 {
		d.add(purge.SeverityWarning, "server", "", "PostgreSQL %d is older than what this was tried with, 13 and newer", version/10000)
	}
	if d.super {
		d.add(purge.SeverityWarning, "role "+d.user, d.ownRoleSQL(),
			"it is a superuser and may do anything to everything; want a role of its own in the dsn")
		return nil
	}
	if len(attributes) > 0 {
		d.add(purge.SeverityWarning, "role "+d.user, fmt.Sprintf("ALTER ROLE %s NO%s", quote(d.user), strings.Join(attributes, " NO")),
			"it has %s, which no purge needs", strings.Join(attributes, ", "))
	}
	if database != "" {
		d.add(purge.SeverityWarning, "role "+d.user, fmt.Sprintf("REVOKE CREATE ON DATABASE %s FROM %s", database, quote(d.user)),
			"it may create schemas in the database (DDL), which no purge needs")
	}
	if len(schemas) > 0 {
		d.add(purge.SeverityWarning, "role "+d.user, fmt.Sprintf("REVOKE CREATE ON SCHEMA %s FROM %s, PUBLIC", strings.Join(schemas, ", "), quote(d.user)),
			"it may create objects (DDL) in %s, which no purge needs", listed(schemas))
	}
	if others, err = d.otherTables(ctx); err != nil {
		return err
	}
	if len(others) > 0 {
		text := fmt.Sprintf("it may change %d tables that it does not purge: %s", len(others), listed(others))
		fix := fmt.Sprintf("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM %s", strings.Join(others, ", "), quote(d.user))
		if d.purgers.haveOwn() {
			text, fix = text+"; take that right away unless statements of your own change them by a function or a view", ""
		}
		d.add(purge.SeverityWarning, "role "+d.user, fix, "%s", text)
	}
	return nil
}

// durability looks at whether the server keeps what it says to have done.
func (d *diagnosis) durability(ctx context.Context) error {
	for _, setting := range []string{"fsync", "full_page_writes"} {
		var value string
		if err := d.conn.QueryRow(ctx, "SELECT pg_catalog.current_setting($1)", setting).Scan(&value); err != nil {
			return err
		}
		if value == "off" {
			d.add(purge.SeverityWarning, "server", fmt.Sprintf("ALTER SYSTEM SET %s = on;\nSELECT pg_catalog.pg_reload_conf()", setting),
				"%s is off: after a crash of the machine rows that were removed may be back, and the database may be broken", setting)
		}
	}
	return nil
}

// ownRoleSQL makes a role that may do what the configuration needs of tables, and read
// what goes along with their rows. What statements of the operator's own need, cannot be
// told.
func (d *diagnosis) ownRoleSQL() string {
	sql := []string{"CREATE ROLE purger LOGIN"}
	known := map[uint32]bool{}
	var along []*foreignKey
	for _, kind := range d.target.kinds {
		if tbl := d.schema.sources[kind].table; tbl != nil {
			sql = append(sql, fmt.Sprintf("GRANT SELECT, DELETE ON %s TO purger", tbl.name))
			known[tbl.oid] = true
			along = append(along, tbl.foreign...)
		}
	}
	for _, key := range along {
		if key.Action == "c" && !known[key.ChildOID] {
			sql = append(sql, fmt.Sprintf("GRANT SELECT ON %s TO purger", key.Child))
			known[key.ChildOID] = true
		}
	}
	return strings.Join(sql, ";\n")
}

// otherTables returns the tables that the role may change beyond those configured, and
// those that statements of the operator's own name, here and in targets on the same
// database.
func (d *diagnosis) otherTables(ctx context.Context) ([]string, error) {
	known := []uint32{}
	for _, p := range d.purgers {
		known = append(known, p.oid)
	}
	ledgers := []string{d.ledgerName()}
	for _, other := range d.target.beside {
		if name, err := parseName(other.withDefaults().Ledger); err == nil {
			ledgers = append(ledgers, name.Sanitize())
		}
	}
	rows, err := d.conn.Query(ctx, `
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),
       array(SELECT c.relname::text UNION
             SELECT p.relname::text FROM pg_catalog.pg_partition_ancestors(c.oid) a JOIN pg_catalog.pg_class p ON p.oid = a.relid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid <> ALL ($1::oid[])
  AND NOT EXISTS (SELECT FROM unnest($2::text[]) l (name) WHERE pg_catalog.to_regclass(l.name) = c.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) a WHERE a.relid = ANY ($1::oid[]))
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') ORDER BY 1`,
		known, ledgers)
	if err != nil {
		return nil, err
	}
	var others, names []string
	var full string
	_, err = pgx.ForEachRow(rows, []any{&full, &names}, func() error {
		if !slices.ContainsFunc(names, d.purgers.mention) {
			others = append(others, full)
		}
		return nil
	})
	return others, err
}

// listed returns the first few names.
func listed(names []string) string {
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

func (d *diagnosis) ledgerName() string {
	name, err := parseName(d.target.cfg.Ledger)
	if err != nil {
		return "" // New has refused it
	}
	return name.Sanitize()
}

// ledger looks at the table that makes counts exact.
func (d *diagnosis) ledger(ctx context.Context) error {
	name := d.ledgerName()
	if d.schema.ledger != "" {
		return nil
	}
	var exists, policed bool
	err := d.conn.QueryRow(ctx, `SELECT pg_catalog.to_regclass($1) IS NOT NULL,
       coalesce(pg_catalog.row_security_active(pg_catalog.to_regclass($1)), false)`, name).Scan(&exists, &policed)
	if err != nil {
		return err
	}
	switch {
	case d.schema.impostor:
		d.add(purge.SeverityWarning, name, d.schema.ledgerFix, "%s: until then counts become a lower bound when a connection is lost at COMMIT", d.schema.noLedger)
		return nil
	case policed:
		d.add(purge.SeverityWarning, name, fmt.Sprintf("ALTER TABLE %s DISABLE ROW LEVEL SECURITY", name),
			"row-level security applies to the role in the ledger: when a connection is lost at COMMIT, counts become a lower bound")
		return nil
	case exists:
		d.add(purge.SeverityWarning, name, fmt.Sprintf("GRANT SELECT, INSERT, UPDATE ON %s TO %s", name, quote(d.user)),
			"the role may not use the ledger: when a connection is lost at COMMIT, counts become a lower bound")
		return nil
	}
	sql, err := LedgerSQL(d.target.cfg.Ledger, d.user)
	if err != nil {
		return err
	}
	d.add(purge.SeverityWarning, name, sql, "there is no ledger: when a connection is lost at COMMIT, counts become a lower bound")
	return nil
}
