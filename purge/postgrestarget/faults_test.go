package postgrestarget_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// all takes everything in one step.
const all = 1 << 20

func users(tenant string, limit int) purge.Request {
	return purge.Request{TenantID: tenant, Kind: store.KindUser, Limit: limit}
}

// wantStep fails unless a step removes n rows and says more.
func (b *bench) wantStep(tb testing.TB, r purge.Request, n int64, more bool) {
	tb.Helper()
	did, err := b.Purge(tb.Context(), r)
	if want := (purge.Removed{Deleted: n, More: more}); err != nil || did != want {
		tb.Errorf("Purge(%+v) = %+v, %v; want %+v", r, did, err, want)
	}
}

// wantRefusal fails unless a step does nothing and says so with a code.
func (b *bench) wantRefusal(tb testing.TB, r purge.Request, want store.Code) {
	tb.Helper()
	did, err := b.Purge(tb.Context(), r)
	wantCode(tb, err, want)
	if did != (purge.Removed{}) || errors.Is(err, context.DeadlineExceeded) || purge.IsPermanent(err) {
		tb.Errorf("Purge(%+v) = %+v, %v; want a refusal that had no effect and may be tried again", r, did, err)
	}
}

// dieAtCommitSQL lets the backend of the first COMMIT that deletes users be
// terminated in the midst of it.
const dieAtCommitSQL = `
CREATE SEQUENCE commits;
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF nextval('commits') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(10); END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER die AFTER DELETE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();`

func TestPurge_G5_BackendTerminatedAtCommit(t *testing.T) {
	for _, ledger := range []bool{true, false} {
		t.Run(fmt.Sprintf("Ledger=%t", ledger), func(t *testing.T) {
			b := setUp{noLedger: !ledger}.make(t)
			b.server.Exec(t, b.db, dieAtCommitSQL)
			b.add(t, "acme", store.KindUser, 7)
			if ledger {
				b.wantRefusal(t, users("acme", all), store.Unavailable) // known to have had no effect
			} else {
				b.wantRefusal(t, users("acme", all), store.Internal) // the answer is lost
			}
			if left := b.left(t, "acme", store.KindUser); left != 7 {
				t.Errorf("%d are left, want 7", left)
			}
			b.wantStep(t, users("acme", all), 7, false)
		})
	}
}

func TestPurge_G5_CutBetweenEffectAndAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		limit  int
		ledger bool
		config func(*postgrestarget.Config)
	}{
		"Ledger":        {all, true, nil},
		"NoLedger":      {all, false, nil},
		"Own":           {all, true, ownStatements},
		"OwnNoLedger":   {all, false, ownStatements},
		"Limited":       {5, true, nil},
		"LedgerInOther": {all, true, func(c *postgrestarget.Config) { c.Ledger = `public."the ledger"` }},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := pgtest.NewProxy(t, pg(t).Addr())
			b := setUp{noLedger: !c.ledger, through: proxy, config: c.config}.make(t)
			b.add(t, "acme", store.KindUser, 7)
			b.add(t, "neighbour", store.KindUser, 3)
			proxy.CutAnswerTo("COMMIT\x00") // not the READ COMMITTED before it
			did, err := b.Purge(t.Context(), users("acme", c.limit))
			if proxy.Cuts() != 1 {
				t.Fatalf("%d answers were cut off, want 1", proxy.Cuts())
			}
			gone := int64(min(c.limit, 7))
			if left := b.left(t, "acme", store.KindUser); left != 7-gone {
				t.Fatalf("%d are left, want %d: the COMMIT was to have its effect", left, 7-gone)
			}
			if c.ledger {
				if want := (purge.Removed{Deleted: gone, More: gone == int64(c.limit)}); err != nil || did != want {
					t.Errorf("Purge = %+v, %v; want %+v: the ledger tells", did, err, want)
				}
			} else {
				wantCode(t, err, store.Internal)
				if did.Deleted != 0 {
					t.Errorf("Purge = %+v with a lost answer", did)
				}
			}
			b.wantStep(t, users("acme", all), 7-gone, false)
			if left := b.left(t, "neighbour", store.KindUser); left != 3 {
				t.Errorf("%d of the neighbour's are left, want 3", left)
			}
		})
	}
}

