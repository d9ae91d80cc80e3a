package postgressource_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
)

// children returns those below some tenants, as "parent>id", in order.
func children(s purge.ChildSource, parents ...string) ([]string, error) {
	var got []string
	err := s.Children(context.Background(), parents, func(r purge.SourceRow) error {
		got = append(got, r.Tenant.ParentID+">"+r.Tenant.ID)
		return r.Err
	})
	slices.Sort(got)
	return got, err
}

func TestChildren_G1_AreAllThatAreRightBelow(t *testing.T) {
	d := newDatabase(t, schema)
	d.exec("INSERT INTO tenants (id, parent_id, disabled_at, days) VALUES ('a', NULL, NULL, NULL), ('a1', 'a', NULL, NULL), ('a2', 'a', now(), -5), ('a11', 'a1', NULL, NULL), ('b', NULL, NULL, NULL), ('b1', 'b', NULL, NULL)")
	s := d.source()
	for _, c := range []struct{ parents, want string }{
		{"a", "a>a1 a>a2"}, {"a a1", "a1>a11 a>a1 a>a2"}, {"a a1 a2 a11", "a1>a11 a>a1 a>a2"}, {"a11", ""}, {"nobody", ""}, {"", ""},
	} {
		got, err := children(s, strings.Fields(c.parents)...)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("below %q: %v, %v; want %s", c.parents, got, err, c.want)
		}
	}
	stop := errors.New("stop")
	n := 0
	if err := s.Children(context.Background(), []string{"a"}, func(purge.SourceRow) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("an error of yield: %v after %d rows", err, n)
	}
	if got, err := children(s, "b"); err != nil || len(got) != 1 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

func TestChildren_G4_IdsAreData(t *testing.T) {
	d := newDatabase(t, schema)
	for i, id := range hostile {
		d.exec("INSERT INTO tenants (id, parent_id) VALUES ($1, $2)", fmt.Sprintf("c%02d", i), id)
	}
	s := d.source()
	for i, id := range hostile {
		want := []string{fmt.Sprintf("%s>c%02d", id, i)}
		if got, err := children(s, id); err != nil || !cmp.Equal(want, got) {
			t.Errorf("below %q: %v, %v", id, got, err)
		}
	}
	if got, err := children(s, hostile...); err != nil || len(got) != len(hostile) {
		t.Errorf("below all: %v, %v", got, err)
	}
}

