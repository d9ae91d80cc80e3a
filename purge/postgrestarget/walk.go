package postgrestarget

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
)

// walks has the last key of tenants that take more than one step, nil at the front, so
// that a step does not run over what the ones before it left behind in the index.
type walks struct{ memory[[]string] }

// first returns the place of the first tenant of a call that is being walked
// through, -1 when there is none.
func (w *walks) first(p *removing) int {
	return slices.IndexFunc(p.fit, func(id string) bool {
		_, walking := w.get(key{id, p.kind})
		return walking
	})
}

// removeInTurn answers a call that is about too many rows for one statement:
// some of its tenants after the other, and one that alone has too many in steps,
// until the limit is reached. It begins with one that was begun before.
func (t *Target) removeInTurn(ctx context.Context, conn *lease, s *schema, tbl *table, p *removing) {
	did, out := t.inPace(conn, p, true, func(most int64) (purge.Removed, outcome) {
		return t.removeParts(ctx, conn, s, tbl, p, most)
	})
	switch {
	case did.More || out.slow:
		t.removals.setCompany(p.lead(), 1)
	case out.err == nil:
		t.removals.setCompany(p.lead(), 0)
	}
	p.answer(did, out.refusal())
}

func (t *Target) removeParts(ctx context.Context, conn *lease, s *schema, tbl *table, p *removing, most int64) (sum purge.Removed, out outcome) {
	begun := t.walks.first(p)
	size := max(len(p.fit)/2, 1)
	for i := max(begun, 0); i < len(p.fit); {
		part := p.fit[i:min(i+size, len(p.fit))]
		left := most - sum.Deleted
		if left <= 0 || conn.lost() {
			sum.More = true
			return sum, outcome{}
		}
		if len(part) == 1 || i == begun {
			did, out := t.walk(ctx, conn, s, tbl, p, p.fit[i], left)
			sum.Deleted += did.Deleted
			if sum.More = did.More; out.err != nil || sum.More {
				return sum, out
			}
			i++
			continue
		}
		sh := &share{calls: []*removing{p}, ids: [][]string{part}, most: left, gone: make([]int64, 1)}
		b := batch{id: uuid.New(), ledger: s.ledger}
		if out := t.transact(ctx, conn, &b, t.step(s, sh, &b)); out.err != nil {
			return sum, out
		}
		switch sum.Deleted += sh.gone[0]; {
		case sh.found <= sh.most:
			i += len(part)
		case sum.Deleted > 0:
			sum.More = true // with a whole limit for the rest
			return sum, outcome{}
		default:
			size = max(len(part)/2, 1)
		}
	}
	sum.More = begun > 0 // those before it were not looked at now
	return sum, outcome{}
}

// walk removes up to a limit of rows of a tenant, after the last key. At the end
// it looks once more from the front: rows may have been added behind it.
func (t *Target) walk(ctx context.Context, conn *lease, s *schema, tbl *table, p *removing, tenant string, limit int64) (purge.Removed, outcome) {
	k := key{tenant, p.kind}
	if len(tbl.selfs) > 0 {
		did, out := t.peel(ctx, conn, s, tbl, p, tenant, limit)
		if out.err == nil && did.More {
			t.walks.set(k, nil)
		} else if !out.slow {
			t.walks.forget(k)
		}
		return did, out
	}
	for last, _ := t.walks.get(k); ; last = nil {
		step, out := t.walkStep(ctx, conn, s, tbl, p, tenant, limit, last, false)
		full := step.looked >= limit
		switch {
		case out.slow:
			return purge.Removed{}, out // it is to go on from here, in smaller steps
		case out.err != nil:
			t.walks.forget(k)
			return purge.Removed{}, out
		case full:
			t.walks.set(k, step.last)
		case last != nil:
			t.walks.set(k, nil)
		default:
			t.walks.forget(k)
		}
		if step.gone > 0 || full || last == nil {
			return purge.Removed{Deleted: step.gone, More: full || last != nil}, outcome{}
		}
	}
}

// walked is what one step of a walk did.
type walked struct {
	looked, gone int64
	last         []string
}

// walkStep removes up to the limit of rows; leaves says that of those that other rows
// of the table do not refer to, and then last is nil.
func (t *Target) walkStep(ctx context.Context, conn *lease, s *schema, tbl *table, p *removing, tenant string, limit int64, last []string, leaves bool) (walked, outcome) {
	args := []any{tbl.typ.values([]string{tenant}), limit}
	for _, k := range last {
		args = append(args, k)
	}
	b := batch{id: uuid.New(), ledger: s.ledger}
	var w walked
	args = t.note(args, p.kind, b, b.account(p.purge))
	if len(tbl.guards) > 0 {
		args = append(args, kin(p))
	}
	sql := tbl.walkSQL(s.ledger, last != nil)
	if leaves {
		sql = tbl.leavesSQL(s.ledger)
	}
	out := t.transact(ctx, conn, &b, step{sql, args, func(rows pgx.Rows) error {
		var guard, strays *int64
		_, err := pgx.ForEachRow(rows, []any{&w.looked, &w.gone, &w.last, &guard, &strays}, func() error {
			if guard != nil {
				return tbl.astray(*guard, *strays)
			}
			return nil
		})
		b.removed(p.kind, p.purge, w.gone)
		return err
	}})
	return w, out
}
