package postgrestarget

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// outcome is how a transaction ended.
type outcome struct {
	err  error
	lost bool // it may have had an effect nevertheless
	slow bool // the server gave it up for the time that it took
}

// refusal returns the error for the caller.
func (o outcome) refusal() error {
	if o.lost {
		return o.err
	}
	return refused("delete", o.err)
}

// tooSlow reports whether an error is that of statement_timeout. A caller who has
// gone has his statement cancelled with the same code, earlier.
func (t *Target) tooSlow(err error, took time.Duration) bool {
	pg := asPgError(err)
	return pg != nil && pg.Code == codeCanceled && took >= t.cfg.StatementTimeout
}

// step is a statement of a transaction, and what to do with what it returns.
type step struct {
	sql  string
	args []any
	read func(pgx.Rows) error
}

// transact runs steps in a transaction of its own; read says in b what they
// removed. The COMMIT is sent only once that is known, so that a connection that
// is lost earlier has had no effect; what removed nothing is rolled back.
func (t *Target) transact(ctx context.Context, l *lease, b *batch, steps ...step) outcome {
	bounded, cancel := t.bounded(ctx)
	defer cancel()
	queue := &pgx.Batch{}
	t.begin(queue, b.snapshot)
	for _, s := range steps {
		queue.Queue(s.sql, s.args...).Query(s.read)
	}
	began := time.Now()
	err := l.conn.SendBatch(bounded, queue).Close()
	if err == nil && b.apart && b.ledger != "" && b.deleted != 0 {
		err = t.noteApart(bounded, l.conn.Conn(), *b)
	}
	slow := t.tooSlow(err, time.Since(began))
	if err == nil {
		err = ctx.Err() // nobody is there any more to be told
	}
	if err != nil || b.deleted == 0 {
		rollback(l.conn)
		t.learn(l.conn, err)
		return outcome{err: err, slow: slow}
	}
	return t.commit(ctx, l, *b)
}

// learn forgets what an error shows to be out of date: what is known of the
// tables, or the statements that were prepared.
func (t *Target) learn(conn *pgxpool.Conn, err error) {
	if schemaChanged(err) {
		t.catalog.forget()
	}
	if statementsLost(err) {
		t.pooler.lost()
		ctx, cancel := context.WithTimeout(context.Background(), cancelDelay)
		defer cancel()
		_ = conn.Conn().Close(ctx)
	}
}

// commit ends a transaction that has removed rows. It does not heed ctx: a
// COMMIT that was sent cannot be taken back.
func (t *Target) commit(ctx context.Context, l *lease, b batch) outcome {
	ctx = context.WithoutCancel(ctx)
	bounded, cancel := t.patient(ctx)
	defer cancel()
	tag, err := l.conn.Exec(bounded, "COMMIT")
	switch {
	case err == nil && tag.String() == "COMMIT":
		return outcome{}
	case err == nil:
		return outcome{err: store.Errorf(store.Precondition, "the server rolled back")}
	case rolledBack(err):
		return outcome{err: err}
	}
	// The connection is of no use, and its locks must go before the ledger tells.
	// So must its place in the pool: the question needs one.
	l.discard(bounded)
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
