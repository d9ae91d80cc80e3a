package postgressource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/store"
)

// hostile are ids that mean something to somebody.
var hostile = []string{"a", "a:b", "O'Brien", `q"uote`, `back\slash`, "{brace}", "per%cent", "under_score", "NULL", "null", "com,ma", "sp ace", "ümlaut", "$1", "A", ""}

func TestTenants_YieldsEveryRowAsItIs(t *testing.T) {
	d := newDatabase(t, schema)
	at := time.Date(2026, 1, 5, 10, 0, 0, 123_000_000, time.UTC)
	d.exec("INSERT INTO tenants VALUES ('acme', NULL, 'Acme', 'acme.example', NULL, NULL, NULL)")
	d.exec("INSERT INTO tenants VALUES ('off', 'acme', NULL, NULL, $1, 15, NULL), ('dated', 'acme', '', '', $1, NULL, $2)", at, at.Add(480*time.Hour))
	text := func(s string) *string { return &s }
	want := []purge.SourceRow{
		{Tenant: purge.SourceTenant{ID: "acme", Name: text("Acme"), Hostname: text("acme.example"), Status: store.StatusActive}},
		{Tenant: purge.SourceTenant{ID: "off", ParentID: "acme", Status: store.StatusDisabled, DisabledAt: at, PurgeAfterDays: 15}},
		{Tenant: purge.SourceTenant{ID: "dated", ParentID: "acme", Name: text(""), Hostname: text(""), Status: store.StatusDisabled, DisabledAt: at, PurgeAt: at.Add(480 * time.Hour)}},
	}
	for fetch := 1; fetch <= 4; fetch++ {
		s := d.source(func(c *postgressource.Config) { c.Fetch = fetch })
		if diff := cmp.Diff(want, list(t, s)); diff != "" {
			t.Errorf("fetch %d (-want +got):\n%s", fetch, diff)
		}
	}
	s := d.source()
	for _, w := range want {
		got, err := s.Tenant(context.Background(), w.Tenant.ID)
		if diff := cmp.Diff(w.Tenant, got); diff != "" || err != nil {
			t.Errorf("Tenant(%q): %v\n%s", w.Tenant.ID, err, diff)
		}
	}
}

func TestTenants_TypesOfColumns(t *testing.T) {
	d := newDatabase(t, "SELECT 1")
	uuid := "6f0e6a52-3c3f-4a0f-9d3e-0c2d6a4a1b11"
	for _, c := range []struct{ id, status, at, days string }{
		{"'" + uuid + "'::uuid", "'disabled'::text", "timestamptz '2026-01-05 12:00:00+02'", "15::smallint"},
		{"42::bigint", "'disabled'::varchar(20)", "timestamp '2026-01-05 10:00:00'", "15::bigint"},
		{"'x'", "'disabled'", "(timestamptz '2026-01-05 12:00:00+02')::timestamp", "15"}, // by the time zone of the session
		{"'x'::text", "'disabled'::name", "'2026-01-05T10:00:00Z'::text", "'15'::text"},
		{"'x'::char(3)", "'disabled'", "'2026-01-05 15:30:00+05:30'::text", "15::numeric"},
	} {
		s := d.source(query(fmt.Sprintf("SELECT %s AS id, %s AS status, %s AS disabled_at, %s AS purge_after_days;", c.id, c.status, c.at, c.days)))
		r := list(t, s)[0]
		want := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
		if r.Err != nil || !r.Tenant.DisabledAt.Equal(want) || r.Tenant.PurgeAfterDays != 15 || r.Tenant.Status != store.StatusDisabled {
			t.Errorf("%+v: %+v", c, r)
		}
	}
}

func TestTenants_ARowThatMakesNoSenseHoldsUpNoOther(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE t (id text, status text, disabled_at text, purge_after_days text)")
	d.exec(`INSERT INTO t VALUES ('fine', 'active', NULL, NULL), ('soon', 'disabled', 'yesterday', '15'), ('inf', 'disabled', 'infinity', NULL),
		('days', 'disabled', '2026-01-05', '1.5'), ('zero', 'disabled', '2026-01-05', '0'), (NULL, 'active', NULL, NULL), ('nostatus', NULL, NULL, NULL),
		('last', 'disabled', '2026-01-05', NULL)`)
	s := d.source(query("TABLE t"))
	var bad []string
	rows := list(t, s)
	for _, r := range rows {
		if r.Err != nil {
			bad = append(bad, r.Tenant.ID)
			if _, err := s.Tenant(context.Background(), r.Tenant.ID); store.CodeOf(err) != store.Invalid {
				t.Errorf("Tenant(%q): %v", r.Tenant.ID, err)
			}
		}
	}
	if diff := cmp.Diff([]string{"soon", "inf", "days", "zero"}, bad); diff != "" || len(rows) != 8 {
		t.Errorf("%d rows; those that make no sense: %s", len(rows), diff)
	}
}

