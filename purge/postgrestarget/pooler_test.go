package postgrestarget_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// pooled returns a target whose connections have forgotten their prepared
// statements while lost is set, as those of a pooler do that hands them to
// others between transactions.
func pooled(t *testing.T, lost *atomic.Bool, dsn string) *bench {
	t.Helper()
	return setUp{
		config: func(c *postgrestarget.Config) { c.DSN += dsn },
		options: postgrestarget.Options{Pool: func(c *pgxpool.Config) {
			c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
				if !lost.Load() {
					return true, nil
				}
				_, err := conn.PgConn().Exec(ctx, "DISCARD ALL").ReadAll()
				return true, err
			}
		}},
	}.make(t)
}

// TestPurge_StatementsThatAPoolerLostAreDoneWithout: where a pooler was not found out
// it costs an attempt, without effect, and from then on none is prepared.
func TestPurge_StatementsThatAPoolerLostAreDoneWithout(t *testing.T) {
	var lost atomic.Bool
	b := pooled(t, &lost, "")
	b.add(t, "acme", store.KindUser, 9)
	b.wantStep(t, users("acme", 3), 3, true)
	b.wantStep(t, users("acme", 3), 3, true)
	lost.Store(true)
	_, err := b.Purge(t.Context(), users("acme", 3))
	wantCode(t, err, store.Unavailable)
	if err == nil || !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
		t.Errorf("error %v; want it to say what to do", err)
	}
	if left := b.left(t, "acme", store.KindUser); left != 3 {
		t.Errorf("%d are left, want 3", left)
	}
	for range 3 {
		b.wantStep(t, users("acme", 1), 1, true)
	}
}

// TestPurge_TheWordOfTheDSNStands: statements that the operator wants prepared are
// prepared, pooler or not.
func TestPurge_TheWordOfTheDSNStands(t *testing.T) {
	var lost atomic.Bool
	b := pooled(t, &lost, "&default_query_exec_mode=cache_statement")
	b.add(t, "acme", store.KindUser, 9)
	b.wantStep(t, users("acme", 3), 3, true)
	b.wantStep(t, users("acme", 3), 3, true)
	lost.Store(true)
	for range 2 {
		_, err := b.Purge(t.Context(), users("acme", 3))
		wantCode(t, err, store.Unavailable)
		lost.Store(false)
		b.wantStep(t, users("acme", 1), 1, true)
		lost.Store(true)
	}
}

// TestPurge_StatementsOfAnotherClientAreNotAboutRows: behind a pooler the server
// may have statements by the names that this client gives to its own.
func TestPurge_StatementsOfAnotherClientAreNotAboutRows(t *testing.T) {
	var mu sync.Mutex
	var names []string
	b := setUp{options: postgrestarget.Options{Pool: func(c *pgxpool.Config) {
		c.AfterRelease = func(conn *pgx.Conn) bool {
			found, err := conn.PgConn().Exec(context.Background(), "SELECT name FROM pg_prepared_statements WHERE statement LIKE 'WITH %'").ReadAll()
			if err != nil || len(found) != 1 {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			for _, row := range found[0].Rows {
				if name := string(row[0]); !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			return true
		}
	}}}.make(t)
	b.add(t, "acme", store.KindUser, 9)
	b.wantStep(t, users("acme", all), 9, false)
	if err := b.Close(); err != nil || len(names) == 0 { // waits for the connections
		t.Fatalf("%d statements, %v", len(names), err)
	}
	b.Target = b.again(t, setUp{options: postgrestarget.Options{Pool: func(c *pgxpool.Config) {
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			for _, name := range names {
				if _, err := conn.PgConn().Exec(ctx, "PREPARE "+name+" AS SELECT 1").ReadAll(); err != nil {
					return err
				}
			}
			return nil
		}
	}}}, b.server.DSN(b.db))
	b.add(t, "acme", store.KindUser, 9)
	_, err := b.Purge(t.Context(), users("acme", all))
	wantCode(t, err, store.Unavailable)
	if left := b.left(t, "acme", store.KindUser); left != 9 || err == nil || !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
		t.Errorf("error %v, and %d are left; want it to say what to do, and 9", err, left)
	}
}

// TestTarget_NeedsNoPreparedStatements: with the setting in the DSN each
// transaction may go to another connection of the server.
func TestTarget_NeedsNoPreparedStatements(t *testing.T) {
	var lost atomic.Bool
	lost.Store(true)
	b := pooled(t, &lost, "&default_query_exec_mode=exec")
	for _, kind := range b.Kinds() {
		b.add(t, "acme", kind, 9)
		r := onAccount("acme", 4)
		r.Kind = kind
		for _, n := range []int64{4, 4, 1} {
			did, err := b.Purge(t.Context(), r)
			if err != nil || did.Deleted != n {
				t.Errorf("Purge of %s = %+v, %v; want %d", kind, did, err, n)
			}
		}
		if n, err := b.Count(t.Context(), "acme", kind); n != 0 || err != nil {
			t.Errorf("Count = %d, %v", n, err)
		}
	}
	sum, err := b.Account(t.Context(), "purge-of-acme")
	if err != nil || sum.Of(store.KindUser) != 9 || sum.Of(store.KindOAuthClient) != 9 {
		t.Errorf("Account = %+v, %v", sum, err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if found, err := b.Diagnose(t.Context()); err != nil || len(found) == 0 {
		t.Errorf("Diagnose: %v, %v", found, err)
	}
}
