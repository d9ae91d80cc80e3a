package postgrestarget

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/store"
)

const (
	// cancelDelay is how long a connection has to hear that its statement was
	// cancelled before it is cut.
	cancelDelay = time.Second
	// slack is what the server gets beyond its own time-out before it is taken
	// for hung.
	slack = 5 * time.Second
	// idleTimeout ends a transaction at the server whose client has vanished
	// without a word: its locks must not outlive it.
	idleTimeout = 30 * time.Second
)

// acquire returns a connection. Its error has had no effect.
func (t *Target) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return nil, refused("connect", err)
	}
	return conn, nil
}

// lease is a connection of the pool until it is given back.
type lease struct{ conn *pgxpool.Conn }

// lost reports whether the connection is of no more use.
func (l *lease) lost() bool { return l.conn == nil || l.conn.Conn().IsClosed() }

func (l *lease) release() {
	if l.conn != nil {
		l.conn.Release()
		l.conn = nil
	}
}

// discard closes the connection, and leaves its place in the pool to another.
func (l *lease) discard(ctx context.Context) {
	if l.conn != nil {
		_ = l.conn.Conn().Close(ctx)
		l.release()
	}
}

// bounded returns a context that ends when the server should long have given
// up by itself, and when the target is closed.
func (t *Target) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, done := t.underway.add(ctx)
	ctx, cancel := t.patient(ctx)
	return ctx, func() {
		cancel()
		done()
	}
}

// patient is [Target.bounded] for what is gone on with when the target is closed.
func (t *Target) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, t.cfg.StatementTimeout+slack)
}

// durable has COMMIT answered only once the rows are gone for good (G7): on disk, and
// on the disk of a synchronous standby where there is one. What waits for more is left
// as it is.
const durable = `pg_catalog.set_config('synchronous_commit',
 CASE pg_catalog.current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`

const settingsQuery = `SELECT pg_catalog.set_config('statement_timeout', $1, true),
pg_catalog.set_config('lock_timeout', $2, true),
pg_catalog.set_config('idle_in_transaction_session_timeout', $3, true),
pg_catalog.set_config('row_security', 'off', true),
` + durable + `,
pg_catalog.set_config('transaction_read_only', $4, true), pg_catalog.pg_is_in_recovery()`

// errStandby says that whoever answers is a standby, as after a failover.
var errStandby = store.Errorf(store.Unavailable, "the server is a standby, which may lack rows that are new; want a dsn of the primary")

// settings queues what a transaction begins with. They are set in it, not for
// the session: a pooler may stand between. For the same reason it is each
// transaction that refuses a standby, and not the connection alone.
func (t *Target) settings(b *pgx.Batch, readOnly bool) {
	mode := "off"
	if readOnly {
		mode = "on"
	}
	b.Queue(settingsQuery, milliseconds(t.cfg.StatementTimeout), milliseconds(t.cfg.LockTimeout), milliseconds(idleTimeout), mode).
		QueryRow(func(row pgx.Row) error {
			var standby bool
			if err := row.Scan(nil, nil, nil, nil, nil, nil, &standby); err != nil {
				return err
			}
			if standby {
				return errStandby
			}
			return nil
		})
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

// begin queues the start of a transaction that writes.
func (t *Target) begin(b *pgx.Batch, snapshot bool) {
	level := "READ COMMITTED"
	if snapshot {
		level = "REPEATABLE READ"
	}
	b.Queue("BEGIN ISOLATION LEVEL " + level + " READ WRITE")
	t.settings(b, false)
}

// rollback ends a transaction without effect, or else the connection.
func rollback(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelDelay)
	defer cancel()
	if conn.Conn().IsClosed() {
		return
	}
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = conn.Conn().Close(ctx) // the server rolls back
	}
}

// Check implements [purge.Checker]: the tables are there, and the role may
// count and delete in them; statements of the operator's own leave nobody's rows
// alone; what goes by the name of the ledger is one; the statement for subscriptions
// answers.
func (t *Target) Check(ctx context.Context) error {
	s, err := t.schemaAnew(ctx)
	if err != nil {
		return err
	}
	if s.impostor {
		return s.noLedger
	}
	if t.CountsSubscriptions() {
		if _, err := t.ActiveSubscriptions(ctx, s.subscriptions.typ.nobody()); err != nil {
			return err
		}
	}
	conn, err := t.acquire(ctx)
	if err != nil {
		return err
	}
	l := &lease{conn}
	defer l.release()
	for _, kind := range t.kinds {
		src := s.sources[kind]
		if src.err != nil {
			return t.advised(src.err)
		}
		if src.own != nil {
			if err := t.tryOwn(ctx, l, kind, src.own); err != nil && !aboutValue(err) {
				return t.ifForbidden(refusedTry(kind, err))
			}
			continue
		}
		var may bool
		err := conn.QueryRow(ctx, `SELECT pg_catalog.has_table_privilege($1::oid, 'SELECT') AND pg_catalog.has_table_privilege($1::oid, 'DELETE')`,
			src.table.oid).Scan(&may)
		if err != nil {
			return refused("look at rights", err)
		}
		if !may {
			return t.advised(store.Errorf(store.Forbidden, "the role may not both SELECT and DELETE in %s", src.table.name))
		}
	}
	return nil
}