// TestTenants_OfARowWithSeveralMistakesTheFirstIsTold: each sync says the same.
func TestTenants_OfARowWithSeveralMistakesTheFirstIsTold(t *testing.T) {
	s := newDatabase(t, "SELECT 1").source(query("SELECT 't' || n AS id, 'disabled' AS status, 'then' AS purge_at, 'now' AS disabled_at FROM generate_series(1, 20) n"))
	for _, r := range list(t, s) {
		if r.Err == nil || !strings.HasPrefix(r.Err.Error(), "disabled_at") {
			t.Errorf("%s: %v; want it to name disabled_at", r.Tenant.ID, r.Err)
		}
	}
}

func TestTenants_IsOneSnapshot(t *testing.T) {
	d := newDatabase(t, schema)
	d.exec("INSERT INTO tenants (id) SELECT 't' || n FROM generate_series(1, 100) n")
	n, off := 0, 0
	err := d.source().Tenants(context.Background(), func(r purge.SourceRow) error {
		if n == 5 {
			d.exec("UPDATE tenants SET disabled_at = now(); INSERT INTO tenants (id) SELECT 'u' || n FROM generate_series(1, 100) n; DELETE FROM tenants WHERE id LIKE '%9'")
		}
		n++
		if r.Tenant.Status != store.StatusActive {
			off++
		}
		return nil
	})
	if err != nil || n != 100 || off != 0 {
		t.Errorf("%d tenants, %d of them disabled, %v; want 100 as they were", n, off, err)
	}
}

func TestSource_ChangesNothing(t *testing.T) {
	d := newDatabase(t, schema+`; CREATE FUNCTION evil() RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM tenants; RETURN 'x'; END $$;
		INSERT INTO tenants (id) VALUES ('acme')`)
	for _, q := range []string{"SELECT evil() AS id, 'active' AS status", "WITH d AS (DELETE FROM tenants RETURNING id) SELECT id, 'active' AS status FROM d",
		"SELECT 'a' AS id, 'active' AS status) AS x; DELETE FROM tenants; SELECT * FROM (SELECT 1"} {
		s := d.source(query(q))
		_, err := snapshot(s)
		wantUnavailable(t, q, err)
		_, err = s.Tenant(context.Background(), "acme")
		wantUnavailable(t, q, err)
	}
	if n := shared.Int(t, d.name, "SELECT count(*) FROM tenants"); n != 1 {
		t.Errorf("%d tenants are left", n)
	}
}

func TestTenant_G4_IdsAreData(t *testing.T) {
	d := newDatabase(t, schema)
	for i, id := range hostile {
		if i%2 == 0 {
			d.exec("INSERT INTO tenants (id) VALUES ($1)", id)
		}
	}
	s := d.source()
	all, err := s.TenantsByID(context.Background(), hostile)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range hostile {
		_, err := s.Tenant(context.Background(), id)
		_, in := all[id]
		if there := i%2 == 0; there != in || there && err != nil || !there && store.CodeOf(err) != store.NotFound {
			t.Errorf("%q: %v, in the batch %t; want it there: %t", id, err, in, there)
		}
	}
}

func TestTenant_ComparesByteByByte(t *testing.T) {
	d := newDatabase(t, `CREATE COLLATION lax (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
		CREATE TABLE t (id text COLLATE lax PRIMARY KEY); INSERT INTO t VALUES ('ACME')`)
	s := d.source(query("SELECT id, 'active' AS status FROM t"))
	if _, err := s.Tenant(context.Background(), "acme"); store.CodeOf(err) != store.NotFound {
		t.Errorf("Tenant: %v", err)
	}
	if rows, err := s.TenantsByID(context.Background(), []string{"acme"}); err != nil || len(rows) != 0 {
		t.Errorf("TenantsByID: %v, %v", rows, err)
	}
}

func TestTenant_OfManyRowsIsNone(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE t (id text); INSERT INTO t VALUES ('a'), ('a')")
	s := d.source(query("SELECT id, 'active' AS status FROM t"))
	if _, err := s.Tenant(context.Background(), "a"); store.CodeOf(err) != store.Invalid {
		t.Errorf("Tenant: %v", err)
	}
}

