package postgrestarget_test

import (
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// crossingSQL has rows of other tenants that hang on users of acme: directly, in the
// same table, and through tables that do not say whose their rows are.
const crossingSQL = `
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text NOT NULL, invited_by bigint REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON users (tenant_id, id); CREATE INDEX ON users (invited_by);
CREATE TABLE api_keys (id bigint PRIMARY KEY, tenant_id text NOT NULL, made_by bigint REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON api_keys (tenant_id, id); CREATE INDEX ON api_keys (made_by);
CREATE TABLE sessions (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON sessions (user_id);
CREATE TABLE notes (id bigint PRIMARY KEY, tenant_id varchar(80), session bigint REFERENCES sessions ON DELETE CASCADE);
CREATE INDEX ON notes (session);
INSERT INTO users SELECT g, 'acme', CASE WHEN g > 1 THEN 1 END FROM generate_series(1, 20) g;
INSERT INTO users VALUES (100, 'beta'), (101, 'gamma');
INSERT INTO api_keys VALUES (1, 'acme', 2), (2, 'beta', 100);
INSERT INTO sessions VALUES (1, 3), (2, 100);
INSERT INTO notes VALUES (1, 'acme', 1), (2, 'beta', 2), (3, NULL, 1);`

func crossing(t *testing.T) *bench {
	return setUp{sql: crossingSQL, config: byTable(map[store.Kind]postgrestarget.Kind{
		store.KindUser: {Table: "users", Tenant: "tenant_id"}, store.KindAPIKey: {Table: "api_keys", Tenant: "tenant_id"},
	})}.make(t)
}

func TestCascade_G4_TakesNoRowOfAnotherTenant(t *testing.T) {
	for name, c := range map[string]struct{ add, remove, key string }{
		"in the table itself":                    {"UPDATE users SET invited_by = 7 WHERE id = 100", "UPDATE users SET invited_by = NULL WHERE id = 100", "users_invited_by_fkey"},
		"in a table with a kind of its own":      {"INSERT INTO api_keys VALUES (7, 'beta', 7)", "DELETE FROM api_keys WHERE id = 7", "api_keys_made_by_fkey"},
		"through a table without tenants":        {"INSERT INTO notes VALUES (7, 'beta', 1)", "DELETE FROM notes WHERE id = 7", "notes_session_fkey"},
		"another tenant by the case of one byte": {"INSERT INTO api_keys VALUES (7, 'Acme', 7)", "DELETE FROM api_keys WHERE id = 7", "api_keys_made_by_fkey"},
	} {
		t.Run(name, func(t *testing.T) {
			for limit, how := range map[int]string{all: "in one step", 3: "in a walk"} {
				b := crossing(t)
				b.server.Exec(t, b.db, c.add)
				before := b.server.Int(t, b.db, "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM notes)")
				_, err := b.Purge(t.Context(), users("acme", limit))
				if wantCode(t, err, store.Precondition); err == nil || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), " 1 rows of other tenants") {
					t.Errorf("%s: %v; want an error that names %s and how many rows", how, err, c.key)
				}
				if n := b.server.Int(t, b.db, "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM notes)"); n != before {
					t.Errorf("%s: %d of %d rows are left; want all", how, n, before)
				}
				b.server.Exec(t, b.db, c.remove)
				for more := true; more; {
					did, err := b.Purge(t.Context(), users("acme", limit))
					if more = did.More; err != nil {
						t.Fatalf("%s: %v after the row was given up", how, err)
					}
				}
				if n := b.left(t, "acme", store.KindUser); n != 0 {
					t.Errorf("%s: %d users are left", how, n)
				}
			}
		})
	}
}

// One tenant whose rows others hang on does not hold up those that go with it (G11).
func TestCascade_G11_RefusesOneTenantAlone(t *testing.T) {
	b := crossing(t)
	b.server.Exec(t, b.db, "INSERT INTO api_keys VALUES (7, 'delta', 7)")
	errs := make(chan error, 2)
	release := make(chan struct{})
	for _, id := range []string{"acme", "gamma"} {
		go func() {
			<-release
			_, err := b.Purge(t.Context(), users(id, all))
			errs <- err
		}()
	}
	close(release)
	failed := 0
	for range 2 {
		if err := <-errs; err != nil {
			failed++
		}
	}
	if n := b.left(t, "gamma", store.KindUser); failed != 1 || n != 0 {
		t.Errorf("%d of 2 calls failed, and %d users of gamma are left; want the call for acme to fail alone", failed, n)
	}
}

