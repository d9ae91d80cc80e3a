package postgrestarget

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// outcome is how a transaction ended: an error, and whether it may have had an
// effect nevertheless.
type outcome struct {
	err  error
	lost bool
}

// step is a statement that removes rows, and what to do with what it returns.
type step struct {
	sql  string
	args []any
	read func(pgx.Rows) error
}

// transact runs steps in a transaction of its own; read says in b what they
// removed. The COMMIT is sent only once that is known, so that a connection that
// is lost earlier has had no effect; what removed nothing is rolled back.
func (t *Target) transact(ctx context.Context, conn *pgxpool.Conn, b *batch, steps ...step) outcome {
	bounded, cancel := t.bounded(ctx)
	defer cancel()
	queue := &pgx.Batch{}
	t.begin(queue)
	for _, s := range steps {
		queue.Queue(s.sql, s.args...).Query(s.read)
	}
	err := conn.SendBatch(bounded, queue).Close()
	if err == nil && b.apart && b.ledger != "" && b.deleted != 0 {
		err = t.noteApart(bounded, conn.Conn(), *b)
	}
	if err == nil {
		err = ctx.Err() // nobody is there any more to be told
	}
	if err != nil || b.deleted == 0 {
		rollback(conn)
		if schemaChanged(err) {
			t.catalog.forget()
		}
		return outcome{err: err}
	}
	return t.commit(ctx, conn, *b)
}

// commit ends a transaction that has removed rows. It does not heed ctx: a
// COMMIT that was sent cannot be taken back.
func (t *Target) commit(ctx context.Context, conn *pgxpool.Conn, b batch) outcome {
	ctx = context.WithoutCancel(ctx)
	bounded, cancel := t.bounded(ctx)
	defer cancel()
	tag, err := conn.Exec(bounded, "COMMIT")
	switch pg := asPgError(err); {
	case err == nil && tag.String() == "COMMIT":
		return outcome{}
	case err == nil:
		return outcome{err: store.Errorf(store.Precondition, "the server rolled back")}
	case pg != nil && severity(pg) == "ERROR":
		return outcome{err: err}
	}
	// The connection is of no use, and its locks must go before the ledger tells.
	_ = conn.Conn().Close(bounded)
	did, unknown := t.committed(ctx, b)
	t.log.Warn("the answer to a COMMIT was lost", zap.String("target", t.cfg.Name),
		zap.Error(err), zap.Bool("known", unknown == nil), zap.Bool("committed", did))
	switch {
	case unknown != nil:
		return outcome{err: store.Errorf(store.Internal, "delete: %w (%s)", unknown, plain(err)), lost: true}
	case !did:
		return outcome{err: store.Errorf(store.Unavailable, "the connection was lost at COMMIT, and nothing was removed: %s", plain(err))}
	}
	return outcome{}
}
