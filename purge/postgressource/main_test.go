package postgressource_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jackc/pgx/v5"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// shared is the server of this package's tests; missing says why there is none.
var (
	shared  *pgtest.Server
	missing error
)

func TestMain(m *testing.M) {
	shared, missing = pgtest.New()
	code := m.Run()
	if shared != nil {
		shared.Close()
	}
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreCurrent()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// schema is that of a platform; its query is tenantsQuery.
const schema = `
CREATE TABLE tenants (
	id text PRIMARY KEY, parent_id text, name text, domain text, disabled_at timestamptz, days int, purge_at timestamptz,
	status text GENERATED ALWAYS AS (CASE WHEN disabled_at IS NULL THEN 'active' ELSE 'disabled' END) STORED
)`

const tenantsQuery = `
SELECT id, parent_id AS parent, name, domain AS host, status, disabled_at, days AS purge_after_days, purge_at
FROM tenants -- all of them`

// database is a database of the test's own.
type database struct {
	t    testing.TB
	name string
}

func newDatabase(t testing.TB, sql string) *database {
	t.Helper()
	pgtest.Require(t, missing)
	d := &database{t, shared.Database(t)}
	d.exec(sql)
	return d
}

func (d *database) exec(sql string, args ...any) {
	d.t.Helper()
	shared.Exec(d.t, d.name, sql, args...)
}

// source returns a source; change changes its configuration.
func (d *database) source(change ...func(*postgressource.Config)) *postgressource.Source {
	d.t.Helper()
	cfg := postgressource.Config{DSN: shared.DSN(d.name), Query: tenantsQuery, Fetch: 2}
	for _, c := range change {
		c(&cfg)
	}
	s, err := postgressource.New(cfg, postgressource.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = s.Close() })
	return s
}

// endConns has the server end the connections of sources.
func (d *database) endConns() {
	d.t.Helper()
	d.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
}

// dropTenants drops the table of tenants, after a time in which it is locked: ask,
// with a time-out of a second, has to fail by then and not find nobody.
func (d *database) dropTenants(ask func() error) {
	d.t.Helper()
	lock, err := pgx.Connect(context.Background(), shared.DSN(d.name))
	if err != nil {
		d.t.Fatal(err)
	}
	defer lock.Close(context.Background())
	if _, err := lock.Exec(context.Background(), "BEGIN; LOCK TABLE tenants"); err != nil {
		d.t.Fatal(err)
	}
	began := time.Now()
	err = ask()
	if took := time.Since(began); err == nil || store.CodeOf(err) == store.NotFound || took > 5*time.Second {
		d.t.Errorf("a table that is locked: %v after %s", err, took)
	}
	if _, err := lock.Exec(context.Background(), "ROLLBACK; DROP TABLE tenants"); err != nil {
		d.t.Fatal(err)
	}
}

func query(q string) func(*postgressource.Config) {
	return func(c *postgressource.Config) { c.Query = q }
}

// list reads a snapshot.
func list(t testing.TB, s purge.Source) []purge.SourceRow {
	t.Helper()
	rows, err := snapshot(s)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func snapshot(s purge.Source) ([]purge.SourceRow, error) {
	var rows []purge.SourceRow
	err := s.Tenants(context.Background(), func(r purge.SourceRow) error {
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

// wantUnavailable fails the test unless err says that nobody answered.
func wantUnavailable(t testing.TB, what string, err error) {
	t.Helper()
	if store.CodeOf(err) != store.Unavailable {
		t.Errorf("%s: %v (%s); want it unavailable", what, err, store.CodeOf(err))
	}
}
