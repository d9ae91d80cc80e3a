package postgrestarget

import (
	"fmt"
	"strings"
)

// matches returns the condition that the alias t belongs to the tenants in $1,
// byte by byte. The first half is for the index.
func (tbl *table) matches() string {
	cond := fmt.Sprintf("t.%s = ANY($1::%s[])", tbl.tenant, tbl.typ.sql)
	if !tbl.typ.exact {
		cond += fmt.Sprintf(` AND t.%s COLLATE "C" = ANY($1::%s[])`, tbl.tenant, tbl.typ.sql)
	}
	return cond
}

// is returns the condition that the alias t belongs to one tenant, an expression.
func (tbl *table) is(tenant string) string {
	cond := fmt.Sprintf("t.%s = %s", tbl.tenant, tenant)
	if !tbl.typ.exact {
		cond += fmt.Sprintf(` AND t.%s COLLATE "C" = %s`, tbl.tenant, tenant)
	}
	return cond
}

// id returns the tenant of the alias t as text that is compared byte by byte.
func (tbl *table) id() string { return fmt.Sprintf(`t.%s::text COLLATE "C"`, tbl.tenant) }

// countSQL counts for the tenants $1, one row for each that has any.
func (tbl *table) countSQL() string {
	return fmt.Sprintf("SELECT %s AS tenant, count(*) FROM %s t WHERE %s GROUP BY 1", tbl.id(), tbl.name, tbl.matches())
}

// address returns how rows are named: the columns to select of the alias t,
// under aliases a1, a2, ..., and the condition that t is among those doomed.
func (tbl *table) address() (columns, among string) {
	if tbl.whole {
		// A scan by ctid is what the planner makes of it, whatever it believes of
		// the table's size.
		return "t.ctid AS a1", "t.ctid = ANY(ARRAY(SELECT a1 FROM doomed))"
	}
	selected, names, aliases := make([]string, len(tbl.key)), make([]string, len(tbl.key)), make([]string, len(tbl.key))
	for i, k := range tbl.key {
		names[i], aliases[i] = "t."+k.name, fmt.Sprintf("a%d", i+1)
		selected[i] = names[i] + " AS " + aliases[i]
	}
	columns = strings.Join(selected, ", ")
	if len(names) == 1 {
		return columns, names[0] + " = ANY(ARRAY(SELECT a1 FROM doomed))"
	}
	return columns, fmt.Sprintf("(%s) IN (SELECT %s FROM doomed)", strings.Join(names, ", "), strings.Join(aliases, ", "))
}

// removal returns the end of a statement that removes what is doomed, counts it
// by tenant in "tally", and notes that in the ledger, if there is one, as the
// batch in the three parameters from first on.
func (tbl *table) removal(ledger string, first int) string {
	_, among := tbl.address()
	sql := fmt.Sprintf(`, gone AS (DELETE FROM %s t WHERE %s AND %s RETURNING %s AS tenant)
, tally AS (SELECT tenant, count(*) AS n FROM gone GROUP BY 1)`, tbl.name, among, tbl.matches(), tbl.id())
	if ledger != "" {
		sql += fmt.Sprintf("\n, noted AS (%s)", noteSQL(ledger, fmt.Sprintf("SELECT $%d::text, tenant, $%d::text, n, $%d::uuid, n FROM tally ORDER BY tenant",
			first, first+1, first+2)))
	}
	return sql
}

// groupSQL removes rows of the tenants $1, of each at most what $2 says, and $3
// in all. The first tenants come first: one after the one at which $3 is reached
// was not looked at. It returns how many rows were looked at by the tenant's
// place in $1, and how many are gone by tenant.
func (tbl *table) groupSQL(ledger string) string {
	columns, _ := tbl.address()
	return fmt.Sprintf(`WITH doomed AS (
 SELECT asked.place, r.* FROM unnest($1::%s[], $2::bigint[]) WITH ORDINALITY AS asked (id, most, place)
 CROSS JOIN LATERAL (SELECT %s FROM %s t WHERE %s LIMIT asked.most) AS r
 ORDER BY asked.place LIMIT $3::bigint)
%s
SELECT place, NULL AS tenant, count(*) AS n FROM doomed GROUP BY place UNION ALL SELECT NULL, tenant, n FROM tally`,
		tbl.typ.sql, columns, tbl.name, tbl.is("asked.id"), tbl.removal(ledger, 4))
}

// walkSQL removes at most $2 rows of the one tenant in $1, in the order of the
// key. after says that they come after the key in the parameters from $3 on. It
// returns one row: how many rows were looked at, how many are gone, and the last
// key as texts.
func (tbl *table) walkSQL(ledger string, after bool) string {
	columns, _ := tbl.address()
	n := len(tbl.key)
	names, bounds, kept, texts, downward := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, k := range tbl.key {
		names[i] = "t." + k.name
		bounds[i] = fmt.Sprintf("$%d::text::%s", i+3, k.typ)
		kept[i] = fmt.Sprintf("t.%s AS k%d", k.name, i+1)
		texts[i] = fmt.Sprintf("k%d::text", i+1)
		downward[i] = fmt.Sprintf("k%d DESC", i+1)
	}
	where, next := tbl.is("($1::"+tbl.typ.sql+"[])[1]"), 3
	if after {
		where += fmt.Sprintf(" AND (%s) > (%s)", strings.Join(names, ", "), strings.Join(bounds, ", "))
		next += n
	}
	return fmt.Sprintf(`WITH doomed AS (
 SELECT %s, %s FROM %s t WHERE %s ORDER BY %s LIMIT $2::bigint)
%s
SELECT (SELECT count(*) FROM doomed), coalesce((SELECT sum(n)::bigint FROM tally), 0), (SELECT ARRAY[%s] FROM doomed ORDER BY %s LIMIT 1)`,
		columns, strings.Join(kept, ", "), tbl.name, where, strings.Join(names, ", "),
		tbl.removal(ledger, next), strings.Join(texts, ", "), strings.Join(downward, ", "))
}
