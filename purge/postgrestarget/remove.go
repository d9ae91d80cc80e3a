package postgrestarget

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
	if err == nil && s.ledger == "" && slices.ContainsFunc(calls, func(p *removing) bool { return p.onAccount }) {
		s, err = t.schemaAnew(ctx) // it may be back
	}
	if err != nil {
		answerRest(calls, err)
		return
	}
	pooled, err := t.acquire(ctx)
	if err != nil {
		answerRest(calls, err)
		return
	}
	conn := &lease{pooled}
	defer conn.release()
	var group []*removing
	for _, p := range calls {
		src := s.sources[p.kind]
		_, slow := t.pace.of(p.call)
		switch {
		case p.onAccount && s.ledger == "":
			p.answer(purge.Removed{}, s.errOffAccount())
		case src.err != nil:
			p.answer(purge.Removed{}, t.advised(src.err))
		case !fitting(p, src):
		case src.own != nil:
			t.removeOwn(ctx, conn, s, src.own, p)
		case slow, t.walks.first(p) >= 0:
			t.removeInTurn(ctx, conn, s, src.table, p)
		default:
			group = append(group, p)
		}
	}
	for _, part := range t.widths.split(group) {
		t.removeRows(ctx, conn, s, part)
	}
}

// removeRows answers calls about tables together. When they are about too many
// rows, which it reports, it is done in halves, and when that is refused kind by
// kind, and call by call where a single one may be to blame. Calls that a lost
// connection, or one call that took too long, kept it from are left without an
// answer.
func (t *Target) removeRows(ctx context.Context, conn *lease, s *schema, group []*removing) (tooMany bool) {
	if ctx.Err() != nil || conn.lost() {
		return false
	}
	crowds, err := t.removeTogether(ctx, conn, s, group)
	for _, calls := range crowds {
		t.removeHalves(ctx, conn, s, calls)
	}
	if err == nil {
		return len(crowds) > 0
	}
	parts, one := byKind(group), len(group) == 1
	if len(parts) == 1 && !one && aboutRows(err) {
		parts = slices.Collect(slices.Chunk(group, 1))
	}
	if (asPgError(err) != nil || errors.Is(err, errStrays)) && len(parts) > 1 {
		for _, part := range parts {
			t.removeRows(ctx, conn, s, part)
		}
	}
	if one && aboutRows(err) {
		t.removals.setCompany(group[0].lead(), 1)
	}
	answerRest(group, refused("delete", err))
	return false
}

// removeHalves answers calls of one kind that are about too many rows. They were
// too many calls, too, when each half is few enough: otherwise a giant tenant
// among them may be to blame, which says nothing of the others.
func (t *Target) removeHalves(ctx context.Context, conn *lease, s *schema, calls []*removing) {
	kind, half := calls[0].kind, len(calls)/2
	if half == 0 {
		t.removeInTurn(ctx, conn, s, s.sources[kind].table, calls[0])
		return
	}
	first := t.removeRows(ctx, conn, s, calls[:half])
	if second := t.removeRows(ctx, conn, s, calls[half:]); !first && !second {
		t.widths.narrow(kind, half)
	}
}

// byKind sorts calls into those of each kind, in the order of removal.
func byKind[R any](calls []*pending[R]) [][]*pending[R] {
	var parts [][]*pending[R]
	for _, kind := range store.Kinds() {
		var part []*pending[R]
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
	done  bool
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
	args := t.note([]any{tbl.typ.values(ids), places, sh.most}, kind, *b, accounts)
	if len(tbl.guards) > 0 {
		args = append(args, kin(sh.calls...))
	}
	return step{tbl.groupSQL(s.ledger), args, func(rows pgx.Rows) error { return sh.read(rows, tbl, b) }}
}

// removeTogether answers calls in one transaction, those of one kind in one
// statement. It returns without an answer those of a kind of which they are
// about more rows than may be removed at a time, and all of them when it took too
// long. An error has had no effect.
func (t *Target) removeTogether(ctx context.Context, conn *lease, s *schema, calls []*removing) (tooMany [][]*removing, err error) {
	b := batch{id: uuid.New(), ledger: s.ledger}
	var shares []*share
	var steps []step
	for _, part := range byKind(calls) {
		sh := newShare(part)
		shares, steps = append(shares, sh), append(steps, t.step(s, sh, &b))
	}
	began := time.Now()
	out := t.transact(ctx, conn, &b, steps...)
	switch {
	case out.slow:
		t.slowDown(ctx, conn, s, shares)
		return nil, nil
	case out.err != nil && !out.lost:
		return nil, out.err
	}
	quick := t.quick(time.Since(began))
	for _, sh := range shares {
		if sh.found > sh.most {
			tooMany = append(tooMany, sh.calls)
			continue
		}
		if quick && sh.found <= sh.most/2 {
			t.widths.grow(sh.calls[0].kind, 2*len(sh.calls))
		}
		for i, p := range sh.calls {
			t.removals.setCompany(p.lead(), 0)
			if out.lost && sh.gone[i] > 0 {
				p.answer(purge.Removed{}, out.err)
			} else {
				p.answer(purge.Removed{Deleted: sh.gone[i]}, nil)
			}
		}
	}
	return tooMany, nil
}

// slowDown draws the conclusion from a transaction that took too long: what was
// not done in it is tried in smaller groups, and a call that was alone in smaller
// steps. All go back to the queue, and so does what had no share in it.
func (t *Target) slowDown(ctx context.Context, conn *lease, s *schema, shares []*share) {
	blamed := shares // what was written to the ledger, when all were done
	if i := slices.IndexFunc(shares, func(sh *share) bool { return !sh.done }); i >= 0 {
		blamed = shares[i : i+1]
	}
	for _, sh := range blamed {
		kind, n := sh.calls[0].kind, len(sh.calls)
		t.widths.narrow(kind, n/shrink)
		for _, p := range sh.calls {
			t.removals.setCompany(p.lead(), max(n/shrink, 1))
		}
		if n == 1 {
			t.pace.lower(sh.calls[0].call, sh.most)
		}
	}
	if len(shares) == 1 && len(shares[0].calls) == 1 {
		p := shares[0].calls[0]
		t.removeInTurn(ctx, conn, s, s.sources[p.kind].table, p)
	}
}

// errMerged says that what is known of the tenant column is out of date (G4).
var errMerged = store.Errorf(store.Unavailable,
	"delete: nothing was removed: rows of tenants with other ids would have gone, since the collation of the tenant column has changed")

// read takes what [table.groupSQL] returns.
func (sh *share) read(rows pgx.Rows, tbl *table, b *batch) error {
	var place *int64
	var n, asked, gone int64
	_, err := pgx.ForEachRow(rows, []any{&place, &n}, func() error {
		if place == nil {
			sh.found = n
			return nil
		}
		if *place < -1 {
			return tbl.astray(-2-*place, n)
		}
		if *place < 0 {
			gone = n
			return nil
		}
		asked += n
		sh.gone[*place] = n
		b.removed(sh.calls[*place].kind, sh.calls[*place].purge, n)
		return nil
	})
	if err == nil && gone != asked {
		err = errMerged
	}
	sh.done = err == nil
	return err
}