func TestTenant_UsesTheIndexOfTheTypeThatIdHas(t *testing.T) {
	for kind, ids := range map[string][2]string{
		"uuid":   {"gen_random_uuid()", "6f0e6a52-3c3f-4a0f-9d3e-0c2d6a4a1b11"},
		"bigint": {"n", "424242"},
		"text":   {"'t' || n", "acme"},
	} {
		d := newDatabase(t, fmt.Sprintf("CREATE TABLE t (id %s PRIMARY KEY); INSERT INTO t SELECT %s FROM generate_series(1, 20000) n; INSERT INTO t VALUES ('%s'); ANALYZE t", kind, ids[0], ids[1]))
		s := d.source(query("SELECT id, 'active' AS status FROM t"))
		if v, err := s.Tenant(context.Background(), ids[1]); err != nil || v.ID != ids[1] {
			t.Errorf("%s: %+v, %v", kind, v, err)
		}
		if n := shared.Int(t, d.name, "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables"); n > 30_000 { // ANALYZE reads it
			t.Errorf("%s: %d rows were read in sequence", kind, n)
		}
		if kind != "text" { // an id that cannot be one is no proof of anything
			if _, err := s.Tenant(context.Background(), "no-such-id"); store.CodeOf(err) != store.Invalid {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

func TestSource_NoAnswerIsNeverNotFoundNorTheEnd(t *testing.T) {
	d := newDatabase(t, schema)
	d.exec("INSERT INTO tenants (id) SELECT 't' || n FROM generate_series(1, 100) n")
	s := d.source(func(c *postgressource.Config) { c.Timeout = time.Second })
	cut := func(r purge.SourceRow) error {
		if r.Tenant.ID == "t50" {
			d.endConns()
		}
		return nil
	}
	wantUnavailable(t, "a snapshot that is cut", s.Tenants(context.Background(), cut))
	stop := errors.New("stop")
	if err := s.Tenants(context.Background(), func(purge.SourceRow) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of yield: %v", err)
	}
	// A connection that was kept and has died is no reason.
	if _, err := s.Tenant(context.Background(), "t1"); err != nil {
		t.Error(err)
	}
	d.endConns()
	if _, err := s.Tenant(context.Background(), "t1"); err != nil {
		t.Errorf("after the server closed an idle connection: %v", err)
	}
	d.dropTenants(func() error {
		_, err := s.Tenant(context.Background(), "t1")
		return err
	})
	_, err := s.Tenant(context.Background(), "t1")
	wantUnavailable(t, "no table", err)
	_, err = snapshot(s)
	wantUnavailable(t, "no table", err)
	wantUnavailable(t, "no table", s.Check(context.Background()))
	_, err = snapshot(d.source(func(c *postgressource.Config) { c.DSN = "postgres://postgres@127.0.0.1:1/x" }))
	wantUnavailable(t, "no server", err)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	_, err = s.Tenant(context.Background(), "t1")
	wantUnavailable(t, "closed", err)
}

func TestSource_ColumnsThatAreNotUnderstoodAreAnError(t *testing.T) {
	d := newDatabase(t, schema+"; INSERT INTO tenants (id) VALUES ('a')")
	for q, want := range map[string]string{
		"SELECT id FROM tenants":                                          `no column "status"`,
		"SELECT status FROM tenants":                                      "id",
		"SELECT id, status, days AS purge_day FROM tenants":               `a column "purge_day"`,
		"SELECT id, status, name, domain AS name FROM tenants":            `two columns "name"`,
		"SELECT id, status, 'x' AS \"Name\" FROM tenants":                 `a column "Name"`,
		"SELECT id, status FROM tenants WHERE":                            "syntax",
		"SELECT id, status, disabled_at, deleted_at AS purge_at FROM ten": "ten",
	} {
		s := d.source(query(q))
		_, err := snapshot(s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q in it", q, err, want)
		}
		if _, err := s.Tenant(context.Background(), "a"); err == nil || store.CodeOf(err) == store.NotFound {
			t.Errorf("%s: Tenant: %v", q, err)
		}
		if err := s.Check(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Check: %v; want %q in it", q, err, want)
		}
	}
	if err := d.source().Check(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestNew_NamesTheField(t *testing.T) {
	good := postgressource.Config{DSN: "postgres://u:s3cret@127.0.0.1/x", Query: "SELECT 1"}
	for field, change := range map[string]func(*postgressource.Config){
		"name":            func(c *postgressource.Config) { c.Name = "a b" },
		"dsn":             func(c *postgressource.Config) { c.DSN = "postgres://u:s3cret@127.0.0.1:port/x" },
		"query":           func(c *postgressource.Config) { c.Query = " ;\n" },
		"channel":         func(c *postgressource.Config) { c.Channel = strings.Repeat("x", 64) },
		"conns":           func(c *postgressource.Config) { c.Conns = 65 },
		"fetch":           func(c *postgressource.Config) { c.Fetch = -1 },
		"timeout":         func(c *postgressource.Config) { c.Timeout = time.Millisecond },
		"snapshotTimeout": func(c *postgressource.Config) { c.SnapshotTimeout = 25 * time.Hour },
	} {
		cfg := good
		change(&cfg)
		_, err := postgressource.New(cfg, postgressource.Options{})
		var coded *store.Error
		if !errors.As(err, &coded) || coded.Code != store.Invalid || coded.Field != field || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", field, err)
		}
	}
	s, err := postgressource.New(good, postgressource.Options{})
	if err != nil || s.Name() != "postgres" {
		t.Fatal(err)
	}
	if _, err := s.Tenant(context.Background(), "a"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Tenant: %v", err)
	}
}