func TestChildren_G4_ParentsAreComparedByteByByte(t *testing.T) {
	d := newDatabase(t, `CREATE COLLATION lax (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
		CREATE TABLE t (id text, parent text COLLATE lax); INSERT INTO t VALUES ('a', 'ACME'), ('b', 'acme')`)
	s := d.source(query("SELECT id, parent, 'active' AS status FROM t"))
	if got, err := children(s, "acme"); err != nil || !cmp.Equal(got, []string{"acme>b"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestChildren_AreFoundByTheIndexOfTheTypeThatParentHas(t *testing.T) {
	for kind, c := range map[string]struct{ id, parent, one string }{
		"uuid":       {"gen_random_uuid()", "gen_random_uuid()", "6f0e6a52-3c3f-4a0f-9d3e-0c2d6a4a1b11"},
		"bigint":     {"n", "-n", "424242"},
		"text":       {"'t' || n", "'p' || n", "acme"},
		"varchar(9)": {"'t' || n", "'p' || n", "acme"},
	} {
		d := newDatabase(t, fmt.Sprintf(`CREATE TABLE t (id %[1]s PRIMARY KEY, up %[1]s); CREATE INDEX ON t (up); INSERT INTO t SELECT %[2]s, %[3]s FROM generate_series(1, 20000) n;
			UPDATE t SET up = '%[4]s' WHERE id = (SELECT id FROM t LIMIT 1); ANALYZE t`, kind, c.id, c.parent, c.one))
		s := d.source(query("SELECT id, 'active' AS status, up AS parent FROM t -- all"))
		if got, err := children(s, c.one); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
		if err := s.Close(); err != nil { // which has the server tell what was read
			t.Error(err)
		}
		scans := int64(0)
		for range 200 {
			if scans = shared.Int(t, d.name, "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 't_up_idx'"); scans > 0 {
				break
			}
			d.exec("SELECT pg_sleep(0.05)")
		}
		if scans != 1 {
			t.Errorf("%s: the index was used %d times", kind, scans)
		}
	}
}

func TestChildren_WithoutAReadableId(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE t (id text, parent text, status text); INSERT INTO t VALUES (NULL, 'a', NULL)")
	if got, err := children(d.source(query("TABLE t")), "a"); err != nil || !cmp.Equal(got, []string{"a>"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// statements notes what is asked.
type statements struct {
	mu   sync.Mutex
	list []string
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, d.SQL)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.list)
	s.list = nil
	return n
}

func TestChildren_OfAQueryWithoutParentAreNoneAndNobodyAsks(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE t (id text, up text); INSERT INTO t VALUES ('a', NULL), ('b', 'a'); CREATE VIEW v AS SELECT id, 'active' AS status FROM t")
	asked := &statements{}
	s, err := postgressource.New(postgressource.Config{DSN: shared.DSN(d.name), Query: "TABLE v"}, postgressource.Options{
		Connect: func(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
			cfg.Tracer = asked
			return pgx.ConnectConfig(ctx, cfg)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	step := func(what string, statements int, want ...string) {
		t.Helper()
		got, err := children(s, "a")
		if n := asked.take(); err != nil || !slices.Equal(got, want) || n != statements {
			t.Errorf("%s: %v, %v after %d statements; want %v after %d", what, got, err, n, want, statements)
		}
	}
	lookUp := func() {
		t.Helper()
		if _, err := s.Tenant(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		asked.take()
	}
	step("nobody knows", 1)
	step("it is known", 0)
	d.exec("CREATE OR REPLACE VIEW v AS SELECT id, 'active' AS status, up AS parent FROM t")
	lookUp()
	step("since the last look-up there is one", 1, "a>b")
	d.exec("DROP VIEW v; CREATE VIEW v AS SELECT id, 'active' AS status FROM t")
	if got, err := children(s, "a"); err == nil {
		t.Errorf("the column is gone: %v", got)
	}
	lookUp()
	asked.take()
	step("and it is none any more", 0)
}

func TestChildren_NoAnswerIsNeverNobody(t *testing.T) {
	d := newDatabase(t, schema+"; INSERT INTO tenants (id, parent_id) VALUES ('a', NULL), ('b', 'a')")
	s := d.source(func(c *postgressource.Config) { c.Timeout = time.Second })
	if got, err := children(s, "a"); err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	d.endConns()
	if got, err := children(s, "a"); err != nil || len(got) != 1 {
		t.Errorf("after the server closed an idle connection: %v, %v", got, err)
	}
	d.dropTenants(func() error {
		_, err := children(s, "a")
		return err
	})
	_, err := children(s, "a")
	wantUnavailable(t, "no table", err)
	ids := newDatabase(t, "CREATE TABLE t (id text, parent int, doc json)")
	_, err = children(ids.source(query("SELECT id, 'active' AS status, parent FROM t")), "acme")
	wantUnavailable(t, "an id that parent cannot be", err)
	what := ids.source(query("SELECT id, 'active' AS status, doc AS parent FROM t"))
	_, err = children(what, "acme")
	wantUnavailable(t, "a parent that cannot be compared", err)
	wantUnavailable(t, "a parent that cannot be compared, checked", what.Check(context.Background()))
}

func TestDiagnose_TellsThatThoseBelowCannotBeFoundOrOnlySlowly(t *testing.T) {
	d := newDatabase(t, `CREATE TABLE t (id text, up text, doc json, off timestamptz, days int); INSERT INTO t SELECT 't' || n, 'p' || n FROM generate_series(1, 100000) n; ANALYZE t`)
	look := func(parent string) (found []purge.Finding) {
		t.Helper()
		found, err := d.source(query("SELECT id, 'active' AS status, " + parent + "off AS disabled_at, days AS purge_after_days FROM t")).Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(found, func(f purge.Finding) bool { return strings.Contains(f.Text, "superuser") })
	}
	found := look("doc AS parent, ")
	if len(found) != 1 || found[0].Severity != purge.SeverityError || !strings.Contains(found[0].Text, "42883") {
		t.Errorf("a parent that cannot be compared: %+v", found)
	}
	found = look("up AS parent, ")
	if len(found) != 1 || found[0].Severity != purge.SeverityWarning || !strings.Contains(found[0].Text, "no index") {
		t.Errorf("without an index: %+v", found)
	}
	d.exec("CREATE INDEX ON t (up)")
	if found := look("up AS parent, "); len(found) > 0 {
		t.Errorf("with an index: %+v", found)
	}
	if found := look(""); len(found) > 0 {
		t.Errorf("without parents: %+v", found)
	}
}
