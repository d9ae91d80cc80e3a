package postgrestarget

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// cancelPatience bounds how long a request to cancel is waited for. It is longer
// than PgBouncer keeps one (cancel_wait_timeout, 10 s).
const cancelPatience = 15 * time.Second

// canceller has the server cancel the statement of a caller who has gone. Other than
// [pgconn.CancelRequestContextWatcherHandler] it never hangs up on its request
// before the other end does: PgBouncer 1.18 and 1.19 end themselves then, with all
// their clients ("bad client state: 0").
type canceller struct {
	conn *pgconn.PgConn
	done chan struct{} // closed when the request has ended
}

var _ ctxwatch.Handler = (*canceller)(nil)

// HandleCancel implements [ctxwatch.Handler].
func (c *canceller) HandleCancel(context.Context) {
	_ = c.conn.Conn().SetDeadline(time.Now().Add(cancelDelay))
	done := make(chan struct{})
	c.done = done
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
		defer cancel()
		_ = c.conn.CancelRequest(ctx)
	}()
}

// HandleUnwatchAfterCancel implements [ctxwatch.Handler]. A request that may still
// be under way must not meet the next statement: the connection is cut instead.
func (c *canceller) HandleUnwatchAfterCancel() {
	timer := time.NewTimer(cancelDelay)
	defer timer.Stop()
	select {
	case <-c.done:
		_ = c.conn.Conn().SetDeadline(time.Time{})
	case <-timer.C:
		_ = c.conn.Conn().Close()
	}
}