// Rows of tenants that are purged together may go along with each other.
func TestCascade_TakesRowsOfTenantsThatArePurgedToo(t *testing.T) {
	b := crossing(t)
	b.server.Exec(t, b.db, "UPDATE users SET invited_by = 7 WHERE id = 100")
	if _, err := b.PurgeGroup(t.Context(), []string{"acme", "beta"}, users("", all)); err != nil {
		t.Fatal(err)
	}
	if n := b.server.Int(t, b.db, "SELECT count(*) FROM users"); n != 1 {
		t.Errorf("%d users are left, want that of gamma", n)
	}
}

// Of a purge of many tenants a call has some: what goes along of the others was to go
// anyway.
func TestCascade_TakesRowsOfTheWholePurge(t *testing.T) {
	b := crossing(t)
	b.server.Exec(t, b.db, "UPDATE users SET invited_by = 7 WHERE id = 100")
	r := users("acme", all)
	for _, limit := range []int{3, all} {
		r.Limit, r.Subtree = limit, []string{"acme", "beta"}
		for more := true; more; {
			did, err := b.Purge(t.Context(), r)
			if more = did.More; err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := b.server.Int(t, b.db, "SELECT count(*) FROM users"); n != 1 {
		t.Errorf("%d users are left, want that of gamma", n)
	}
}

// Where rows of the table do not go along with each other, a step of a giant looks at
// what hangs on the rows that it removes, and not at the rest: else a tenant with very
// many could never be purged.
func TestCascade_G11_AStepLooksAtWhatHangsOnItsOwnRows(t *testing.T) {
	b := crossing(t)
	b.server.Exec(t, b.db, "ALTER TABLE users DROP COLUMN invited_by; INSERT INTO api_keys VALUES (7, 'beta', 20)")
	for step := range 6 {
		if did, err := b.Purge(t.Context(), users("acme", 3)); err != nil || did.Deleted != 3 {
			t.Fatalf("step %d: %+v, %v", step, did, err)
		}
	}
	_, err := b.Purge(t.Context(), users("acme", 3))
	wantCode(t, err, store.Precondition)
	if n := b.server.Int(t, b.db, "SELECT count(*) FROM api_keys WHERE tenant_id = 'beta'"); n != 2 || b.left(t, "acme", store.KindUser) != 2 {
		t.Errorf("%d keys of beta are left, want 2, and %d users of acme, want the last 2", n, b.left(t, "acme", store.KindUser))
	}
}

// What only looks like rows of another tenant, or cannot be looked at, keeps nobody
// from being purged.
func TestCascade_IsNotRefusedWithoutNeed(t *testing.T) {
	for name, c := range map[string]struct{ sql, table, tenant string }{
		"an id that is the tenant's in the table, and the row's in the child": {`
CREATE TABLE users (id text PRIMARY KEY); CREATE TABLE grants (id text PRIMARY KEY, made_by text REFERENCES users ON DELETE CASCADE);
CREATE TABLE uses (id text PRIMARY KEY, made_by text REFERENCES grants ON DELETE CASCADE);
INSERT INTO users VALUES ('acme'); INSERT INTO grants VALUES ('g1', 'acme'); INSERT INTO uses VALUES ('u1', 'g1');`, "users", "id"},
		"a table that inherits the child, whose rows do not go along": {`
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text NOT NULL);
CREATE TABLE sessions (id bigint PRIMARY KEY, tenant_id text NOT NULL, user_id bigint REFERENCES users ON DELETE CASCADE);
CREATE TABLE old () INHERITS (sessions); INSERT INTO users VALUES (1, 'acme'); INSERT INTO old VALUES (1, 'beta', 1);`, "users", "tenant_id"},
		"a schema that the role must not use": {`
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text NOT NULL); CREATE SCHEMA other;
CREATE TABLE other.sessions (id bigint PRIMARY KEY, tenant_id text NOT NULL, user_id bigint REFERENCES users ON DELETE CASCADE);
INSERT INTO users VALUES (1, 'acme'); INSERT INTO other.sessions VALUES (1, 'acme', 1);
GRANT SELECT, DELETE ON users TO crossing; GRANT SELECT ON ALL TABLES IN SCHEMA other TO crossing;`, "users", "tenant_id"},
	} {
		t.Run(name, func(t *testing.T) {
			u := setUp{sql: "DO 'BEGIN CREATE ROLE crossing LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN END';" + c.sql, noLedger: true,
				config: byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: c.table, Tenant: c.tenant}})}
			b := u.make(t)
			target := b.Target
			if strings.Contains(c.sql, "GRANT") {
				target = b.again(t, u, b.server.DSNAs("crossing", b.db))
			}
			if did, err := target.Purge(t.Context(), users("acme", all)); err != nil || did.Deleted != 1 {
				t.Errorf("%+v, %v; want the user removed", did, err)
			}
		})
	}
}

