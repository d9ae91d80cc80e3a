package postgressource

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// The waits between attempts to listen again.
const (
	listenAgain    = time.Second
	listenAgainMax = time.Minute
	// deafAgain is the wait when notifications do not arrive: somebody has to
	// change a setting first.
	deafAgain = 15 * time.Minute
	// quiet is how long nothing may be heard before the connection is tried.
	quiet = time.Minute
)

// Watch implements [purge.Watcher]. Without a channel it waits for the end of
// ctx.
func (s *Source) Watch(ctx context.Context, changed func()) error {
	if s.cfg.Channel == "" {
		<-ctx.Done()
		return ctx.Err()
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = listenAgain, listenAgainMax
	for {
		err := s.listen(ctx, func() {
			wait.Reset()
			changed()
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d := wait.NextBackOff()
		if errors.Is(err, errDeaf) {
			d = deafAgain
		}
		s.log.Warn("the source is not listened to", zap.String("source", s.cfg.Name), zap.String("channel", s.cfg.Channel),
			zap.Duration("nextAttemptIn", d), zap.Error(err))
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// listen calls changed once it listens, since something may have happened before,
// and at each notification. It returns an error once it cannot listen any more.
func (s *Source) listen(ctx context.Context, changed func()) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	if err := s.hears(ctx, conn); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if _, err := conn.Exec(asking, "LISTEN "+pgx.Identifier{s.cfg.Channel}.Sanitize()); err != nil {
		return failed("listen", err)
	}
	changed()
	for {
		if err := s.hear(ctx, conn, changed); err != nil {
			return err
		}
	}
}

// hear waits for one notification. When there is none for some time it tries the
// connection: one whose other end has gone says nothing either.
func (s *Source) hear(ctx context.Context, conn *pgx.Conn, changed func()) error {
	waiting, cancel := context.WithTimeout(ctx, quiet)
	_, err := conn.WaitForNotification(waiting)
	cancel()
	switch {
	case err == nil:
		changed()
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.Is(err, context.DeadlineExceeded) || conn.IsClosed():
		return failed("listen", err)
	}
	asking, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := conn.Ping(asking); err != nil {
		return store.Errorf(store.Unavailable, "listen: the connection is dead: %w", err)
	}
	return nil
}
