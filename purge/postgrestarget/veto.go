package postgrestarget

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
)

// Triggers for each row before a DELETE, and rules instead of one, of a table and of
// what inherits from it.
const vetoesQuery = `
WITH RECURSIVE tables (oid) AS (
  SELECT $1::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tables t ON i.inhparent = t.oid)
SELECT DISTINCT false, pg_catalog.quote_ident(g.tgname) FROM pg_catalog.pg_trigger g JOIN tables t ON g.tgrelid = t.oid
WHERE NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & 11 = 11
UNION ALL
SELECT DISTINCT true, pg_catalog.quote_ident(r.rulename) FROM pg_catalog.pg_rewrite r JOIN tables t ON r.ev_class = t.oid
WHERE r.ev_type = '4' AND r.is_instead AND r.ev_enabled IN ('O', 'A')
ORDER BY 1, 2`

// vetoes looks for what may keep rows of a table from being deleted, without an error.
func (d *diagnosis) vetoes(ctx context.Context, tbl *table) error {
	rows, err := d.conn.Query(ctx, vetoesQuery, tbl.oid)
	if err != nil {
		return err
	}
	var rule bool
	var name string
	_, err = pgx.ForEachRow(rows, []any{&rule, &name}, func() error {
		switch {
		case rule:
			d.add(purge.SeverityWarning, d.subject(tbl), "", "the rule %s does something instead of a DELETE: no row goes, and no purge comes to an end", name)
		case tbl.ordered:
			d.add(purge.SeverityInfo, d.subject(tbl), "", "the trigger %s is called before each DELETE: a row that it keeps keeps the tenant from being purged", name)
		default:
			d.add(purge.SeverityWarning, d.subject(tbl), "",
				"the trigger %s is called before each DELETE: a row that it keeps keeps the tenant from being purged, and without an index on the tenant column and the key it may hold up the rows behind it", name)
		}
		return nil
	})
	return err
}
