package postgrestarget_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

const (
	peopleSQL = `
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id text NOT NULL, seen int DEFAULT 0);
CREATE INDEX ON people (account_id);
INSERT INTO people (account_id) SELECT 'globex' FROM generate_series(1, 300);
INSERT INTO people (account_id) SELECT 'acme' FROM generate_series(1, 10);
CREATE TABLE flags (name text);
`
	countPeople  = "SELECT count(*) FROM people WHERE account_id = $1"
	removePeople = "DELETE FROM people WHERE id IN (SELECT id FROM people WHERE account_id = $1 LIMIT $2)"
)

// people returns a target with statements of the operator's own.
func people(t *testing.T, count, remove string, change ...func(*postgrestarget.Config)) *bench {
	t.Helper()
	return setUp{sql: peopleSQL, config: func(c *postgrestarget.Config) {
		c.Kinds = map[store.Kind]postgrestarget.Kind{store.KindUser: {Count: count, Delete: remove}}
		for _, fn := range change {
			fn(c)
		}
	}}.make(t)
}

// wantPeople fails unless an account has n people.
func (b *bench) wantPeople(t *testing.T, account string, n int64) {
	t.Helper()
	if got := b.server.Int(t, b.db, "SELECT count(*) FROM people WHERE account_id = $1", account); got != n {
		t.Errorf("%s has %d people, want %d", account, got, n)
	}
}

// Statements that do not heed the tenant are found out with one that does not exist.
func TestPurge_G4_OwnStatementsAreTriedForNobodyFirst(t *testing.T) {
	for name, c := range map[string]struct{ count, remove, text string }{
		"everybody":         {countPeople, "DELETE FROM people WHERE account_id = account_id AND $1::text IS NOT NULL", "delete user: removes 310 rows"},
		"others too":        {countPeople, "DELETE FROM people WHERE id IN (SELECT id FROM people WHERE account_id = $1 OR id < 300 LIMIT $2)", "delete user: removes 1 rows"},
		"a number":          {countPeople, "WITH gone AS (DELETE FROM people WHERE account_id = $1 OR id = 7 RETURNING 1) SELECT count(*) FROM gone", "delete user: removes 1 rows"},
		"everybody counted": {"SELECT count(*) FROM people WHERE account_id = $1 OR id < 300", removePeople, "count user: counts 299"},
	} {
		t.Run(name, func(t *testing.T) {
			b := people(t, c.count, c.remove)
			did, err := b.Purge(t.Context(), users("acme", 1000))
			wantCode(t, err, store.Precondition)
			if did != (purge.Removed{}) || err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Purge = %+v, %v; want a refusal with %q", did, err, c.text)
			}
			if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Check = %v; want %q", err, c.text)
			}
			if findings, err := b.Diagnose(t.Context()); err != nil || !strings.Contains(told(findings)[0], c.text) || findings[0].Severity != purge.SeverityError {
				t.Errorf("Diagnose: %q, %v; want an error with %q", told(findings), err, c.text)
			}
			b.wantPeople(t, "globex", 300)
			b.wantPeople(t, "acme", 10)
		})
	}
}

// A statement may cast $1, and refuse what is no value of that type.
func TestPurge_OwnStatementsThatCastTheTenantAreTried(t *testing.T) {
	for name, c := range map[string]struct {
		cast  string
		warns bool
	}{
		"bigint": {"seen = $1::text::bigint", false},
		"uuid":   {"account_id = $1::text::uuid::text", false},
		"inet":   {"account_id = host($1::text::inet)", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := people(t, "SELECT count(*) FROM people WHERE "+c.cast, "DELETE FROM people WHERE "+c.cast)
			b.server.Exec(t, b.db, "UPDATE people SET seen = 42 WHERE id <= 3")
			b.server.Exec(t, b.db, "INSERT INTO people (account_id) SELECT unnest($1::text[])", []string{aUUID, "10.0.0.1"})
			if err := b.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			findings, err := b.Diagnose(t.Context())
			if warns := strings.Contains(strings.Join(told(findings), "\n"), "warning user: its statements could not be tried"); err != nil || warns != c.warns {
				t.Errorf("Diagnose: %q, %v; want a warning: %t", told(findings), err, c.warns)
			}
			id := map[string]string{"bigint": "42", "uuid": aUUID, "inet": "10.0.0.1"}[name]
			b.wantStep(t, users(id, all), map[string]int64{"bigint": 3, "uuid": 1, "inet": 1}[name], false)
			bad := people(t, "SELECT count(*) FROM people WHERE "+c.cast, "DELETE FROM people WHERE id = 1 OR "+c.cast)
			bad.wantRefusal(t, users(id, all), store.Precondition)
		})
	}
}

