package postgrestarget

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/store"
)

// counting is a call to count.
type counting = pending[int64]

// countGroup answers calls of all kinds in one round trip, and those of one
// kind in one statement where its table is known. When that fails it is done
// kind by kind, and tenant by tenant where a single one may be to blame.
func (t *Target) countGroup(ctx context.Context, calls []*counting) {
	s, err := t.schema(ctx)
	if err != nil {
		answerRest(calls, err)
		return
	}
	conn, err := t.acquire(ctx)
	if err != nil {
		answerRest(calls, err)
		return
	}
	defer conn.Release()
	if err := t.countTogether(ctx, conn, s, calls); asPgError(err) == nil {
		answerRest(calls, refused("count", err))
		return
	}
	kinds := map[store.Kind][]*counting{}
	for _, p := range calls {
		kinds[p.kind] = append(kinds[p.kind], p)
	}
	for _, group := range kinds {
		err := t.countTogether(ctx, conn, s, group)
		if aboutRows(err) {
			for i := range group {
				one := group[i : i+1]
				answerRest(one, refused("count", t.countTogether(ctx, conn, s, one)))
			}
		}
		answerRest(group, refused("count", err))
	}
}

// answerRest answers with an error what has no answer.
func answerRest[R any](calls []*pending[R], err error) {
	var none R
	for _, p := range calls {
		p.answer(none, err)
	}
}

// countTogether answers calls in one round trip, in one read-only transaction.
// After an error some may have no answer.
func (t *Target) countTogether(ctx context.Context, conn *pgxpool.Conn, s *schema, calls []*counting) error {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	b := &pgx.Batch{}
	t.settings(b, true)
	tables := map[*table][]*counting{}
	for _, p := range calls {
		src := s.sources[p.kind]
		switch {
		case p.answered:
		case src.err != nil:
			p.answer(0, src.err)
		case src.own != nil:
			if fitting(p, src.own.countType) {
				b.Queue(src.own.count, src.own.countType.value(p.tenant)).QueryRow(func(row pgx.Row) error {
					var n *int64
					if err := row.Scan(&n); err != nil {
						return err
					}
					if n == nil {
						return store.Errorf(store.Precondition, "count %s: the statement returned NULL", p.kind)
					}
					p.answer(*n, nil)
					return nil
				})
			}
		case fitting(p, src.table.typ):
			tables[src.table] = append(tables[src.table], p)
		}
	}
	for tbl, group := range tables {
		found := map[string]int64{}
		b.Queue(tbl.countSQL(), tbl.typ.values(tenantsOf(group))).Query(func(rows pgx.Rows) error {
			var id string
			var n int64
			_, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error {
				found[id] = n
				return nil
			})
			if err != nil {
				return err
			}
			for _, p := range group {
				p.answer(found[p.tenant], nil)
			}
			return nil
		})
	}
	if b.Len() == 1 {
		return nil // only the settings
	}
	err := conn.SendBatch(ctx, b).Close()
	if schemaChanged(err) {
		t.catalog.forget()
	}
	return err
}

// fitting reports whether a call's tenant can be in a column of the type, and
// answers the call when it cannot.
func fitting[R any](p *pending[R], typ columnType) bool {
	fits, err := typ.fits(p.tenant)
	if !fits {
		var none R
		p.answer(none, err)
	}
	return fits
}

// tenantsOf returns whose the calls are.
func tenantsOf[R any](calls []*pending[R]) []string {
	ids := make([]string, len(calls))
	for i, p := range calls {
		ids[i] = p.tenant
	}
	return ids
}
