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
	if !tbl.typ.exact || tbl.typ.sql == "text" {
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

// groupSQL removes the rows of the tenants $1, each of the call whose place is
// beside it in $2, unless there are more than $3 in all. It returns how many it
// found, counted no further than to one more than that, beside a NULL, by
// place how many are gone, and beside -1 how many are gone in all: in a column whose
// collation has changed they may be of tenants that nobody asked about. Where rows of
// others would go along it removes none, and returns beside -2 and less how many, by
// guard. The parameters from $4 on are those of [noteSQL], the last one of them the
// accounts by place, and where there are guards the tenants that are no others.
func (tbl *table) groupSQL(ledger string) string {
	doomed := tbl.matches() + " AND (SELECT n FROM found) <= $3::bigint"
	strays, unless, astray := "", "", ""
	if len(tbl.guards) > 0 {
		strays = ", strays AS (" + tbl.straysSQL(doomed, behindNote(ledger, 4)) + ")\n"
		unless, astray = " AND NOT EXISTS (SELECT FROM strays)", " UNION ALL SELECT -2 - guard, n FROM strays"
	}
	sql := fmt.Sprintf(`WITH found AS (SELECT count(*) AS n FROM (SELECT FROM %[1]s t WHERE %[2]s LIMIT $3::bigint + 1) AS these)
%[5]s, gone AS (DELETE FROM %[1]s t WHERE %[6]s RETURNING %[3]s AS tenant)
, tenants AS (SELECT tenant, count(*) AS n FROM gone GROUP BY 1)
, tally AS (SELECT asked.place, sum(n)::bigint AS n FROM tenants JOIN unnest($1::%[4]s[], $2::bigint[]) AS asked (id, place)
 ON asked.id::text COLLATE "C" = tenants.tenant GROUP BY 1)`, tbl.name, tbl.matches(), tbl.id(), tbl.typ.sql, strays, doomed+unless)
	if ledger != "" {
		sql += fmt.Sprintf("\n, noted AS (%s)", noteSQL(ledger,
			"SELECT $4::text, ($7::text[])[place + 1], $5::text, sum(n)::bigint, $6::uuid, sum(n)::bigint FROM tally GROUP BY 2 ORDER BY 2"))
	}
	return sql + "\nSELECT NULL::bigint, n FROM found UNION ALL SELECT place, n FROM tally" +
		" UNION ALL SELECT -1, sum(n)::bigint FROM tenants HAVING sum(n) > 0" + astray
}

// behindNote returns the number of the parameter behind those of [noteSQL], which begin
// at one.
func behindNote(ledger string, next int) int {
	if ledger == "" {
		return next
	}
	return next + 4
}

// walkSQL removes at most $2 rows of the one tenant in $1, in the order of the
// key where an index has it. after says that they come after the key in the
// parameters from $3 on; those of [noteSQL] follow, and where there are guards the
// tenants that are no others. It returns one row: how many rows were looked at, how many
// are gone, the last key as texts, NULL without an order, and a guard by which rows of
// others would go along, with their number: then none is gone, else NULL.
func (tbl *table) walkSQL(ledger string, after bool) string {
	columns, among := tbl.address()
	tenant := tbl.is("($1::" + tbl.typ.sql + "[])[1]")
	where, order, last, next := tenant, "", "NULL::text[]", 3
	if tbl.ordered {
		n := len(tbl.key)
		names, bounds, texts, downward := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		for i, k := range tbl.key {
			names[i] = "t." + k.name
			bounds[i] = fmt.Sprintf("$%d::text::%s", i+3, k.typ)
			columns += fmt.Sprintf(", t.%s AS k%d", k.name, i+1)
			texts[i] = fmt.Sprintf("k%d::text", i+1)
			downward[i] = fmt.Sprintf("k%d DESC", i+1)
		}
		if after {
			where += fmt.Sprintf(" AND (%s) > (%s)", strings.Join(names, ", "), strings.Join(bounds, ", "))
			next += n
		}
		order = " ORDER BY " + strings.Join(names, ", ")
		last = fmt.Sprintf("(SELECT ARRAY[%s] FROM doomed ORDER BY %s LIMIT 1)", strings.Join(texts, ", "), strings.Join(downward, ", "))
	}
	return tbl.removalSQL(ledger, fmt.Sprintf("SELECT %s FROM %s t WHERE %s%s LIMIT $2::bigint", columns, tbl.name, where, order), among, tenant, last, next)
}

// removalSQL removes the rows that a query finds, which are doomed, among those of a
// tenant. next is the first parameter of [noteSQL].
func (tbl *table) removalSQL(ledger, doomed, among, tenant, last string, next int) string {
	condition := among + " AND " + tenant
	strays, unless, astray := "", "", "NULL::bigint, NULL::bigint"
	if len(tbl.guards) > 0 {
		looked := condition
		if tbl.selfCascade { // others of the tenant go along, and what hangs on those
			looked = tenant
		}
		strays = ", strays AS (" + tbl.straysSQL(looked, behindNote(ledger, next)) + ")\n"
		unless = " AND NOT EXISTS (SELECT FROM strays)"
		astray = "(SELECT guard FROM strays ORDER BY 1 LIMIT 1), (SELECT n FROM strays ORDER BY guard LIMIT 1)"
	}
	sql := fmt.Sprintf(`WITH doomed AS (%[2]s)
%[3]s, gone AS (DELETE FROM %[1]s t WHERE %[4]s RETURNING 1)
, tally AS (SELECT count(*) AS n FROM gone)`, tbl.name, doomed, strays, condition+unless)
	if ledger != "" {
		sql += fmt.Sprintf("\n, noted AS (%s)", noteSQL(ledger,
			fmt.Sprintf("SELECT $%d::text, $%d::text, $%d::text, n, $%d::uuid, n FROM tally WHERE n > 0", next, next+3, next+1, next+2)))
	}
	return sql + fmt.Sprintf("\nSELECT (SELECT count(*) FROM doomed), (SELECT n FROM tally), %s, %s", last, astray)
}
