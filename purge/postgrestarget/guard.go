package postgrestarget

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// errStrays is in the chain of an error about rows of other tenants.
var errStrays = errors.New("purger removes nothing of other tenants")

// straysSQL returns a query for the guards by which rows of other tenants would go
// along with those rows of the alias t for which a condition holds (G4), and how many.
// Those in the parameter own, a number, are no others. There is no lock that would keep
// anybody from adding such rows until the deletion: it would take the right to change
// rows.
func (tbl *table) straysSQL(condition string, own int) string {
	parts := make([]string, len(tbl.guards))
	for i, g := range tbl.guards {
		parts[i] = fmt.Sprintf(`SELECT %d::bigint AS guard, count(*) AS n FROM %s WHERE %s AND %s IS NOT NULL
 AND NOT EXISTS (SELECT FROM unnest($%d::text[]) AS own (id) WHERE own.id COLLATE "C" = %[4]s) HAVING count(*) > 0`, i, g.from, condition, g.id, own)
	}
	return strings.Join(parts, "\nUNION ALL ")
}

// astray is the error about rows of other tenants that [table.straysSQL] found.
func (tbl *table) astray(guard, n int64) error {
	key := tbl.guards[guard].key
	return store.Errorf(store.Precondition,
		"delete: %d rows of other tenants in %s would go along, by the foreign key %q to %s: %w", n, key.Child, key.Name, key.Parent, errStrays)
}

// kin returns the tenants that are purged with those of calls: what goes along of them
// was to go anyway.
func kin(calls ...*removing) []string {
	var ids []string
	for _, p := range calls {
		if len(p.subtree) > 0 {
			ids = append(ids, p.subtree...)
		} else {
			ids = append(ids, p.tenants...)
		}
	}
	return ids
}