// TestPurge_G5_CutWhileCommitting asks the ledger before the COMMIT has ended. A
// client that loses its connection has the server cancel what it does: mostly
// the trigger is not impressed, and then the COMMIT has its effect.
func TestPurge_G5_CutWhileCommitting(t *testing.T) {
	proxy := pgtest.NewProxy(t, pg(t).Addr())
	b := setUp{through: proxy}.make(t)
	b.server.Exec(t, b.db, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  BEGIN PERFORM pg_sleep(0.5); EXCEPTION WHEN query_canceled THEN NULL; END;
  PERFORM pg_sleep(0.5);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER DELETE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()`)
	for round := 1; ; round++ {
		tenant := fmt.Sprint("t", round)
		b.add(t, tenant, store.KindUser, 1)
		proxy.CutAfter("COMMIT\x00")
		did, err := b.Purge(t.Context(), users(tenant, all))
		b.await(t, "nothing is under way", `SELECT (count(*) = 0)::int FROM pg_stat_activity
WHERE application_name = 'purger' AND datname = current_database() AND state <> 'idle'`)
		gone := 1 - b.left(t, tenant, store.KindUser)
		if proxy.Cuts() != round || did.Deleted != gone || (err == nil) != (gone == 1) {
			t.Fatalf("round %d: Purge = %+v, %v, and %d are gone; %d cuts", round, did, err, gone, proxy.Cuts())
		}
		if gone == 1 {
			return
		}
		wantCode(t, err, store.Unavailable)
		if round == 10 {
			t.Fatal("every COMMIT was cancelled")
		}
	}
}

// holding runs fn while another session has run sql and not committed it.
func (b *bench) holding(tb testing.TB, sql string, fn func(commit func())) {
	tb.Helper()
	ctx := tb.Context()
	c, err := pgx.Connect(ctx, b.server.DSN(b.db))
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(ctx)) // rolls back
	if _, err := c.Exec(ctx, "BEGIN; "+sql); err != nil {
		tb.Fatal(err)
	}
	fn(func() {
		if _, err := c.Exec(ctx, "COMMIT"); err != nil {
			tb.Error(err)
		}
	})
}

// await waits until a query yields 1.
func (b *bench) await(tb testing.TB, what, query string, args ...any) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); b.server.Int(tb, b.db, query, args...) != 1; <-tick.C {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain: %s", what)
		}
	}
}

// waiting waits until n sessions wait for a lock.
func (b *bench) waiting(tb testing.TB, n int) {
	tb.Helper()
	b.await(tb, "sessions wait for a lock", "SELECT (count(*) >= $1)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()", n)
}

func TestPurge_G11_LockedRowsHoldUpTheirTenantAlone(t *testing.T) {
	b := setUp{}.make(t)
	const others = 20
	b.add(t, "locked", store.KindUser, 5)
	for i := range others {
		b.add(t, fmt.Sprintf("t%d", i), store.KindUser, 5)
	}
	b.holding(t, "SELECT FROM users WHERE tenant_id = 'locked' FOR UPDATE", func(func()) {
		var wg sync.WaitGroup
		began := time.Now()
		defer func() {
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s with a lock time-out of 200 ms", took)
			}
		}()
		wg.Go(func() { b.wantRefusal(t, users("locked", all), store.Unavailable) })
		for i := range others {
			wg.Go(func() { b.wantStep(t, users(fmt.Sprintf("t%d", i), all), 5, false) })
		}
		wg.Wait()
	})
	if left := b.left(t, "locked", store.KindUser); left != 5 {
		t.Errorf("%d are left, want 5", left)
	}
	b.wantStep(t, users("locked", all), 5, false)
}

func TestPurge_G4_LeavesRowThatChangesItsTenantMeanwhile(t *testing.T) {
	for name, also := range map[string]string{
		"ByPlace": "",
		"ByKey":   "CREATE TABLE children () INHERITS (users)",
	} {
		b := setUp{config: func(c *postgrestarget.Config) { c.LockTimeout = 30 * time.Second }}.make(t)
		b.server.Exec(t, b.db, also)
		b.add(t, "acme", store.KindUser, 5)
		b.holding(t, "UPDATE users SET tenant_id = 'globex' WHERE id = 2", func(commit func()) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				b.wantStep(t, users("acme", all), 4, false)
			}()
			b.waiting(t, 1)
			commit()
			<-done
		})
		if left := b.left(t, "globex", store.KindUser); left != 1 {
			t.Errorf("%s: globex has %d, want the row that it was given", name, left)
		}
	}
}

func TestPurge_StatementTimeoutHasNoEffect(t *testing.T) {
	b := setUp{config: func(c *postgrestarget.Config) { c.StatementTimeout = 200 * time.Millisecond }}.make(t)
	b.add(t, "acme", store.KindUser, 3)
	b.server.Exec(t, b.db, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.15); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION slow()`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	did, err := b.Purge(ctx, users("acme", all))
	wantCode(t, err, store.Unavailable)
	if left := b.left(t, "acme", store.KindUser); left != 3 || did != (purge.Removed{}) {
		t.Errorf("Purge = %+v, %v, and %d are left, want 3", did, err, left)
	}
	for range 3 {
		b.wantStep(t, users("acme", 1), 1, true)
	}
	b.wantStep(t, users("acme", 1), 0, false)
}

func TestPurge_ServerRestarted(t *testing.T) {
	server := pgtest.Start(t)
	b := setUp{server: server}.make(t)
	b.add(t, "acme", store.KindUser, 9)
	b.wantStep(t, users("acme", 2), 2, true)
	for name, end := range map[string]func() error{"stopped": server.Stop, "killed": server.Kill} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		b.wantRefusal(t, users("acme", 2), store.Unavailable)
		if n, err := b.Count(t.Context(), "acme", store.KindUser); err == nil {
			t.Errorf("Count with the server %s = %d, want an error", name, n)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		b.wantStep(t, users("acme", 2), 2, true)
	}
	b.wantStep(t, users("acme", all), 3, false)
}

func TestPurge_BackendStopped(t *testing.T) {
	b := setUp{options: postgrestarget.Options{Pool: func(c *pgxpool.Config) { c.MaxConns = 2 }}}.make(t)
	b.add(t, "acme", store.KindUser, 4)
	if n, err := b.Count(t.Context(), "acme", store.KindUser); err != nil || n != 4 {
		t.Fatalf("Count = %d, %v", n, err)
	}
	const backends = "SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE application_name = 'purger' AND datname = current_database()"
	pid := int(b.server.Int(t, b.db, backends))
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cont := sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	defer cont()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	did, err := b.Purge(ctx, users("acme", all))
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Purge took %s after its context had ended", took)
	}
	if did.Deleted != 0 {
		t.Errorf("Purge = %+v", did)
	}
	wantCode(t, err, store.Unavailable) // nothing was committed, and that is known
	if left := b.left(t, "acme", store.KindUser); left != 4 {
		t.Errorf("%d are left, want 4", left)
	}
	// Another connection does the work, and what the stopped one wakes up to must
	// not be committed twice.
	b.wantStep(t, users("acme", all), 4, false)
	cont()
	b.add(t, "acme", store.KindUser, 2)
	b.await(t, "the backend that was stopped is gone", "SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE pid = $1", pid)
	if left := b.left(t, "acme", store.KindUser); left != 2 {
		t.Errorf("%d are left, want the 2 that came later: a transaction that was given up had an effect", left)
	}
}

