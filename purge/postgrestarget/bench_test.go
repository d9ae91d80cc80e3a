package postgrestarget_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// The data of the benchmark: trees of six tenants with 85 resources each, and as
// many that stay.
const (
	benchTrees = 200
	benchSub   = 5
	benchSQL   = `
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text);
CREATE TABLE credentials (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text, user_id bigint REFERENCES users);
CREATE TABLE api_keys (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text, user_id bigint REFERENCES users);
CREATE TABLE oauth_clients (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text);
CREATE INDEX ON users (tenant_id); CREATE INDEX ON credentials (tenant_id); CREATE INDEX ON api_keys (tenant_id); CREATE INDEX ON oauth_clients (tenant_id);
CREATE INDEX ON credentials (user_id); CREATE INDEX ON api_keys (user_id);`
	benchFill = `
TRUNCATE users, credentials, api_keys, oauth_clients;
INSERT INTO users (tenant_id, name) SELECT t || s, 'a user of a tenant' FROM unnest($1::text[]) t, unnest('{"",-stays}'::text[]) s, generate_series(1, 20);
INSERT INTO credentials (tenant_id, name, user_id) SELECT tenant_id, 'a credential of a user', id FROM users;
INSERT INTO api_keys (tenant_id, name, user_id) SELECT tenant_id, 'an API key of a user', id FROM users;
INSERT INTO api_keys (tenant_id, name) SELECT t || s, 'an API key' FROM unnest($1::text[]) t, unnest('{"",-stays}'::text[]) s, generate_series(1, 5);
INSERT INTO oauth_clients (tenant_id, name) SELECT t || s, 'a client' FROM unnest($1::text[]) t, unnest('{"",-stays}'::text[]) s, generate_series(1, 20);
ANALYZE users, credentials, api_keys, oauth_clients;
CHECKPOINT`
	benchRows = 85
)

// benchTenants returns the ids of all trees, deepest first.
func benchTenants() []string {
	var ids []string
	for i := range benchTrees {
		for j := range benchSub {
			ids = append(ids, fmt.Sprintf("tree-%05d-%d", i, j))
		}
		ids = append(ids, fmt.Sprintf("tree-%05d", i))
	}
	return ids
}

