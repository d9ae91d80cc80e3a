package postgressource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// rule is what each transaction keeps to.
type rule struct {
	timeout time.Duration // of a statement
	standby bool          // a standby may answer
}

// begin begins a transaction that reads, at a level of isolation, with the settings
// that the source relies on. None is for the session: a pooler would refuse it, or give
// the next transaction another session. It is also here that a standby is found out,
// since a connection to a pooler outlives what is behind it. After errStandby the
// transaction is there, and has to be ended.
func (r rule) begin(ctx context.Context, conn *pgx.Conn, level string) error {
	err := answersAsPrimary(conn.PgConn().Exec(ctx, fmt.Sprintf(`BEGIN ISOLATION LEVEL %s READ ONLY;
SELECT pg_catalog.set_config('TimeZone', 'UTC', true), pg_catalog.set_config('DateStyle', 'ISO, YMD', true),
pg_catalog.set_config('statement_timeout', '%d', true), pg_catalog.pg_is_in_recovery()`, level, r.timeout.Milliseconds())))
	if r.standby && errors.Is(err, errStandby) {
		return nil
	}
	return err
}
