package postgressource

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantpurge/purger/store"
)

// errStandby says that whoever answers is a standby.
var errStandby = store.Errorf(store.Precondition, "the server is a standby, which may not know yet of a reactivation; "+
	"want a dsn of the primary, or standby: allowed")

// isPrimary is a [pgconn.ValidateConnectFunc]: with several hosts in the DSN it goes
// past those that are standbys.
func isPrimary(ctx context.Context, conn *pgconn.PgConn) error {
	return answersAsPrimary(conn.Exec(ctx, "SELECT pg_catalog.pg_is_in_recovery()"))
}

// answersAsPrimary reads what ends in the one column that says whether the server is a
// standby.
func answersAsPrimary(answer *pgconn.MultiResultReader) error {
	results, err := answer.ReadAll()
	if err != nil {
		return err
	}
	if len(results) > 0 {
		rows := results[len(results)-1].Rows
		if len(rows) == 1 && len(rows[0]) > 0 && string(rows[0][len(rows[0])-1]) == "f" {
			return nil
		}
	}
	return errStandby
}
