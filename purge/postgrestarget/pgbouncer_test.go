package postgrestarget_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// behind returns the setting up of a bench behind a PgBouncer that pools
// transactions, and the pooler.
func behind(t *testing.T, config func(*postgrestarget.Config)) (setUp, *pgtest.Pooler) {
	t.Helper()
	pooler := pgtest.NewPooler(t, pg(t).Addr(), "transaction")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(pooler.Log())
		}
	})
	return setUp{through: pooler, config: config}, pooler
}

// client connects as another client of the pooler does.
func (b *bench) client(t *testing.T, pooler *pgtest.Pooler) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), pgtest.Through(b.server.DSN(b.db), pooler.Addr())+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

// spread has the pooler open both its connections, and fails unless it hands them
// to one client in turn.
func (b *bench) spread(t *testing.T, pooler *pgtest.Pooler) *pgx.Conn {
	t.Helper()
	one, two := b.client(t, pooler), b.client(t, pooler)
	pids := map[int]bool{}
	for _, c := range []*pgx.Conn{one, two, one, one, one} {
		sql := "SELECT pg_backend_pid()"
		if len(pids) == 0 {
			sql = "BEGIN; " + sql
		}
		var pid int
		results, err := c.PgConn().Exec(t.Context(), sql).ReadAll()
		if err == nil {
			_, err = fmt.Sscan(string(results[len(results)-1].Rows[0][0]), &pid)
		}
		if err != nil {
			t.Fatal(err)
		}
		if pids[pid] = true; c == two {
			if _, err := one.Exec(t.Context(), "COMMIT"); err != nil {
				t.Fatal(err)
			}
			clear(pids)
			pids[0] = true
		}
	}
	if len(pids) != 3 {
		t.Fatalf("one client was served by %v; want two connections of the server", pids)
	}
	return one
}

func TestTarget_ConformanceBehindPgBouncer(t *testing.T) {
	u, _ := behind(t, nil)
	conform(t, "Ledger", u)
}

