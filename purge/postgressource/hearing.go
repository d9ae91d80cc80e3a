package postgressource

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// errDeaf says that there is a connection, and that notifications do not arrive.
var errDeaf = store.Errorf(store.Precondition, "a notification does not arrive: a pooler shares the connections of the server between transactions, "+
	"as PgBouncer does with pool_mode=transaction; want a dsn that goes past it, or pool_mode=session; until then the source is read on schedule alone")

const (
	// probeChannel is listened to until a notification of our own has arrived. It has
	// a name of its own, since behind a pooler the LISTEN stays with a connection of
	// the server that serves others.
	probeChannel = "purger_probe"
	// probeWait is how long a notification may take to arrive.
	probeWait = 3 * time.Second
)

// hears returns nil when a connection gets what another one notifies of, and
// errDeaf when it does not. It takes longer than a look-up may.
func (s *Source) hears(ctx context.Context, conn *pgx.Conn) error {
	asking, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if _, err := conn.Exec(asking, "LISTEN "+probeChannel); err != nil {
		return failed("listen", err)
	}
	word := rand.Text() // others may try, too
	err := s.conns.with(asking, func(other *pgx.Conn) error {
		_, err := other.Exec(asking, "SELECT pg_catalog.pg_notify($1, $2)", probeChannel, word)
		return err
	})
	if err != nil {
		return failed("notify", err)
	}
	waiting, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(waiting)
		switch {
		case err == nil && n.Payload == word:
			_, err := conn.Exec(waiting, "UNLISTEN "+probeChannel)
			return failed("listen", err)
		case err == nil:
		case ctx.Err() != nil:
			return failed("listen", ctx.Err())
		case errors.Is(err, context.DeadlineExceeded):
			return errDeaf
		default:
			return failed("listen", err)
		}
	}
}

// aboutChannel tells whether notifications arrive.
func (s *Source) aboutChannel(ctx context.Context) ([]purge.Finding, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer hangUp(conn)
	err = s.hears(ctx, conn)
	if errors.Is(err, errDeaf) {
		return []purge.Finding{{Severity: purge.SeverityWarning, Subject: "channel", Text: errDeaf.Error()}}, nil
	}
	return nil, err
}
