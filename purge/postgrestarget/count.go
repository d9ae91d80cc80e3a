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
	for _, group := range byKind(calls) {
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
	for _, part := range byKind(calls) {
		src := s.sources[part[0].kind]
		var inTable []*counting
		for _, p := range part {
			switch {
			case p.answered:
			case src.err != nil:
				p.answer(0, t.advised(src.err))
			case !fitting(p, src):
			case src.own != nil:
				queueOwnCount(b, src.own, p)
			default:
				inTable = append(inTable, p)
			}
		}
		if len(inTable) > 0 {
			queueCount(b, src.table, inTable)
		}
	}
	if b.Len() == 1 {
		return nil // only the settings
	}
	err := conn.SendBatch(ctx, b).Close()
	t.learn(conn, err)
	return err
}

// queueCount queues one statement for calls about a table.
func queueCount(b *pgx.Batch, tbl *table, calls []*counting) {
	b.Queue(tbl.countSQL(), tbl.typ.values(tenantsOf(calls))).Query(func(rows pgx.Rows) error {
		found := map[string]int64{}
		var id string
		var n int64
		_, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error {
			found[id] = n
			return nil
		})
		if err != nil {
			return err
		}
		for _, p := range calls {
			sum := int64(0)
			for _, id := range p.fit {
				sum += found[id]
			}
			p.answer(sum, nil)
		}
		return nil
	})
}

// queueOwnCount queues the operator's statement for each tenant of a call. What is
// no answer is one call's: the others in the round trip have theirs (G11).
func queueOwnCount(b *pgx.Batch, o *own, p *counting) {
	sum := int64(0)
	for i, id := range p.fit {
		b.Queue(o.count, o.countType.value(id)).Query(func(rows pgx.Rows) error {
			n, err := onlyNumber("count "+string(p.kind), rows)
			if err != nil {
				if asPgError(err) == nil && store.CodeOf(err) == store.Precondition {
					p.answer(0, err)
					return nil
				}
				return err
			}
			if sum += n; i == len(p.fit)-1 {
				p.answer(sum, nil)
			}
			return nil
		})
	}
}

// tenantsOf returns whose the calls are.
func tenantsOf[R any](calls []*pending[R]) []string {
	var ids []string
	for _, p := range calls {
		ids = append(ids, p.fit...)
	}
	return ids
}
