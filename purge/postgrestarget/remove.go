package postgrestarget

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// removing is a call to purge.
type removing = pending[purge.Removed]

// removeGroup answers calls: those with statements of the operator's own, and
// those whose tenant is being walked through, one by one, the others together.
func (t *Target) removeGroup(ctx context.Context, calls []*removing) {
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
	var group []*removing
	for _, p := range calls {
		src := s.sources[p.kind]
		last, walking := t.walks.of(p.key())
		switch {
		case src.err != nil:
			p.answer(purge.Removed{}, src.err)
		case !fitting(p, src.removalType()):
		case src.own != nil:
			t.removeOwn(ctx, conn, s, src.own, p)
		case walking && src.table.ordered:
			t.walk(ctx, conn, s, src.table, p, last)
		default:
			group = append(group, p)
		}
	}
	t.removeRows(ctx, conn, s, group)
}

// removalType returns the type that a tenant's id has in a removal.
func (s *source) removalType() columnType {
	if s.own != nil {
		return s.own.delType
	}
	return s.table.typ
}

// removeRows answers calls about tables together. When that is refused it is
// done kind by kind, and tenant by tenant where a single one may be to blame.
func (t *Target) removeRows(ctx context.Context, conn *pgxpool.Conn, s *schema, group []*removing) {
	if len(group) == 0 {
		return
	}
	err := t.removeTogether(ctx, conn, s, group)
	parts := byKind(group)
	one := len(group) == 1
	if len(parts) == 1 && !one && aboutRows(err) {
		parts = nil
		for i := range group {
			parts = append(parts, group[i:i+1])
		}
	}
	if asPgError(err) != nil && len(parts) > 1 {
		for _, part := range parts {
			if ctx.Err() != nil || conn.Conn().IsClosed() {
				break
			}
			t.removeRows(ctx, conn, s, part)
		}
	}
	if err != nil {
		if one && aboutRows(err) {
			t.removals.setAlone(group[0].key(), true)
		}
		answerRest(group, refused("delete", err))
	}
}

// byKind sorts calls into those of each kind, in the order of removal.
func byKind(calls []*removing) [][]*removing {
	var parts [][]*removing
	for _, kind := range store.Kinds() {
		var part []*removing
		for _, p := range calls {
			if p.kind == kind {
				part = append(part, p)
			}
		}
		if part != nil {
			parts = append(parts, part)
		}
	}
	return parts
}

// share is what a transaction does for the calls of one kind.
type share struct {
	calls  []*removing
	limits []int64
	most   int64 // of rows, for all of them
	// What it did: how many rows were looked at, by place, and removed, by tenant.
	looked []int64
	gone   map[string]int64
}

// removeTogether answers calls in one transaction, those of one kind in one
// statement. Those that it did not come to, because the others used up what it
// may remove, are left without an answer. An error has had no effect.
func (t *Target) removeTogether(ctx context.Context, conn *pgxpool.Conn, s *schema, calls []*removing) error {
	b := batch{id: uuid.New(), ledger: s.ledger}
	var shares []*share
	var steps []step
	for _, part := range byKind(calls) {
		sh := &share{calls: part, limits: make([]int64, len(part)), looked: make([]int64, len(part)), gone: map[string]int64{}}
		for i, p := range part {
			sh.limits[i] = int64(p.limit)
			sh.most = max(sh.most, sh.limits[i])
		}
		shares = append(shares, sh)
		kind, tbl := part[0].kind, s.sources[part[0].kind].table
		steps = append(steps, step{
			sql:  tbl.groupSQL(s.ledger),
			args: t.note([]any{tbl.typ.values(tenantsOf(part)), sh.limits, sh.most}, kind, b),
			read: func(rows pgx.Rows) error { return sh.read(rows, kind, &b) },
		})
	}
	out := t.transact(ctx, conn, &b, steps...)
	if out.err != nil && !out.lost {
		return out.err
	}
	for _, sh := range shares {
		t.answerShare(s, sh, out)
	}
	return nil
}

// read takes what [table.groupSQL] returns.
func (sh *share) read(rows pgx.Rows, kind store.Kind, b *batch) error {
	var place *int
	var id *string
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&place, &id, &n}, func() error {
		if place != nil {
			sh.looked[*place-1] = n
		} else {
			sh.gone[*id] = n
			b.removed(kind, *id, n)
		}
		return nil
	})
	return err
}

// answerShare answers the calls of one kind.
func (t *Target) answerShare(s *schema, sh *share, out outcome) {
	sum := int64(0)
	for _, n := range sh.looked {
		sum += n
	}
	passed := sum < sh.most // whether the tenant at hand was looked at to its end
	for i := len(sh.calls) - 1; i >= 0; i-- {
		p, n := sh.calls[i], sh.gone[sh.calls[i].tenant]
		if sh.looked[i] == 0 && !passed {
			continue
		}
		more := sh.looked[i] >= sh.limits[i] || !passed
		passed = true
		if more && s.sources[p.kind].table.ordered {
			t.walks.begin(p.key())
			t.removals.setAlone(p.key(), true)
		} else {
			t.removals.setAlone(p.key(), false)
		}
		if out.lost && n > 0 {
			p.answer(purge.Removed{}, out.err)
			continue
		}
		p.answer(purge.Removed{Deleted: n, More: more}, nil)
	}
}
