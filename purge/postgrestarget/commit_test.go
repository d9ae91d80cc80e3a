package postgrestarget_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// TestPurge_G5_LostCommitsDoNotWaitForEachOther: with as many lost as there are
// connections, the ledger is asked all the same.
func TestPurge_G5_LostCommitsDoNotWaitForEachOther(t *testing.T) {
	b := setUp{config: func(c *postgrestarget.Config) { c.Connections, c.LockTimeout = 2, 30*time.Second }}.make(t)
	b.server.Exec(t, b.db, `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_advisory_lock_shared(1); PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(10); RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER die AFTER DELETE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`)
	ended := make(chan error, 2)
	began := time.Now()
	b.holding(t, "SELECT pg_advisory_xact_lock(1)", func(commit func()) {
		for i := range 2 {
			tenant := fmt.Sprint("t", i)
			b.add(t, tenant, store.KindUser, 3)
			go func() { ended <- second(b.Purge(t.Context(), users(tenant, all))) }()
			b.waiting(t, i+1)
		}
		began = time.Now()
		commit()
	})
	for range 2 {
		wantCode(t, <-ended, store.Unavailable) // known to have had no effect
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to find out", took)
	}
}

// forger is a connection through something that answers COMMIT by itself, after
// it had its effect.
type forger struct {
	net.Conn
	forged *atomic.Int64
	armed  bool
}

func (f *forger) Write(b []byte) (int, error) {
	f.armed = f.armed || bytes.Contains(b, []byte("COMMIT\x00"))
	return f.Conn.Write(b)
}

func (f *forger) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if err != nil || !f.armed {
		return n, err
	}
	f.armed = false
	f.forged.Add(1)
	answer, err := (&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "08P01", Message: "server conn crashed?"}).Encode(nil)
	if err == nil {
		answer, err = (&pgproto3.ReadyForQuery{TxStatus: 'I'}).Encode(answer)
	}
	return copy(b, answer), err
}

// TestPurge_G5_APoolersWordIsNotTheServers: an error about the connection in
// answer to a COMMIT does not say that nothing was committed.
func TestPurge_G5_APoolersWordIsNotTheServers(t *testing.T) {
	for _, ledger := range []bool{true, false} {
		var forged atomic.Int64
		b := setUp{noLedger: !ledger, options: postgrestarget.Options{Pool: func(c *pgxpool.Config) {
			dial := c.ConnConfig.DialFunc
			c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				if forged.Load() == 0 {
					conn = &forger{Conn: conn, forged: &forged}
				}
				return conn, err
			}
		}}}.make(t)
		b.add(t, "acme", store.KindUser, 7)
		did, err := b.Purge(t.Context(), users("acme", all))
		if left := b.left(t, "acme", store.KindUser); forged.Load() == 0 || left != 0 {
			t.Fatalf("%d answers were forged, and %d are left", forged.Load(), left)
		}
		if ledger && (err != nil || did != purge.Removed{Deleted: 7}) {
			t.Errorf("Purge = %+v, %v; want 7: the ledger tells", did, err)
		}
		if !ledger {
			wantCode(t, err, store.Internal)
		}
	}
}