// The doctor never hands out a statement by which rows of other tenants would go.
func TestDiagnose_G4_OffersNoCascadeToRowsOfOthers(t *testing.T) {
	b := setUp{sql: `
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text NOT NULL, UNIQUE (tenant_id, id));
CREATE INDEX ON users (tenant_id, id);
CREATE TABLE tickets (id bigint PRIMARY KEY, tenant_id text NOT NULL, answered_by bigint NOT NULL REFERENCES users);
CREATE INDEX ON tickets (answered_by);
CREATE TABLE letters (id bigint PRIMARY KEY, tenant_id text NOT NULL, written_by bigint NOT NULL, FOREIGN KEY (tenant_id, written_by) REFERENCES users (tenant_id, id));
CREATE INDEX ON letters (tenant_id, written_by);
INSERT INTO users VALUES (1, 'acme'), (2, 'beta'); INSERT INTO tickets VALUES (7, 'beta', 1), (8, 'beta', 2);`,
		config: byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant_id"}})}.make(t)
	findings, err := b.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range findings {
		switch f.Subject {
		case "public.tickets":
			seen++
			if n := b.server.Int(t, b.db, strings.TrimSuffix(f.Fix, ";")); n != 1 || f.Severity != purge.SeverityWarning {
				t.Errorf("%+v: it finds %d rows, want the one whose user is of another tenant", f, n)
			}
		case "public.letters":
			seen++
			if !strings.Contains(f.Fix, "ON DELETE CASCADE") {
				t.Errorf("%+v: want a cascade, since the key has the tenant on both sides", f)
			}
		}
	}
	if seen != 2 {
		t.Errorf("findings %q; want one of tickets and one of letters", told(findings))
	}
}

func TestDiagnose_TellsOfCascadesToRowsOfOthers(t *testing.T) {
	b := crossing(t)
	b.server.Exec(t, b.db, `UPDATE users SET invited_by = 7 WHERE id = 100; INSERT INTO notes VALUES (7, 'beta', 1);
ALTER TABLE api_keys DROP CONSTRAINT api_keys_made_by_fkey, ALTER made_by SET DEFAULT 1, ADD CONSTRAINT api_keys_made_by_fkey FOREIGN KEY (made_by) REFERENCES users ON DELETE SET DEFAULT`)
	findings, err := b.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]int64{"public.users": 1, "public.api_keys": 0, "public.notes": 1} {
		found := false
		for _, f := range findings {
			if f.Subject == subject && f.Severity == purge.SeverityWarning && strings.HasPrefix(f.Fix, "SELECT") {
				found = true
				if n := b.server.Int(t, b.db, strings.TrimSuffix(f.Fix, ";")); n != want {
					t.Errorf("%+v: it finds %d rows, want %d", f, n, want)
				}
			}
		}
		if !found {
			t.Errorf("nothing is said of %s: %q", subject, told(findings))
		}
	}
}
