package postgrestarget

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// foreignKey is a key to the table that is purged, or to one whose rows go along with
// those of it.
type foreignKey struct {
	Name, Action             string // as in the catalog; "c" takes rows along
	ChildOID, ParentOID      uint32
	Child, Parent            string // quoted
	ChildNums, ParentNums    []int16
	ChildColumns, ParentKeys []string // quoted
	// Readable: the role may count all rows of the child. Plain: it has no partitions,
	// so that no row of another table goes along.
	Readable, Plain bool
	// Others is how many further foreign keys the child has.
	Others int
	// Named is the child's column with the name and the type of the tenant column, 0
	// for none.
	Named int16

	tenant tenantColumn // of the child
	// within: the key has the tenant column on both sides, so that a row goes along
	// with one of its own tenant alone.
	within bool
	// strays counts the rows of the child that hang on those of another tenant; "" where
	// they cannot be told.
	strays string
	// unread are tables that the role may not read, for which there is no guard.
	unread []string
}

// tenantColumn says whose a row is; the zero value is that of a table without one.
type tenantColumn struct {
	num  int16
	name string // quoted
}

// guard finds rows of other tenants that would go along with those of a table.
type guard struct {
	key  *foreignKey
	from string // with the table as the alias t
	id   string // whose a row of the child is, as [table.id]
}

const foreignKeysQuery = `
WITH RECURSIVE seeds (oid) AS (
  SELECT $1::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN seeds s ON i.inhparent = s.oid
), reached (oid) AS (
  SELECT oid FROM seeds
  UNION
  SELECT f.conrelid FROM pg_catalog.pg_constraint f JOIN reached r ON f.confrelid = r.oid WHERE f.contype = 'f' AND f.confdeltype = 'c')
SELECT f.conname, f.confdeltype::text, f.conrelid, CASE WHEN f.confrelid IN (SELECT oid FROM seeds) THEN $1::oid ELSE f.confrelid END,
       pg_catalog.format('%I.%I', cn.nspname, c.relname), pg_catalog.format('%I.%I', pn.nspname, p.relname), f.conkey, f.confkey,
       array(SELECT pg_catalog.quote_ident(a.attname) FROM unnest(f.conkey) WITH ORDINALITY k (num, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num ORDER BY k.place),
       array(SELECT pg_catalog.quote_ident(a.attname) FROM unnest(f.confkey) WITH ORDINALITY k (num, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num ORDER BY k.place),
       pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') AND pg_catalog.has_table_privilege(f.conrelid, 'SELECT')
         AND NOT pg_catalog.row_security_active(f.conrelid), c.relkind = 'r',
       (SELECT count(*) FROM pg_catalog.pg_constraint o WHERE o.contype = 'f' AND o.conrelid = f.conrelid AND o.oid <> f.oid AND o.conparentid = 0),
       coalesce((SELECT a.attnum FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attribute t ON t.attrelid = $1 AND t.attnum = $2
                 WHERE a.attrelid = f.conrelid AND a.attname = t.attname AND a.attnum > 0 AND NOT a.attisdropped
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i -- it names the row, and not whose it is
                     WHERE i.indrelid = f.conrelid AND i.indisprimary AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
                   AND (a.atttypid = t.atttypid OR a.atttypid = ANY ($3::oid[]) AND t.atttypid = ANY ($3::oid[]))), 0)
FROM pg_catalog.pg_constraint f JOIN reached r ON f.confrelid = r.oid
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = f.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE f.contype = 'f'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint whole JOIN reached w ON w.oid = whole.confrelid WHERE whole.oid = f.conparentid)
ORDER BY 5, 1`

// describeForeignKeys finds what hangs on the rows of a table. known has the
// tenant columns of the tables that are configured.
func describeForeignKeys(ctx context.Context, conn *pgx.Conn, tbl *table, known map[uint32]tenantColumn) error {
	rows, err := conn.Query(ctx, foreignKeysQuery, tbl.oid, tbl.num, []uint32{pgtype.TextOID, pgtype.VarcharOID})
	if err != nil {
		return err
	}
	tbl.foreign, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*foreignKey, error) {
		c := &foreignKey{}
		err := row.Scan(&c.Name, &c.Action, &c.ChildOID, &c.ParentOID, &c.Child, &c.Parent, &c.ChildNums, &c.ParentNums,
			&c.ChildColumns, &c.ParentKeys, &c.Readable, &c.Plain, &c.Others, &c.Named)
		return c, err
	})
	if err == nil {
		tbl.setGuards(known)
	}
	return err
}