// TestTarget_LeavesNothingBehindInPgBouncer: the time-outs are in force, and no other
// client of the pooler gets them, nor anything else of the target.
func TestTarget_LeavesNothingBehindInPgBouncer(t *testing.T) {
	u, pooler := behind(t, func(c *postgrestarget.Config) {
		c.StatementTimeout, c.LockTimeout = 1234*time.Millisecond, 345*time.Millisecond
	})
	b := u.make(t)
	other := b.spread(t, pooler)
	b.server.Exec(t, b.db, `CREATE TABLE seen (setting text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO seen SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('row_security'),
    current_setting('idle_in_transaction_session_timeout'), (SELECT count(*) FROM pg_prepared_statements));
  RETURN NULL; END $$;
CREATE TRIGGER see AFTER DELETE ON users FOR EACH STATEMENT EXECUTE FUNCTION see()`)
	b.add(t, "acme", store.KindUser, 9)
	for range 3 {
		b.wantStep(t, onAccount("acme", 3), 3, true)
		if _, err := b.Count(t.Context(), "acme", store.KindUser); err != nil {
			t.Error(err)
		}
	}
	b.wantStep(t, onAccount("acme", 3), 0, false)
	if n := b.server.Int(t, b.db, "SELECT count(*) FROM seen WHERE setting <> '1234ms 345ms off 30s 0'"); n > 0 {
		t.Errorf("%d steps were not bounded", n)
	}
	if n := b.server.Int(t, b.db, "SELECT count(*) FROM seen"); n < 3 {
		t.Errorf("%d steps were seen", n)
	}
	for range 4 { // of both connections
		var left string
		err := other.QueryRow(t.Context(), `SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('row_security'),
    current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_read_only'), (SELECT count(*) FROM pg_prepared_statements),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), pg_my_temp_schema(), (SELECT count(*) FROM pg_cursors))`).Scan(&left)
		if err != nil || left != "0 0 on 0 off 0 0 0 0" {
			t.Errorf("another client finds %q, %v", left, err)
		}
	}
	sum, err := b.Account(t.Context(), "purge-of-acme")
	if err != nil || sum.Of(store.KindUser) != 9 {
		t.Errorf("Account = %+v, %v", sum, err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	found, err := b.Diagnose(t.Context())
	if err != nil {
		t.Errorf("Diagnose: %v", err)
	}
	said := false
	for _, f := range found {
		said = said || f.Severity == purge.SeverityInfo && f.Subject == "connection" && strings.Contains(f.Text, "pooler")
	}
	if !said {
		t.Errorf("Diagnose says nothing of the pooler: %+v", found)
	}
}

// TestPurge_G5_ServerConnectionOfPgBouncerDiesAtCommit: what PgBouncer says then is
// not taken for the server's word.
func TestPurge_G5_ServerConnectionOfPgBouncerDiesAtCommit(t *testing.T) {
	proxy := pgtest.NewProxy(t, pg(t).Addr())
	pooler := pgtest.NewPooler(t, proxy.Addr(), "transaction")
	for _, ledger := range []bool{true, false} {
		t.Run(fmt.Sprintf("BeforeItsEffect/Ledger=%t", ledger), func(t *testing.T) {
			b := setUp{through: pooler, noLedger: !ledger}.make(t)
			b.server.Exec(t, b.db, dieAtCommitSQL)
			b.add(t, "acme", store.KindUser, 7)
			want := store.Internal // the answer is lost
			if ledger {
				want = store.Unavailable // known to have had no effect
			}
			b.wantRefusal(t, users("acme", all), want)
			if left := b.left(t, "acme", store.KindUser); left != 7 {
				t.Errorf("%d are left, want 7", left)
			}
			b.wantStep(t, users("acme", all), 7, false)
		})
		t.Run(fmt.Sprintf("AfterItsEffect/Ledger=%t", ledger), func(t *testing.T) {
			b := setUp{through: pooler, noLedger: !ledger}.make(t)
			cuts := proxy.Cuts()
			b.add(t, "acme", store.KindUser, 7)
			proxy.CutAnswerTo("COMMIT\x00")
			did, err := b.Purge(t.Context(), users("acme", all))
			if left := b.left(t, "acme", store.KindUser); proxy.Cuts() != cuts+1 || left != 0 {
				t.Fatalf("%d answers were cut off, and %d are left", proxy.Cuts()-cuts, left)
			}
			if ledger && (err != nil || did != purge.Removed{Deleted: 7}) {
				t.Errorf("Purge = %+v, %v; want 7: the ledger tells", did, err)
			}
			if !ledger {
				wantCode(t, err, store.Internal)
			}
		})
	}
}

// TestPurge_CancelledCallsDoNotEndPgBouncer: 1.18 and 1.19 end when a client hangs up on
// its request to cancel, and all their clients lose their connections.
func TestPurge_CancelledCallsDoNotEndPgBouncer(t *testing.T) {
	u, pooler := behind(t, func(c *postgrestarget.Config) { c.LockTimeout = 20 * time.Second })
	b := u.make(t)
	other := b.client(t, pooler)
	b.add(t, "acme", store.KindUser, 3)
	b.holding(t, "SELECT FROM users FOR UPDATE", func(func()) {
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := b.Purge(ctx, users("acme", all)); err == nil {
					t.Error("what was locked was removed")
				}
			})
			b.waiting(t, 1)
			cancel()
			wg.Wait()
			b.await(t, "nobody waits for a lock", "SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
		}
	})
	if err := other.Ping(t.Context()); err != nil {
		t.Errorf("another client of the pooler lost its connection: %v", err)
	}
	b.wantStep(t, users("acme", all), 3, false)
}

// TestTarget_OwnStatementsBehindPgBouncer: nobody tells which type a parameter has
// without preparing, and each is given one all the same.
func TestTarget_OwnStatementsBehindPgBouncer(t *testing.T) {
	const id = "0198c1a2-0000-7000-8000-00000000000a"
	u, _ := behind(t, func(c *postgrestarget.Config) {
		ownStatements(c)
		c.Subscriptions = "SELECT count(*) FROM users WHERE tenant_id = $1"
	})
	for typ, tenant := range map[string]string{"varchar(200)": "acme", "uuid": id, "smallint": "42"} {
		t.Run(typ, func(t *testing.T) {
			u.typ = typ
			b := u.make(t)
			for _, kind := range b.Kinds() {
				b.add(t, tenant, kind, 5)
				for _, want := range []int64{3, 2} {
					if n, err := b.ActiveSubscriptions(t.Context(), tenant); kind == store.KindUser && (err != nil || n == 0) {
						t.Errorf("ActiveSubscriptions = %d, %v", n, err)
					}
					did, err := b.Purge(t.Context(), purge.Request{TenantID: tenant, Kind: kind, Limit: 3, PurgeID: "p", OnAccount: true})
					if err != nil || did.Deleted != want {
						t.Errorf("Purge of %s = %+v, %v; want %d", kind, did, err, want)
					}
				}
				if n, err := b.Count(t.Context(), tenant, kind); n != 0 || err != nil {
					t.Errorf("Count of %s = %d, %v", kind, n, err)
				}
			}
		})
	}
}