func TestPurge_G11_BrokenKindsLeaveTheOthers(t *testing.T) {
	b := setUp{}.make(t)
	b.server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_limited; CREATE ROLE purger_limited LOGIN")
	b.server.Exec(t, b.db, "GRANT SELECT, DELETE ON users, api_keys TO purger_limited; DROP TABLE oauth_clients")
	limited := &bench{server: b.server, db: b.db}
	limited.Target = limited.again(t, setUp{}, b.server.DSNAs("purger_limited", b.db))
	for kind, want := range map[store.Kind]store.Code{store.KindCredential: store.Forbidden, store.KindOAuthClient: store.Precondition} {
		r := purge.Request{TenantID: "acme", Kind: kind, Limit: all}
		limited.wantRefusal(t, r, want)
		if n, err := limited.Count(t.Context(), "acme", kind); err == nil {
			t.Errorf("Count(%s) = %d; want an error, absence is not consent", kind, n)
		} else {
			wantCode(t, err, want)
		}
	}
	if err := limited.Check(t.Context()); err == nil {
		t.Error("Check = nil with a table missing and one forbidden")
	}
	b.add(t, "acme", store.KindUser, 3)
	b.add(t, "acme", store.KindCredential, 2)
	var wg sync.WaitGroup
	for i := range 40 {
		for _, kind := range limited.Kinds() {
			wg.Go(func() {
				n, err := limited.Count(t.Context(), fmt.Sprintf("t%d", i), kind)
				if broken := kind == store.KindCredential || kind == store.KindOAuthClient; (err != nil) != broken || n != 0 {
					t.Errorf("Count(%s) among others = %d, %v; want an error: %t", kind, n, err, broken)
				}
			})
		}
	}
	wg.Wait()
	limited.wantStep(t, users("acme", all), 3, false)
	// Mended, it goes on by itself.
	b.server.Exec(t, b.db, "GRANT SELECT, DELETE ON credentials TO purger_limited; CREATE TABLE oauth_clients (tenant_id text PRIMARY KEY); GRANT SELECT, DELETE ON oauth_clients TO purger_limited")
	limited.wantStep(t, purge.Request{TenantID: "acme", Kind: store.KindCredential, Limit: all}, 2, false)
	if err := limited.Check(t.Context()); err != nil {
		t.Errorf("Check = %v after it was mended", err)
	}
	b.server.Exec(t, b.db, "DROP OWNED BY purger_limited")
}

