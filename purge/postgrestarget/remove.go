package postgrestarget

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// removing is a call to purge.
type removing = pending[purge.Removed]

// removeGroup answers calls: those with statements of the operator's own, and
// those with a tenant that is being walked through, one by one, the others
// together.
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
		switch {
		case src.err != nil:
			p.answer(purge.Removed{}, src.err)
		case !fitting(p, src.removalType()):
		case src.own != nil:
			t.removeOwn(ctx, conn, s, src.own, p)
		case t.walks.first(p) >= 0:
			t.removeInTurn(ctx, conn, s, src.table, p)
		default:
			group = append(group, p)
		}
	}
	for part := range slices.Chunk(group, t.width.get()) {
		t.removeRows(ctx, conn, s, part)
	}
}

// removalType returns the type that a tenant's id has in a removal.
func (s *source) removalType() columnType {
	if s.own != nil {
		return s.own.delType
	}
	return s.table.typ
}

// removeRows answers calls about tables together. When they are about too many
// rows it is done in halves, and when that is refused kind by kind, and call by
// call where a single one may be to blame. Calls that a lost connection kept it
// from are left without an answer.
func (t *Target) removeRows(ctx context.Context, conn *pgxpool.Conn, s *schema, group []*removing) {
	if ctx.Err() != nil || conn.Conn().IsClosed() {
		return
	}
	tooMany, err := t.removeTogether(ctx, conn, s, group)
	for _, part := range tooMany {
		if len(part) == 1 {
			t.removeInTurn(ctx, conn, s, s.sources[part[0].kind].table, part[0])
			continue
		}
		t.width.halve(len(part))
		t.removeRows(ctx, conn, s, part[:len(part)/2])
		t.removeRows(ctx, conn, s, part[len(part)/2:])
	}
	if err == nil {
		return
	}
	parts, one := byKind(group), len(group) == 1
	if len(parts) == 1 && !one && aboutRows(err) {
		parts = slices.Collect(slices.Chunk(group, 1))
	}
	if asPgError(err) != nil && len(parts) > 1 {
		for _, part := range parts {
			t.removeRows(ctx, conn, s, part)
		}
	}
	if one && aboutRows(err) {
		t.removals.setAlone(group[0].lead(), true)
	}
	answerRest(group, refused("delete", err))
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

// share is what a transaction does for calls of one kind, in one statement.
type share struct {
	calls []*removing
	ids   [][]string // the tenants of each
	most  int64      // of rows, for all of them
	// What it did: how many rows it found, counted to one more than most, and
	// how many are gone, by call. Beyond most it removes none.
	found int64
	gone  []int64
}

func newShare(calls []*removing) *share {
	sh := &share{calls: calls, most: int64(calls[0].limit), gone: make([]int64, len(calls))}
	for _, p := range calls {
		sh.ids = append(sh.ids, p.fit)
		sh.most = min(sh.most, int64(p.limit))
	}
	return sh
}

// step returns the statement for a share.
func (t *Target) step(s *schema, sh *share, b *batch) step {
	kind := sh.calls[0].kind
	tbl := s.sources[kind].table
	var ids, accounts []string
	var places []int64
	for i, p := range sh.calls {
		ids = append(ids, sh.ids[i]...)
		places = append(places, slices.Repeat([]int64{int64(i)}, len(sh.ids[i]))...)
		accounts = append(accounts, b.account(p.purge))
	}
	return step{
		sql:  tbl.groupSQL(s.ledger),
		args: t.note([]any{tbl.typ.values(ids), places, sh.most}, kind, *b, accounts),
		read: func(rows pgx.Rows) error { return sh.read(rows, b) },
	}
}

// removeTogether answers calls in one transaction, those of one kind in one
// statement. It returns without an answer those of a kind of which they are
// about more rows than may be removed at a time. An error has had no effect.
func (t *Target) removeTogether(ctx context.Context, conn *pgxpool.Conn, s *schema, calls []*removing) (tooMany [][]*removing, err error) {
	b := batch{id: uuid.New(), ledger: s.ledger}
	var shares []*share
	var steps []step
	for _, part := range byKind(calls) {
		sh := newShare(part)
		shares, steps = append(shares, sh), append(steps, t.step(s, sh, &b))
	}
	out := t.transact(ctx, conn, &b, steps...)
	if out.err != nil && !out.lost {
		return nil, out.err
	}
	for _, sh := range shares {
		if sh.found > sh.most {
			tooMany = append(tooMany, sh.calls)
			continue
		}
		t.width.learn(sh)
		for i, p := range sh.calls {
			t.removals.setAlone(p.lead(), false)
			if out.lost && sh.gone[i] > 0 {
				p.answer(purge.Removed{}, out.err)
			} else {
				p.answer(purge.Removed{Deleted: sh.gone[i]}, nil)
			}
		}
	}
	return tooMany, nil
}

// read takes what [table.groupSQL] returns.
func (sh *share) read(rows pgx.Rows, b *batch) error {
	var place *int64
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&place, &n}, func() error {
		if place == nil {
			sh.found = n
			return nil
		}
		sh.gone[*place] = n
		b.removed(sh.calls[*place].kind, sh.calls[*place].purge, n)
		return nil
	})
	return err
}

// width is how many calls go into a statement: few enough that they are about
// no more rows than one may remove. It is a guess, made from what was seen, and
// the zero value is the largest.
type width struct{ n atomic.Int64 }

func (w *width) get() int {
	if n := int(w.n.Load()); n > 0 {
		return n
	}
	return maxGroup
}

// halve notes that n calls were too many.
func (w *width) halve(n int) { w.n.Store(int64(n / 2)) }

// learn notes what a statement that removed its rows found.
func (w *width) learn(sh *share) {
	if n := len(sh.calls); n >= w.get() && sh.found <= sh.most/2 {
		w.n.Store(int64(min(2*n, maxGroup)))
	}
}
