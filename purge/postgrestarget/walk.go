package postgrestarget

import (
	"context"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
)

// walks remembers how far tenants are that take more than one step, so that a
// step does not run over what the ones before it left behind in the index. It
// is a short cut only: without it a step begins at the front.
type walks struct {
	mu sync.Mutex
	at map[key][]string
}

// maxWalks bounds what is remembered of tenants whose purge is not gone on
// with.
const maxWalks = 10_000

// of returns the last key of a tenant that is being walked through, nil at the
// front.
func (w *walks) of(k key) (last []string, walking bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, walking = w.at[k]
	return last, walking
}

// begin notes that a tenant takes more than one step.
func (w *walks) begin(k key) {
	if _, walking := w.of(k); !walking {
		w.set(k, nil)
	}
}

func (w *walks) set(k key, last []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at == nil || len(w.at) >= maxWalks {
		w.at = map[key][]string{}
	}
	w.at[k] = last
}

func (w *walks) end(k key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.at, k)
}

// walk answers a call with the rows after the last key. At the end it looks
// once more from the front: rows may have been added behind it.
func (t *Target) walk(ctx context.Context, conn *pgxpool.Conn, s *schema, tbl *table, p *removing, last []string) {
	for {
		step, out := t.walkStep(ctx, conn, s, tbl, p, last)
		full := step.looked >= int64(p.limit)
		switch {
		case out.err != nil:
			t.walks.end(p.key())
			if !out.lost {
				out.err = refused("delete", out.err)
			}
			p.answer(purge.Removed{}, out.err)
			return
		case full:
			t.walks.set(p.key(), step.last)
		case last != nil:
			t.walks.set(p.key(), nil)
		default:
			t.walks.end(p.key())
			t.removals.setAlone(p.key(), false)
		}
		if step.gone > 0 || full || last == nil {
			p.answer(purge.Removed{Deleted: step.gone, More: full || last != nil}, nil)
			return
		}
		last = nil
	}
}

// walked is what one step of a walk did.
type walked struct {
	looked, gone int64
	last         []string
}

// walkStep removes up to the limit of rows.
func (t *Target) walkStep(ctx context.Context, conn *pgxpool.Conn, s *schema, tbl *table, p *removing, last []string) (walked, outcome) {
	args := []any{tbl.typ.values([]string{p.tenant}), int64(p.limit)}
	for _, k := range last {
		args = append(args, k)
	}
	b := batch{id: uuid.New(), ledger: s.ledger}
	var w walked
	out := t.transact(ctx, conn, &b, step{tbl.walkSQL(s.ledger, last != nil), t.note(args, p.kind, b), func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&w.looked, &w.gone, &w.last}, func() error { return nil })
		b.removed(p.kind, p.tenant, w.gone)
		return err
	}})
	return w, out
}