// TestTarget_OtherModesOfPgBouncer: sessions do, and statements are refused with a
// word that says why.
func TestTarget_OtherModesOfPgBouncer(t *testing.T) {
	t.Run("session", func(t *testing.T) {
		b := setUp{
			through: pgtest.NewPooler(t, pg(t).Addr(), "session"),
			config:  func(c *postgrestarget.Config) { c.Connections = 2 },
		}.make(t)
		b.add(t, "acme", store.KindUser, 9)
		b.wantStep(t, onAccount("acme", 5), 5, true)
		b.wantStep(t, onAccount("acme", 5), 4, false)
	})
	t.Run("statement", func(t *testing.T) {
		b := setUp{through: pgtest.NewPooler(t, pg(t).Addr(), "statement"), noLedger: true}.make(t)
		b.add(t, "acme", store.KindUser, 9)
		_, err := b.Purge(t.Context(), users("acme", all))
		wantCode(t, err, store.Unavailable)
		if left := b.left(t, "acme", store.KindUser); left != 9 || err == nil || !strings.Contains(err.Error(), "statement pooling mode") {
			t.Errorf("error %v, and %d are left; want it to name the mode, and 9", err, left)
		}
	})
}

// TestPurge_G4_SearchPathThatPgBouncerDropsIsMissed: without it the tables of another
// schema would be purged, which have the same names.
func TestPurge_G4_SearchPathThatPgBouncerDropsIsMissed(t *testing.T) {
	u := setUp{noLedger: true}
	b := u.make(t)
	b.server.Exec(t, b.db, "CREATE SCHEMA app; SET search_path = app; "+fmt.Sprintf(schemaSQL, "text NOT NULL")+"; RESET search_path")
	b.add(t, "acme", store.KindUser, 5)
	pooler := pgtest.NewPooler(t, b.server.Addr(), "transaction", "ignore_startup_parameters=search_path,options")
	for _, set := range []string{"&search_path=app", "&options=-c%20search_path%3Dapp", "&options=--search_path%3Dx%20-csearch_path%3Dapp,%5C%20public", "&search_path=app&default_query_exec_mode=exec"} {
		u.config = func(c *postgrestarget.Config) { c.DSN += set }
		direct, pooled := b.again(t, u, b.server.DSN(b.db)), b.again(t, u, pgtest.Through(b.server.DSN(b.db), pooler.Addr()))
		if n, err := direct.Count(t.Context(), "acme", store.KindUser); n != 0 || err != nil {
			t.Errorf("%s: Count without a pooler = %d, %v", set, n, err)
		}
		did, err := pooled.Purge(t.Context(), users("acme", all))
		if wantCode(t, err, store.Precondition); did != (purge.Removed{}) || b.left(t, "acme", store.KindUser) != 5 {
			t.Errorf("%s: Purge = %+v, %v, of another schema's table", set, did, err)
		}
	}
}

// TestTarget_PgBouncerRefusesWhatTheDSNSets: and the error says which setting it is.
func TestTarget_PgBouncerRefusesWhatTheDSNSets(t *testing.T) {
	u, pooler := behind(t, nil)
	b := u.make(t)
	u.config = func(c *postgrestarget.Config) { c.DSN += "&search_path=app" }
	target := b.again(t, u, pgtest.Through(b.server.DSN(b.db), pooler.Addr()))
	_, err := target.Count(t.Context(), "acme", store.KindUser)
	wantCode(t, err, store.Unavailable)
	if err == nil || !strings.Contains(err.Error(), "search_path") || !strings.Contains(err.Error(), "out of the DSN") {
		t.Errorf("error %v; want it to name the setting and to say what to do", err)
	}
}