// Statements that leave nobody's rows alone may take others' with a tenant's.
func TestPurge_G4_OwnDeleteRemovesWhatCountCounts(t *testing.T) {
	const alive = " AND EXISTS (SELECT FROM people WHERE account_id = $1)"
	limited := "DELETE FROM people WHERE id IN (SELECT id FROM people WHERE (account_id = $1 OR id < 200)" + alive + " ORDER BY %s LIMIT $2)"
	for name, c := range map[string]struct {
		remove string
		limit  int
	}{
		"all at once":      {"DELETE FROM people WHERE (account_id = $1 OR id < 200)" + alive, 1000},
		"a limit above":    {fmt.Sprintf(limited, "id"), 1000},
		"a limit below":    {fmt.Sprintf(limited, "id"), 5},
		"its own first":    {fmt.Sprintf(limited, "id DESC"), 4},
		"one of another's": {"DELETE FROM people WHERE (account_id = $1 OR id = 7)" + alive, 1000},
		"others' instead":  {"DELETE FROM people WHERE id <= 10" + alive, 1000},
		"a number":         {"WITH gone AS (DELETE FROM people WHERE (account_id = $1 OR id < 200)" + alive + " RETURNING 1) SELECT count(*) FROM gone", 1000},
	} {
		t.Run(name, func(t *testing.T) {
			b := people(t, countPeople, c.remove)
			var err error
			for range 5 { // as the engine would
				if _, err = b.Purge(t.Context(), users("acme", c.limit)); err != nil {
					break
				}
			}
			if wantCode(t, err, store.Precondition); err == nil || !strings.Contains(err.Error(), "by count") {
				t.Errorf("Purge: %v; want an error that says what is wrong", err)
			}
			b.wantPeople(t, "globex", 300)
			if n := b.server.Int(t, b.db, "SELECT coalesce(sum(deleted), 0)::bigint FROM purger_ledger"); n != 10-b.server.Int(t, b.db, countPeople, "acme") {
				t.Errorf("%d rows are on account", n)
			}
		})
	}
}

// In the midst of many steps the rows are not counted, and yet no more go than there were.
func TestPurge_G4_OwnDeleteOfManyStepsIsBounded(t *testing.T) {
	b := people(t, countPeople, `DELETE FROM people WHERE id IN (SELECT id FROM people
  WHERE account_id = CASE WHEN EXISTS (SELECT FROM flags WHERE name = 'instead') THEN 'globex' ELSE $1 END LIMIT $2)
  OR account_id <> $1 AND EXISTS (SELECT FROM flags WHERE name = 'beside')`)
	b.server.Exec(t, b.db, "INSERT INTO people (account_id) SELECT 'acme' FROM generate_series(1, 90)")
	b.wantStep(t, users("acme", 5), 5, true)
	b.server.Exec(t, b.db, "INSERT INTO flags VALUES ('beside')")
	b.wantRefusal(t, users("acme", 5), store.Precondition)
	b.wantPeople(t, "globex", 300)
	b.server.Exec(t, b.db, "TRUNCATE flags")
	for range 18 {
		b.wantStep(t, users("acme", 5), 5, true)
	}
	// A few are left, and so each step counts.
	b.server.Exec(t, b.db, "INSERT INTO flags VALUES ('instead')")
	b.wantRefusal(t, users("acme", 5), store.Precondition)
	b.wantPeople(t, "globex", 300)
	b.server.Exec(t, b.db, "TRUNCATE flags")
	b.wantStep(t, users("acme", 6), 5, false)
}

