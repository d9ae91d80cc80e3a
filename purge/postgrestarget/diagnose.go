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

// Diagnose implements [purge.Doctor]. It reads the catalog, looks for rows without a
// tenant, asks for the subscriptions of nobody, and tries the statements of the
// operator's own for a tenant that does not exist, in a transaction that is rolled
// back: it reads no row of a tenant.
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
	l := &lease{conn}
	defer l.release()
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	d := &diagnosis{lease: l, conn: conn.Conn(), target: t, schema: s}
	if t.pooler.found.Load() {
		d.add(purge.SeverityInfo, "connection", "", "a pooler stands before the database: no statement is prepared, and nothing is set beyond a transaction")
	}
	d.encryption()
	if err = d.findPurgers(ctx); err == nil {
		err = d.role(ctx)
	}
	if err == nil {
		d.shared()
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

// encryption looks at what the way to the server is like.
func (d *diagnosis) encryption() {
	cfg := &d.target.pool.Config().ConnConfig.Config
	switch open, blind := inTheClear(cfg), unverified(cfg); {
	case open != "":
		d.add(purge.SeverityWarning, "insecure", "", "passwords and rows may go over the network to %q unencrypted; use sslmode=verify-full in the dsn", open)
	case blind != "":
		d.add(purge.SeverityWarning, "dsn", "", "nobody looks at the certificate of %q: another server could take its place; use sslmode=verify-full", blind)
	}
}

// diagnosis gathers findings.
type diagnosis struct {
	lease  *lease
	conn   *pgx.Conn // of lease
	target *Target
	schema *schema
	found  []purge.Finding

	purgers purgers

	user  string
	super bool
}

// add notes a finding, once. fix is SQL, which gets its last semicolon here, or "".
func (d *diagnosis) add(s purge.Severity, subject, fix, format string, args ...any) {
	if fix = strings.TrimSpace(fix); fix != "" && !strings.HasSuffix(fix, ";") {
		fix += ";"
	}
	f := purge.Finding{Severity: s, Subject: subject, Text: fmt.Sprintf(format, args...), Fix: fix}
	if !slices.Contains(d.found, f) {
		d.found = append(d.found, f)
	}
}

// kind looks at one kind.
func (d *diagnosis) kind(ctx context.Context, kind store.Kind) error {
	src := d.schema.sources[kind]
	switch {
	case src.err != nil:
		d.add(purge.SeverityError, string(kind), "", "%s", src.err)
		return nil //nolint:nilerr // it is a finding
	case src.own != nil:
		if err := d.collations(ctx, kind, src.own); err != nil {
			return err
		}
		d.own(ctx, kind, src.own)
		limit := "and removes up to a limit at a time"
		severity := purge.SeverityInfo
		if !src.own.limited {
			limit, severity = "and removes everything of a tenant in one transaction, having no $2", purge.SeverityWarning
		}
		d.add(severity, string(kind), "", "has statements of its own, which PostgreSQL understands; delete takes one tenant at a time %s", limit)
		return nil
	}
	for _, look := range []func(context.Context, *table) error{d.rights, d.columns, d.vetoes, d.foreignKeys} {
		if err := look(ctx, src.table); err != nil {
			return err
		}
	}
	return nil
}

// subject names a table, and for which kinds it is purged here.
func (d *diagnosis) subject(tbl *table) string {
	var kinds []string
	for _, kind := range d.purgers.kindsOf(tbl) {
		kinds = append(kinds, string(kind))
	}
	return strings.Join(kinds, ", ") + " " + tbl.name
}

// subscriptions asks how many nobody has: what PostgreSQL understands it may still
// refuse to run.
func (d *diagnosis) subscriptions(ctx context.Context) {
	err := d.schema.subscriptions.err
	if err == nil {
		typ := d.schema.subscriptions.typ
		_, err = d.target.askSubscriptions(ctx, d.conn, typ, typ.nobody())
		err = refused("subscriptions", err)
	}
	if err != nil {
		d.add(purge.SeverityError, "subscriptions", "", "%s", err)
		return
	}
	d.add(purge.SeverityInfo, "subscriptions", "", "the statement answers; a tenant with any is not purged")
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
		d.add(purge.SeverityError, d.subject(tbl), fmt.Sprintf("GRANT %s ON %s TO %s", strings.Join(missing, ", "), tbl.name, quote(d.user)),
			"the role lacks %s", strings.Join(missing, " and "))
	}
	if len(wide) > 0 && !d.super {
		d.add(purge.SeverityWarning, d.subject(tbl), fmt.Sprintf("REVOKE %s ON %s FROM %s", strings.Join(wide, ", "), tbl.name, quote(d.user)),
			"the role has %s, which no purge needs; an owner has them all", strings.Join(wide, ", "))
	}
	if hidden {
		d.add(purge.SeverityError, d.subject(tbl), "ALTER ROLE "+quote(d.user)+" BYPASSRLS",
			"row-level security applies to the role: rows that a policy hides could not be told from rows that are gone")
	}
	return nil
}
