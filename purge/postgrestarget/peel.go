package postgrestarget

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// selfReference is a foreign key of a table to itself that refuses the deletion of a
// row while others refer to it, such as that of a user to the manager.
type selfReference struct {
	Name          string
	Columns, Keys []string // quoted
}

const selfReferencesQuery = `
SELECT f.conname,
       array(SELECT pg_catalog.quote_ident(a.attname) FROM unnest(f.conkey) WITH ORDINALITY k (num, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num ORDER BY k.place),
       array(SELECT pg_catalog.quote_ident(a.attname) FROM unnest(f.confkey) WITH ORDINALITY k (num, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num ORDER BY k.place)
FROM pg_catalog.pg_constraint f
WHERE f.contype = 'f' AND f.conrelid = $1 AND f.confrelid = $1 AND f.confdeltype IN ('a', 'r') AND f.conparentid = 0 ORDER BY 1`

func selfReferencesOf(ctx context.Context, conn *pgx.Conn, oid uint32) ([]selfReference, error) {
	rows, err := conn.Query(ctx, selfReferencesQuery, oid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[selfReference])
}

// refer returns the condition that the alias r is another row that refers to the alias
// t by the key.
func (s selfReference) refer(r, t string) string {
	refers, same := make([]string, len(s.Keys)), make([]string, len(s.Keys))
	for i, k := range s.Keys {
		refers[i] = fmt.Sprintf("%s.%s = %s.%s", r, s.Columns[i], t, k)
		same[i] = fmt.Sprintf("%s.%s = %s.%s", r, k, t, k)
	}
	return fmt.Sprintf("%s AND NOT (%s)", strings.Join(refers, " AND "), strings.Join(same, " AND "))
}

// leavesSQL is [table.walkSQL] for rows that no other row of the table refers to. With
// one key to follow it goes up from them through rows to which none but such a row
// refers, so that a chain of rows takes one step and not one for each.
func (tbl *table) leavesSQL(ledger string) string {
	columns, among := tbl.address()
	tenant := tbl.is("($1::" + tbl.typ.sql + "[])[1]")
	var free []string
	for _, s := range tbl.selfs {
		free = append(free, fmt.Sprintf("NOT EXISTS (SELECT FROM %s r WHERE %s)", tbl.name, s.refer("r", "t")))
	}
	where := tenant + " AND " + strings.Join(free, " AND ")
	if len(tbl.selfs) > 1 {
		doomed := fmt.Sprintf("SELECT %s FROM %s t WHERE %s LIMIT $2::bigint", columns, tbl.name, where)
		return tbl.removalSQL(ledger, doomed, among, tenant, "NULL::text[]", 3)
	}
	s := tbl.selfs[0]
	up, is, only := make([]string, len(s.Keys)), make([]string, len(s.Keys)), make([]string, len(s.Keys))
	for i, k := range s.Keys {
		columns += fmt.Sprintf(", t.%s AS u%d, t.%s AS k%d", s.Columns[i], i, k, i)
		up[i] = fmt.Sprintf("t.%s = b.u%d", k, i)
		is[i] = fmt.Sprintf("t.%s = b.k%d", k, i)
		only[i] = fmt.Sprintf("r.%s = b.k%d", k, i)
	}
	doomed := fmt.Sprintf(`WITH RECURSIVE b AS ((SELECT %[1]s FROM %[2]s t WHERE %[3]s LIMIT $2::bigint)
UNION ALL SELECT %[1]s FROM b JOIN %[2]s t ON %[4]s AND NOT (%[5]s) WHERE %[6]s
 AND NOT EXISTS (SELECT FROM %[2]s r WHERE %[7]s AND NOT (%[8]s))) SELECT * FROM b LIMIT $2::bigint`,
		columns, tbl.name, where, strings.Join(up, " AND "), strings.Join(is, " AND "), tenant, s.refer("r", "t"), strings.Join(only, " AND "))
	return tbl.removalSQL(ledger, doomed, among, tenant, "NULL::text[]", 3)
}

// peel removes up to a limit of rows of a tenant from a table whose rows refer to each
// other: those first to which none refers.
func (t *Target) peel(ctx context.Context, conn *lease, s *schema, tbl *table, p *removing, tenant string, limit int64) (purge.Removed, outcome) {
	step, out := t.walkStep(ctx, conn, s, tbl, p, tenant, limit, nil, true)
	switch {
	case out.err != nil:
		return purge.Removed{}, out
	case step.gone > 0:
		return purge.Removed{Deleted: step.gone, More: true}, outcome{}
	}
	// All that is left is referred to. In one statement it may go.
	step, out = t.walkStep(ctx, conn, s, tbl, p, tenant, limit, nil, false)
	pg := asPgError(out.err)
	if pg != nil && pg.Code == codeForeignKey && slices.ContainsFunc(tbl.selfs, func(s selfReference) bool { return s.Name == pg.ConstraintName }) {
		out.err = store.Errorf(store.Precondition,
			"delete: the foreign key %q: rows of %s refer to each other in circles, which a step of %d rows does not hold whole, or rows that stay refer to them; a larger limits.batch, or to set its columns to NULL, lets them go",
			pg.ConstraintName, tbl.name, limit)
	}
	if out.err != nil {
		return purge.Removed{}, out
	}
	return purge.Removed{Deleted: step.gone, More: step.looked >= limit}, out
}