// The application goes on to add and to change rows of the tenant: no purge fails for it.
func TestPurge_OwnStatementsBearConcurrentChanges(t *testing.T) {
	b := people(t, countPeople, removePeople, func(c *postgrestarget.Config) { c.LockTimeout = 10 * time.Second })
	b.server.Exec(t, b.db, "INSERT INTO people (account_id) SELECT 'acme' FROM generate_series(1, 490)")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var added int64 = 500
	for _, sql := range []string{
		"INSERT INTO people (account_id) VALUES ('acme')", "UPDATE people SET seen = seen + 1 WHERE id = (SELECT min(id) FROM people WHERE account_id = 'acme')",
	} {
		wg.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-stop:
					if sql[0] == 'I' {
						added += int64(n)
					}
					return
				case <-tick.C:
					b.server.Exec(t, b.db, sql)
				}
			}
		})
	}
	gone, failed := int64(0), 0
	for range 100 {
		did, err := b.Purge(t.Context(), users("acme", 7))
		if gone += did.Deleted; err != nil {
			failed++
			wantCode(t, err, store.Unavailable) // to be tried again
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d gone, %d of 100 steps failed", gone, failed)
	if failed > 20 {
		t.Errorf("%d of 100 steps failed", failed)
	}
	for more := true; more; {
		did, err := b.Purge(t.Context(), users("acme", 1000))
		if err != nil {
			t.Fatal(err)
		}
		gone, more = gone+did.Deleted, did.More
	}
	if gone != added {
		t.Errorf("%d gone, want %d", gone, added)
	}
	b.wantPeople(t, "acme", 0)
	b.wantPeople(t, "globex", 300)
}

// Rows that are changed between the counts, and the removal, are waited for.
func TestPurge_OwnStatementsWaitForAChange(t *testing.T) {
	b := people(t, countPeople, removePeople, func(c *postgrestarget.Config) { c.LockTimeout = 10 * time.Second })
	b.holding(t, "UPDATE people SET seen = 1 WHERE account_id = 'acme'", func(commit func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.wantStep(t, users("acme", 1000), 10, false)
		}()
		b.waiting(t, 1)
		commit()
		<-done
	})
	b.wantPeople(t, "acme", 0)
}

// Without a snapshot the counts prove nothing: that one is not as it should be is no
// fault of the statement, and is tried again.
func TestPurge_OwnStatementsAmidChangesAreTriedAgain(t *testing.T) {
	b := people(t, countPeople, removePeople, func(c *postgrestarget.Config) { c.LockTimeout = 10 * time.Second })
	held := func(mark string) {
		b.await(t, "it waits for "+mark, `SELECT (count(*) > 0)::int FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) by (pid)
  JOIN pg_stat_activity h ON h.pid = by.pid WHERE w.application_name = 'purger' AND h.datname = current_database() AND h.query LIKE '%' || $1 || '%'`, mark)
	}
	b.holding(t, "UPDATE people SET seen = 1 WHERE id = 301 /* first */", func(first func()) {
		b.holding(t, "UPDATE people SET seen = 1 WHERE id = 302; INSERT INTO people (account_id) VALUES ('acme') /* second */", func(second func()) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				b.wantRefusal(t, users("acme", 1000), store.Unavailable)
			}()
			held("first")
			first()
			held("second")
			second()
			<-done
		})
	})
	b.wantStep(t, users("acme", 1000), 11, false)
	b.wantPeople(t, "globex", 300)
}

// Where counts take long, there is no time for them beside each removal.
func TestPurge_OwnCountThatTakesLongHoldsNothingUp(t *testing.T) {
	const timeout = 400 * time.Millisecond
	b := people(t, "SELECT count(*) FROM people, (SELECT pg_sleep(CASE WHEN $1 = 'acme' THEN 0.25 ELSE 0 END)) s WHERE account_id = $1",
		removePeople, func(c *postgrestarget.Config) { c.StatementTimeout = timeout })
	b.server.Exec(t, b.db, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER DELETE ON people FOR EACH STATEMENT EXECUTE FUNCTION slow()`)
	gone := int64(0)
	for try := 1; gone < 10; try++ {
		did, ok := b.patiently(t, 600*time.Millisecond, users("acme", 5))
		if gone += did.Deleted; !ok && try == 8 {
			t.Fatalf("%d gone after %d tries", gone, try)
		}
	}
	b.wantPeople(t, "acme", 0)
	b.wantPeople(t, "globex", 300)
}
