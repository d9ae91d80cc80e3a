package postgrestarget

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// errStrays is in the chain of an error about rows of other tenants.
var errStrays = errors.New("purger removes nothing of other tenants")

// guard returns the step that refuses to take along rows of other tenants than those
// in ids, all of which are being purged (G4). There is no lock that would keep others
// from adding such rows until the deletion: it would take the right to change rows.
func (tbl *table) guard(ids []string) step {
	parts := make([]string, len(tbl.guards))
	for i, g := range tbl.guards {
		parts[i] = fmt.Sprintf("SELECT %d::bigint, count(*) FROM %s WHERE %s AND %s <> ALL ($1::%s[]::text[])", i, g.from, tbl.matches(), g.id, tbl.typ.sql)
	}
	return step{strings.Join(parts, "\nUNION ALL "), []any{tbl.typ.values(ids)}, func(rows pgx.Rows) error {
		var found error
		var i, n int64
		_, err := pgx.ForEachRow(rows, []any{&i, &n}, func() error {
			if key := tbl.guards[i].key; n > 0 && found == nil {
				found = store.Errorf(store.Precondition,
					"delete: %d rows of other tenants in %s would go along, by the foreign key %q to %s: %w", n, key.Child, key.Name, key.Parent, errStrays)
			}
			return nil
		})
		return errors.Join(err, found)
	}}
}

// clearance says when it was last seen that no rows of others would go along with
// those of a call, and how long it took to see, together with the step.
type clearance struct {
	at   time.Time
	took time.Duration
}

// Each look is at all the rows that are left: in the midst of many steps there is none
// for so many times as long as the last one took, and for so long.
const (
	lull    = 20
	maxLull = 30 * time.Second
)

// guarded runs a step in a transaction of its own, behind the guard of the table if
// there is one and it is time for it.
func (t *Target) guarded(ctx context.Context, conn *lease, b *batch, tbl *table, p *removing, s step) outcome {
	last, ok := t.clearances.get(p.lead())
	if len(tbl.guards) == 0 || ok && time.Since(last.at) < min(lull*last.took, maxLull) {
		return t.transact(ctx, conn, b, s)
	}
	now := clearance{at: time.Now()}
	out := t.transact(ctx, conn, b, tbl.guard(p.fit), s)
	if out.err == nil {
		now.took = time.Since(now.at)
		t.clearances.set(p.lead(), now)
	}
	return out
}