func TestCount_G6_RowsThatAPolicyHidesAreNotGone(t *testing.T) {
	b := setUp{}.make(t)
	b.server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_policed; CREATE ROLE purger_policed LOGIN")
	b.server.Exec(t, b.db, `GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO purger_policed;
ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON users USING (name = 'nobody')`)
	b.add(t, "acme", store.KindUser, 3)
	policed := &bench{server: b.server, db: b.db}
	policed.Target = policed.again(t, setUp{}, b.server.DSNAs("purger_policed", b.db))
	if n, err := policed.Count(t.Context(), "acme", store.KindUser); err == nil || !strings.Contains(err.Error(), "BYPASSRLS") {
		t.Errorf("Count = %d, %v; want an error that tells of BYPASSRLS", n, err)
	}
	policed.wantRefusal(t, users("acme", all), store.Forbidden)
	b.server.Exec(t, b.db, "DROP OWNED BY purger_policed")
}

func TestPurge_ReferencedRowsAreRefusedWithoutValues(t *testing.T) {
	b := setUp{}.make(t)
	b.server.Exec(t, b.db, "CREATE TABLE orders (user_id bigint REFERENCES users)")
	b.add(t, "acme", store.KindUser, 3)
	b.add(t, "globex", store.KindUser, 3)
	b.server.Exec(t, b.db, "INSERT INTO orders SELECT min(id) FROM users WHERE tenant_id = 'acme'")
	var wg sync.WaitGroup
	wg.Go(func() { b.wantStep(t, users("globex", all), 3, false) })
	wg.Go(func() { b.wantRefusal(t, users("acme", all), store.Precondition) })
	wg.Wait()
	_, err := b.Purge(t.Context(), users("acme", all))
	if err == nil || !strings.Contains(err.Error(), "orders_user_id_fkey") || strings.Contains(err.Error(), "(id)=") {
		t.Errorf("error %v; want the constraint's name, and no value of a row", err)
	}
}