// BenchmarkPurge compares, on the same data and server, interleaved: a pass of
// the engine, with counts, verification and receipts; a plain SQL script that
// counts, deletes in batches of tenants, and counts again; and a loop tenant by
// tenant and kind by kind in chunks of 1,000. All commit to disk. The metrics
// are the medians.
func BenchmarkPurge(b *testing.B) {
	server := pgtest.Start(b, "fsync=on", "shared_buffers=256MB", "max_wal_size=4GB", "autovacuum=off")
	u := setUp{server: server, sql: benchSQL}
	d := u.make(b)
	tenants := benchTenants()
	contenders := []struct {
		name string
		run  func() time.Duration
	}{
		{"purger", func() time.Duration { return benchEngine(b, d.Target, tenants) }},
		{"script", func() time.Duration { return benchScript(b, d, tenants) }},
		{"loop", func() time.Duration { return benchLoop(b, d, tenants) }},
	}
	took := map[string][]time.Duration{}
	for round := 0; b.Loop(); round++ {
		for i := range contenders {
			c := contenders[(round+i)%len(contenders)]
			for statement := range strings.SplitSeq(benchFill, ";\n") {
				var args []any
				if strings.Contains(statement, "$1") {
					args = append(args, tenants)
				}
				server.Exec(b, d.db, statement, args...)
			}
			took[c.name] = append(took[c.name], c.run())
			const rest = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM credentials) + (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM oauth_clients)"
			if left := server.Int(b, d.db, rest); left != int64(len(tenants)*benchRows) {
				b.Fatalf("%s: %d rows are left, want %d", c.name, left, len(tenants)*benchRows)
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return took[name][len(took[name])/2].Seconds()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median("purger"), "purger-s")
	b.ReportMetric(median("purger")/median("script"), "x-script")
	b.ReportMetric(median("purger")/median("loop"), "x-loop")
	b.ReportMetric(float64(len(tenants)*benchRows)/median("purger"), "rows/s")
}

// benchEngine is a pass.
func benchEngine(b *testing.B, target purge.Target, tenants []string) time.Duration {
	b.Helper()
	ctx := context.Background()
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now()
	past := store.Origin{Actor: store.Actor{ID: "bench"}, At: now.Add(-40 * 24 * time.Hour)}
	must(s.BeginImport(ctx, store.Import{Digest: "bench"}, past))
	batch, disabledAt := store.Batch{}, store.Trim(past.At)
	for i := range benchTrees {
		root := fmt.Sprintf("tree-%05d", i)
		batch.Tenants = append(batch.Tenants, store.Tenant{ID: root, Status: store.StatusDisabled, PurgeAfterDays: 30,
			DisabledAt: disabledAt, EstimatedPurgeDate: disabledAt.Add(30 * 24 * time.Hour)})
		for j := range benchSub {
			batch.Tenants = append(batch.Tenants, store.Tenant{ID: fmt.Sprintf("%s-%d", root, j), ParentID: root, Status: store.StatusActive})
		}
	}
	_, err = s.ImportBatch(ctx, batch, past)
	must(err)
	must(s.EndImport(ctx, past))
	settings := purge.DefaultSettings()
	settings.PerPass, settings.Limits = 0, store.Limits{}
	guarded, err := purge.Guarded(target, postgrestarget.DefaultPolicy(), purge.GuardOptions{})
	must(err)
	engine, err := purge.New(purge.Options{Store: s, Targets: []purge.Target{guarded}, Settings: settings})
	must(err)
	began := time.Now()
	report, err := engine.Run(ctx, purge.TriggerRun)
	took := time.Since(began)
	must(err)
	if got, want := report.Totals.Resources(), int64(len(tenants)*benchRows); got != want {
		b.Fatalf("the engine removed %d of %d: %+v", got, want, report.Result)
	}
	return took
}

// benchScript is what a careful person would run once: few statements for many
// tenants.
func benchScript(b *testing.B, d *bench, tenants []string) time.Duration {
	const together = 160
	return benchPlain(b, d, func(ctx context.Context, c *pgx.Conn, table string) error {
		for ids := range slices.Chunk(tenants, together) {
			if _, err := c.Exec(ctx, "DELETE FROM "+table+" WHERE tenant_id = ANY($1)", ids); err != nil {
				return err
			}
		}
		return nil
	}, func(ctx context.Context, c *pgx.Conn, table string) (n int64, err error) {
		err = c.QueryRow(ctx, "SELECT count(*) FROM "+table+" WHERE tenant_id = ANY($1)", tenants).Scan(&n)
		return n, err
	})
}

// benchLoop is what a program without further thought does.
func benchLoop(b *testing.B, d *bench, tenants []string) time.Duration {
	const chunk = 1_000
	return benchPlain(b, d, func(ctx context.Context, c *pgx.Conn, table string) error {
		for _, id := range tenants {
			for {
				tag, err := c.Exec(ctx, "DELETE FROM "+table+" WHERE id IN (SELECT id FROM "+table+" WHERE tenant_id = $1 LIMIT $2)", id, chunk)
				if err != nil {
					return err
				}
				if tag.RowsAffected() < chunk {
					break
				}
			}
		}
		return nil
	}, func(ctx context.Context, c *pgx.Conn, table string) (sum int64, err error) {
		for _, id := range tenants {
			var n int64
			if err := c.QueryRow(ctx, "SELECT count(*) FROM "+table+" WHERE tenant_id = $1", id).Scan(&n); err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
}

// benchPlain counts, removes and counts again over one connection.
func benchPlain(b *testing.B, d *bench, remove func(context.Context, *pgx.Conn, string) error,
	count func(context.Context, *pgx.Conn, string) (int64, error)) time.Duration {
	b.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, d.server.DSN(d.db))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(ctx)
	began := time.Now()
	for _, last := range []bool{false, true} {
		for _, kind := range store.Kinds() {
			n, err := count(ctx, c, tableOf(kind))
			if err != nil || last && n != 0 {
				b.Fatalf("%d rows of %s, %v", n, kind, err)
			}
		}
		for _, kind := range store.Kinds() {
			if last {
				break
			}
			if err := remove(ctx, c, tableOf(kind)); err != nil {
				b.Fatal(err)
			}
		}
	}
	return time.Since(began)
}