// maxWays bounds how many ways from table to table are followed.
const maxWays = 100

// way is how rows of a table are reached from the one that is purged.
type way struct {
	at     uint32
	tenant tenantColumn // there
	from   string       // FROM, with aliases t, c1, c2, ...
	keys   []*foreignKey
}

// setGuards follows the foreign keys from the table on, each once on a way, and makes
// a guard for each that may reach rows of other tenants. Whose a row is the column of
// the configuration tells, or the one that a key says is the same, or the one of the
// same name and type.
func (tbl *table) setGuards(known map[uint32]tenantColumn) {
	ways := []way{{at: tbl.oid, tenant: tenantColumn{tbl.num, tbl.tenant}, from: tbl.name + " t"}}
	for i := 0; i < len(ways); i++ {
		w := ways[i]
		for _, c := range tbl.foreign {
			if c.ParentOID != w.at {
				continue
			}
			if slices.Contains(w.keys, c) || len(ways) > maxWays {
				tbl.unfollowed = tbl.unfollowed || c.Action == "c"
				continue
			}
			c.identify(tbl, w.tenant, known)
			next := w.along(c)
			if c.tenant.name != "" && !c.within {
				g := guard{c, next.from, fmt.Sprintf(`c%d.%s::text COLLATE "C"`, len(next.keys), c.tenant.name)}
				if c.strays == "" {
					c.strays = fmt.Sprintf("SELECT count(*) FROM %s WHERE %s <> %s", g.from, g.id, tbl.id())
				}
				switch unread := next.unread(); {
				case c.Action != "c":
				case len(unread) > 0:
					c.unread = unread
				default:
					tbl.guards = append(tbl.guards, g)
				}
			}
			switch {
			case c.Action != "c":
			case c.ChildOID == tbl.oid: // what goes on from there begins with all rows of a tenant
				tbl.selfCascade = true
			default:
				ways = append(ways, next)
			}
		}
	}
}

// along returns the way that goes on by a key.
func (w way) along(c *foreignKey) way {
	above, below := "t", fmt.Sprintf("c%d", len(w.keys)+1)
	if len(w.keys) > 0 {
		above = fmt.Sprintf("c%d", len(w.keys))
	}
	on := make([]string, len(c.ChildColumns))
	for i := range on {
		on[i] = fmt.Sprintf("%s.%s = %s.%s", below, c.ChildColumns[i], above, c.ParentKeys[i])
	}
	child := c.Child
	if c.Plain {
		child = "ONLY " + child
	}
	return way{
		at: c.ChildOID, tenant: c.tenant, keys: append(slices.Clone(w.keys), c),
		from: fmt.Sprintf("%s JOIN %s %s ON %s", w.from, child, below, strings.Join(on, " AND ")),
	}
}

// unread returns the tables on the way that the role may not read.
func (w way) unread() (tables []string) {
	for _, c := range w.keys {
		if !c.Readable && !slices.Contains(tables, c.Child) {
			tables = append(tables, c.Child)
		}
	}
	return tables
}

// identify finds the tenant column of the child, given that of the parent.
func (c *foreignKey) identify(tbl *table, parent tenantColumn, known map[uint32]tenantColumn) {
	at := -1
	if parent.num != 0 {
		at = slices.Index(c.ParentNums, parent.num)
	}
	column, configured := known[c.ChildOID]
	switch {
	case c.ChildOID == tbl.oid:
		c.tenant = tenantColumn{tbl.num, tbl.tenant}
	case configured:
		c.tenant = column
	case at >= 0:
		c.tenant = tenantColumn{c.ChildNums[at], c.ChildColumns[at]}
	case c.Named != 0:
		c.tenant = tenantColumn{c.Named, tbl.tenant}
	}
	c.within = at >= 0 && c.tenant.num == c.ChildNums[at]
}
