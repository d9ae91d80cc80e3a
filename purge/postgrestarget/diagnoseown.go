package postgrestarget

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// own looks at the rights that statements of the operator's own need, and whether
// they heed the tenant.
func (d *diagnosis) own(ctx context.Context, kind store.Kind, o *own) {
	remove := []any{o.delType.value(o.delType.nobody())}
	if o.limited {
		remove = append(remove, int64(1))
	}
	count := d.refused(ctx, o.count, o.countType.value(o.countType.nobody()))
	if count != nil {
		d.add(purge.SeverityError, string(kind), "", "count: %s", count)
	}
	removal := d.refused(ctx, o.remove, remove...)
	if removal != nil {
		d.add(purge.SeverityError, string(kind), "", "delete: %s", removal)
	}
	if count != nil || removal != nil {
		return
	}
	switch err := d.target.tryOwn(ctx, d.lease, kind, o); {
	case err == nil:
	case aboutValue(err), store.CodeOf(refusedTry(kind, err)) == store.Unavailable:
		d.add(purge.SeverityWarning, string(kind), "", "its statements could not be tried for a tenant that does not exist: %s", refusedTry(kind, err))
	default:
		d.add(purge.SeverityError, string(kind), "", "%s", refusedTry(kind, err))
	}
}

// collations looks for columns in which texts that differ are equal, of tables that the
// statements name: what is compared with $1 may be of a tenant with another id.
func (d *diagnosis) collations(ctx context.Context, kind store.Kind, o *own) error {
	rows, err := d.conn.Query(ctx, `
SELECT c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname), a.attname, pg_catalog.quote_ident(a.attname)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation AND NOT l.collisdeterministic
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 2, 3`)
	if err != nil {
		return err
	}
	statements := purgers{{remove: o.count + "\n" + o.remove}}
	var table, full, column, quoted string
	_, err = pgx.ForEachRow(rows, []any{&table, &full, &column, &quoted}, func() error {
		if statements.mention(table) && statements.mention(column) {
			d.add(purge.SeverityWarning, string(kind), "",
				`its statements name %s, and in the column %s texts that differ may be equal, since its collation is nondeterministic: rows of a tenant with another id could go; compare it as %[2]s COLLATE "C" = $1`, full, quoted)
		}
		return nil
	})
	return err
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
