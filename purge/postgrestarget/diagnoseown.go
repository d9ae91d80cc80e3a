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
