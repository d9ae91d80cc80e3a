package postgressource

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantpurge/purger/store"
)

// conns keeps connections for look-ups.
type conns struct {
	dial func(context.Context) (*pgx.Conn, error)
	rule rule
	free chan struct{} // a place for each connection that may be under way

	mu     sync.Mutex
	idle   []*pgx.Conn
	closed bool
}

// newConns returns room for n connections, whose transactions keep to a rule.
func newConns(n int, dial func(context.Context) (*pgx.Conn, error), r rule) *conns {
	return &conns{dial: dial, rule: r, free: make(chan struct{}, n)}
}

// with lends a connection, in a transaction that reads. A connection that was kept
// and is broken is replaced once, since what is asked changes nothing.
func (c *conns) with(ctx context.Context, fn func(*pgx.Conn) error) error {
	select {
	case c.free <- struct{}{}:
		defer func() { <-c.free }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		conn, kept, err := c.take(ctx)
		if err != nil {
			return err
		}
		err = c.reading(ctx, conn, fn)
		broken := conn.IsClosed() || conn.PgConn().TxStatus() != 'I' || err != nil && !isAnswer(err)
		c.put(conn, broken)
		if err == nil || !kept || !broken || ctx.Err() != nil {
			return err
		}
	}
}

// reading calls fn in a transaction. Behind a pooler it is that, too, what keeps the
// server from changing between what describes a statement and what runs it.
func (c *conns) reading(ctx context.Context, conn *pgx.Conn, fn func(*pgx.Conn) error) error {
	err := c.rule.begin(ctx, conn, "READ COMMITTED")
	switch {
	case err == nil:
		err = fn(conn)
	case !errors.Is(err, errStandby):
		return err // nothing was begun
	}
	if _, ended := conn.PgConn().Exec(ctx, "COMMIT").ReadAll(); err == nil { // or else it rolls back
		err = ended
	}
	return err
}

// take returns a connection, and whether it was kept from an earlier use.
func (c *conns) take(ctx context.Context) (*pgx.Conn, bool, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, false, store.Errorf(store.Unavailable, "the source is closed")
	}
	if n := len(c.idle); n > 0 {
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return conn, true, nil
	}
	c.mu.Unlock()
	conn, err := c.dial(ctx)
	return conn, false, err
}

// put gives a connection back.
func (c *conns) put(conn *pgx.Conn, broken bool) {
	c.mu.Lock()
	keep := !broken && !c.closed
	if keep {
		c.idle = append(c.idle, conn)
	}
	c.mu.Unlock()
	if !keep {
		hangUp(conn)
	}
}

// close closes what is idle; what is lent is closed when it comes back.
func (c *conns) close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	for _, conn := range idle {
		hangUp(conn)
	}
}

// hangUp closes a connection without waiting for a server that does not answer.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// isAnswer reports whether an error is what the server answered, after which the
// connection is as good as before.
func isAnswer(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Severity != "FATAL" && pg.Severity != "PANIC" || store.CodeOf(err) != store.Internal
}

// failed returns an error of the server or of the way to it. Neither says
// anything about a tenant.
func failed(what string, err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pg):
		return store.Errorf(store.Unavailable, "%s: %s (SQLSTATE %s)", what, pg.Message, pg.Code)
	case store.CodeOf(err) != store.Internal:
		return err
	}
	return store.Errorf(store.Unavailable, "%s: %w", what, err)
}
