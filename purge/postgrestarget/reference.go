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

// reference is a foreign key to a table, or to one that a cascade reaches.
type reference struct {
	Name, Child, Parent, Action string
	ChildOID                    uint32
	Columns                     []string
	Indexed, Partitioned        bool
	ChildName                   string // without its schema
	// Cascading is what the constraint would be like if it let rows go along.
	Cascading string
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
                   WHERE a.attrelid = f.conrelid AND a.attnum = i.indkey[0]))),
       c.relkind = 'p', c.relname,
       pg_catalog.format('FOREIGN KEY (%s) REFERENCES %I.%I (%s)',
         (SELECT string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY k (num, place)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num), pn.nspname, p.relname,
         (SELECT string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY k (num, place)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num))
       || CASE f.confmatchtype WHEN 'f' THEN ' MATCH FULL' ELSE '' END
       || CASE f.confupdtype WHEN 'r' THEN ' ON UPDATE RESTRICT' WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'n' THEN ' ON UPDATE SET NULL'
          WHEN 'd' THEN ' ON UPDATE SET DEFAULT' ELSE '' END || ' ON DELETE CASCADE'
       || CASE WHEN f.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN f.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END
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
		err := row.Scan(&r.Name, &r.Child, &r.Parent, &r.Action, &r.ChildOID, &r.Columns, &r.Indexed, &r.Partitioned, &r.ChildName, &r.Cascading)
		return r, err
	})
	if err != nil {
		return err
	}
	for _, r := range references {
		columns := strings.Join(r.Columns, ", ")
		if !r.Indexed {
			d.add(purge.SeverityWarning, r.Child, indexSQL(r.Child, r.Partitioned, r.Columns),
				"the foreign key %q (%s) to %s has no index: each row that is deleted there reads this whole table", r.Name, columns, r.Parent)
		}
		by := d.purgers.of(r.ChildOID, r.ChildName)
		key := tbl.foreignKey(r)
		d.crossing(r, key)
		switch refuses := r.Action == "a" || r.Action == "r"; {
		case refuses && r.ChildOID == tbl.oid:
			d.add(purge.SeverityInfo, r.Child, "",
				"the foreign key %q refers to the table itself: of a tenant with more rows than limits.batch those go first that none refers to; rows that refer to each other in a circle have to go in one step", r.Name)
		case r.ChildOID == tbl.oid:
		case refuses && len(by) > 0:
			d.order(tbl, r, by)
		case slices.ContainsFunc(by, func(p purger) bool { return p.oid == r.ChildOID }): // and counts them
		case refuses:
			d.refuses(r, key)
		case r.Action == "c":
			d.add(purge.SeverityInfo, r.Child, "", "rows go along with those of %s, by the foreign key %q, and are not counted", r.Parent, r.Name)
		}
	}
	if tbl.unfollowed {
		d.add(purge.SeverityWarning, d.subject(tbl), "",
			"rows go along with it in a circle of foreign keys, or by more than %d ways: whether all of them are of the same tenant cannot be told", maxWays)
	}
	return nil
}

// foreignKey returns what is known of the reference; nothing where it was made just now.
func (tbl *table) foreignKey(r reference) *foreignKey {
	for _, key := range tbl.foreign {
		if key.ChildOID == r.ChildOID && key.Name == r.Name {
			return key
		}
	}
	return &foreignKey{}
}

// refuses looks at rows that nothing removes before those that they refer to. To let
// them go along is said only where they are of the same tenant for sure.
func (d *diagnosis) refuses(r reference, key *foreignKey) {
	const refuses = "the foreign key %q refuses the deletion from %s while rows refer to it, and nothing here purges them; "
	switch {
	case key.within:
		d.add(purge.SeverityWarning, r.Child,
			fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %[2]s %s", r.Child, quote(r.Name), r.Cascading),
			refuses+"let them go along, or have a kind delete them before", r.Name, r.Parent)
	case key.strays != "":
		d.add(purge.SeverityWarning, r.Child, key.strays,
			refuses+"have a kind delete them before, or let the key be ON DELETE SET NULL; with ON DELETE CASCADE rows of other tenants could go along, since it does not contain the tenant column on both sides: see how many there are",
			r.Name, r.Parent)
	default:
		d.add(purge.SeverityWarning, r.Child, "",
			refuses+"have a kind delete them before, or let the key be ON DELETE SET NULL; ON DELETE CASCADE is for rows that are nobody else's, which cannot be told, since there is no tenant column",
			r.Name, r.Parent)
	}
}

// crossing looks at a key by which a deletion may reach rows of other tenants (G4).
func (d *diagnosis) crossing(r reference, key *foreignKey) {
	does := map[string]string{"c": "rows go along with those of", "d": "rows get a default when they lose those of"}[r.Action]
	if does == "" || key.within {
		return
	}
	warn := func(fix, rest string) {
		d.add(purge.SeverityWarning, r.Child, fix, "%s %s, by the foreign key %q, which does not contain the tenant column on both sides: %s", does, r.Parent, r.Name, rest)
	}
	switch {
	case len(key.unread) > 0:
		warn(fmt.Sprintf("GRANT SELECT ON %s TO %s;\n%s", strings.Join(key.unread, ", "), quote(d.user), key.strays),
			"rows of other tenants go, too, since the role may not read what would tell them; with the right to, the purge of a tenant is refused; see how many there are")
	case key.strays != "" && r.Action == "c":
		warn(key.strays, "where there are rows of other tenants, the purge of a tenant is refused; see how many there are")
	case key.strays != "":
		warn(key.strays, "rows of other tenants are changed, too; see how many there are")
	case key.Others > 0:
		warn("", "it has no tenant column, and other foreign keys: rows may be of other tenants as well")
	}
}

// order looks at rows that others refer to, which others are to remove before.
func (d *diagnosis) order(tbl *table, r reference, by purgers) {
	kind := d.purgers.kindsOf(tbl)[0]
	for _, p := range by {
		if before(p.kind, kind) {
			return
		}
	}
	d.add(purge.SeverityWarning, r.Child, "",
		"the foreign key %q refuses the deletion from %s while rows refer to it, and %s does not remove them before kind %s: the order is %v; have a kind that comes before remove them, or statements of kind %[4]s remove both",
		r.Name, r.Parent, by[0].name(), kind, store.Kinds())
}
