package postgrestarget

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// removeOwn answers a call with the operator's statement, tenant by tenant.
func (t *Target) removeOwn(ctx context.Context, conn *lease, s *schema, o *own, p *removing) {
	if err := t.prove(ctx, conn, p.kind, o); err != nil {
		p.answer(purge.Removed{}, err)
		return
	}
	did, out := t.inPace(conn, p, o.limited, func(most int64) (purge.Removed, outcome) {
		return t.ownSteps(ctx, conn, s, o, p, most)
	})
	p.answer(did, out.refusal())
}

func (t *Target) ownSteps(ctx context.Context, conn *lease, s *schema, o *own, p *removing, most int64) (sum purge.Removed, out outcome) {
	for _, id := range p.fit {
		if ctx.Err() != nil || conn.lost() {
			return sum, outcome{err: store.Errorf(store.Unavailable, "delete: not begun: the connection was lost")}
		}
		limit := most - sum.Deleted
		if limit <= 0 {
			sum.More = true
			return sum, outcome{}
		}
		r := &ownRemoval{target: t, conn: conn, schema: s, own: o, call: p, tenant: id, limit: limit}
		n, out := r.step(ctx)
		sum.Deleted += n
		if sum.More = out.err == nil && o.limited && n >= limit; out.err != nil || sum.More {
			return sum, out
		}
		t.allowances.forget(key{id, p.kind})
	}
	return sum, outcome{}
}

// ownRemoval is a step for one tenant with the operator's statements. That delete
// removes what count counts, and no other tenant's rows, is for the operator to
// write and cannot be read off a statement: it is looked at before each COMMIT (G4).
type ownRemoval struct {
	target *Target
	conn   *lease
	schema *schema
	own    *own
	call   *removing
	tenant string
	limit  int64
}

// amid is how many steps a tenant has left before each step counts again. To count
// the rows of a giant with each step would take longer than to remove them.
const amid = 10

// step removes rows, and returns how many are known to be gone. It counts, removes
// and counts again in one snapshot: the count must have fallen by what was removed.
// In the midst of many steps it takes the last count for the bound.
func (r *ownRemoval) step(ctx context.Context) (int64, outcome) {
	if a, ok := r.target.allowances.get(r.key()); ok && (a.hurried || a.rows > amid*r.limit) {
		if n, out, within := r.bounded(ctx, a); within {
			return n, out
		}
	}
	n, out := r.counted(ctx, true)
	if pg := asPgError(out.err); pg != nil && pg.Code == codeSerialization {
		// The application changes the rows. Without a snapshot that is waited for.
		n, out = r.counted(ctx, false)
	}
	return n, out
}

// bounded removes rows and counts none, or those of the tenant apart, where that is
// to be caught up on. When it would remove more than there should be, it has had no
// effect.
func (r *ownRemoval) bounded(ctx context.Context, a allowance) (gone int64, out outcome, within bool) {
	b := r.batch()
	if a.rows < 0 {
		if out := r.target.transact(ctx, r.conn, b, r.count(&a.rows, nil)); out.err != nil {
			return 0, out, true
		}
	}
	within = true
	out = r.target.transact(ctx, r.conn, b, r.removal(b, func(n int64) error {
		if within = n <= a.rows; !within {
			return errBeyond
		}
		return nil
	}))
	if out.err != nil {
		return 0, out, within
	}
	a.rows -= b.deleted
	r.target.allowances.set(r.key(), a)
	return b.deleted, out, within
}

// counted removes rows between two counts, which in one snapshot tell for sure.
func (r *ownRemoval) counted(ctx context.Context, snapshot bool) (int64, outcome) {
	b := r.batch()
	b.snapshot = snapshot
	var before, after int64
	differs := func(n, most int64) error {
		if n <= most {
			return nil
		}
		if !snapshot {
			return store.Errorf(store.Unavailable, "delete: nothing was removed: rows of the tenant were added or changed meanwhile")
		}
		return store.Errorf(store.Precondition,
			"delete: nothing was removed: the statement would remove %d rows, and by count the tenant would have %d fewer; delete has to remove what count counts, and nothing else", n, most)
	}
	began := time.Now()
	out := r.target.transact(ctx, r.conn, b,
		r.count(&before, nil),
		r.removal(b, func(n int64) error { return differs(n, before) }),
		r.count(&after, func() error { return differs(b.deleted, before-after) }))
	switch {
	case out.err == nil:
		r.target.allowances.set(r.key(), allowance{rows: after})
		return b.deleted, out
	case time.Since(began) >= r.target.cfg.StatementTimeout:
		// There is no time for counts beside the removal.
		r.target.allowances.set(r.key(), allowance{rows: -1, hurried: true})
	}
	return 0, out
}

func (r *ownRemoval) key() key { return key{r.tenant, r.call.kind} }

// batch begins what a transaction of the operator's statement removes.
func (r *ownRemoval) batch() *batch {
	return &batch{id: uuid.New(), ledger: r.schema.ledger, apart: true}
}

// removal runs the operator's statement, and then check with how many rows it says
// to have removed.
func (r *ownRemoval) removal(b *batch, check func(int64) error) step {
	args := []any{r.own.delType.value(r.tenant)}
	if r.own.limited {
		args = append(args, r.limit)
	}
	return step{r.own.remove, args, func(rows pgx.Rows) error {
		n, err := affected(rows)
		if err == nil {
			err = check(n)
		}
		if err == nil {
			b.removed(r.call.kind, r.call.purge, n)
		}
		return err
	}}
}

// count runs the operator's statement into n, and then check, if there is one.
func (r *ownRemoval) count(n *int64, check func() error) step {
	return step{r.own.count, []any{r.own.countType.value(r.tenant)}, func(rows pgx.Rows) (err error) {
		if *n, err = onlyNumber("count "+string(r.call.kind), rows); err != nil || check == nil {
			return err
		}
		return check()
	}}
}

// errBeyond says that more was removed than the bound allows. It is not shown: it is
// counted then.
var errBeyond = store.Errorf(store.Precondition, "delete: more rows than were counted")
