package postgrestarget_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// wantFindings fails unless what is found has all these lines, and each once.
func wantFindings(t *testing.T, target *postgrestarget.Target, want ...string) []purge.Finding {
	t.Helper()
	findings, err := target.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := told(findings)
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("found\n%s\nwant\n%s", strings.Join(lines, "\n"), line)
		}
	}
	slices.Sort(lines)
	if once := len(slices.Compact(slices.Clone(lines))); once != len(lines) {
		t.Errorf("%d of %d findings are told twice", len(lines)-once, len(lines))
	}
	return findings
}

// wantNoFinding fails if a text is in what is found, or in what would mend it.
func wantNoFinding(t *testing.T, findings []purge.Finding, text string) {
	t.Helper()
	for _, f := range findings {
		if strings.Contains(f.Text+f.Fix, text) {
			t.Errorf("found %+v; want no %q", f, text)
		}
	}
}

func byTable(kinds map[store.Kind]postgrestarget.Kind) func(*postgrestarget.Config) {
	return func(c *postgrestarget.Config) { c.Kinds = kinds }
}

func TestDiagnose_ATenantColumnThatIsAKey(t *testing.T) {
	b := setUp{sql: `
CREATE TABLE users (id text PRIMARY KEY, account_id text);
CREATE TABLE credentials (id text PRIMARY KEY, name text UNIQUE);
CREATE TABLE tenants (id text PRIMARY KEY);
CREATE TABLE api_keys (tenant_id text PRIMARY KEY REFERENCES tenants);
CREATE TABLE oauth_clients (tenant_id text, client text, PRIMARY KEY (tenant_id, client));
`, config: byTable(map[store.Kind]postgrestarget.Kind{
		store.KindUser:        {Table: "users", Tenant: "id"},
		store.KindCredential:  {Table: "credentials", Tenant: "id"},
		store.KindAPIKey:      {Table: "api_keys", Tenant: "tenant_id"},
		store.KindOAuthClient: {Table: "oauth_clients", Tenant: "tenant_id"},
	})}.make(t)
	const text = `is a key by itself: at most one row can belong to a tenant; want the column that says whose a row is`
	findings := wantFindings(t, b.Target,
		`error user "public"."users": the tenant column "id" `+text,
		`warning credential "public"."credentials": the tenant column "id" `+text,
		`warning apiKey "public"."api_keys": the tenant column "tenant_id" `+text,
	)
	for _, f := range findings {
		if strings.HasPrefix(f.Subject, "oauthClient") && strings.Contains(f.Text, text) {
			t.Errorf("%+v", f)
		}
	}
}

func TestDiagnose_RowsOfNobodyAreLookedAtFirst(t *testing.T) {
	b := setUp{sql: `
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text);
INSERT INTO users SELECT g FROM generate_series(1, 7) g;
CREATE TABLE credentials (id bigint PRIMARY KEY, tenant_id text);
INSERT INTO credentials SELECT g FROM generate_series(1, 1001) g;
CREATE TABLE api_keys (id bigint PRIMARY KEY, tenant_id text);
`, config: byTable(map[store.Kind]postgrestarget.Kind{
		store.KindUser:       {Table: "users", Tenant: "tenant_id"},
		store.KindCredential: {Table: "credentials", Tenant: "tenant_id"},
		store.KindAPIKey:     {Table: "api_keys", Tenant: "tenant_id"},
	})}.make(t)
	findings := wantFindings(t, b.Target,
		`warning user "public"."users": the tenant column "tenant_id" is NULL in 7 rows: such rows belong to nobody and are never purged; give them a tenant, or remove them`,
		`warning credential "public"."credentials": the tenant column "tenant_id" is NULL in more than 1000 rows: such rows belong to nobody and are never purged; give them a tenant, or remove them`,
		`warning apiKey "public"."api_keys": the tenant column "tenant_id" may be NULL: such rows belong to nobody and are never purged`,
	)
	for _, f := range findings {
		if strings.Contains(f.Fix, "SET NOT NULL") && !strings.HasPrefix(f.Subject, "apiKey") {
			t.Errorf("%+v: PostgreSQL would refuse it", f)
		}
	}
	// While it cannot be counted, it is said how to.
	b.holding(t, "LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE", func(func()) {
		wantNoFinding(t, wantFindings(t, b.Target,
			`warning apiKey "public"."api_keys": the tenant column "tenant_id" may be NULL: such rows belong to nobody and are never purged; see whether there are any: SELECT count(*) FROM "public"."api_keys" WHERE "tenant_id" IS NULL`,
		), "SET NOT NULL")
	})
}

func TestDiagnose_TwoKindsOnTheSameTable(t *testing.T) {
	const sql = `
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text, owner_id text);
CREATE TABLE sessions (user_id bigint REFERENCES users);`
	b := setUp{sql: sql, config: byTable(map[store.Kind]postgrestarget.Kind{
		store.KindUser:       {Table: "users", Tenant: "tenant_id"},
		store.KindCredential: {Table: "public.users", Tenant: "tenant_id"},
		store.KindAPIKey:     {Table: "users", Tenant: "owner_id"},
	})}.make(t)
	wantFindings(t, b.Target,
		`error "public"."users": kind credential and kind user purge the same rows: they are counted twice, and on the receipt they are of the kind that comes first; want each row to be of one kind, in one target`,
		`warning "public"."users": kind apiKey and kind user purge rows of the same table, by different columns: want each row to be of one kind`,
	)
	// Another target on the same database.
	one := b.again(t, setUp{
		config:  byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant_id"}}),
		options: postgrestarget.Options{Beside: []postgrestarget.Config{{Name: "two", Kinds: map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "public.users", Tenant: "tenant_id"}}}}},
	}, b.server.DSN(b.db))
	wantFindings(t, one,
		`error "public"."users": kind user and kind user of the target two purge the same rows: they are counted twice, and on the receipt they are of the kind that comes first; want each row to be of one kind, in one target`)
	_, err := postgrestarget.New(postgrestarget.Config{Name: "app", DSN: "host=localhost", Kinds: map[store.Kind]postgrestarget.Kind{
		store.KindUser: {Table: "users", Tenant: "tenant_id"}, store.KindCredential: {Table: "users", Tenant: "tenant_id"},
	}}, postgrestarget.Options{})
	if wantCode(t, err, store.Invalid); err == nil || !strings.Contains(err.Error(), "kinds.user") || !strings.Contains(err.Error(), "credential") {
		t.Errorf("New: %v; want an error that names both kinds", err)
	}
}

func TestDiagnose_TablesOfAnotherTarget(t *testing.T) {
	server := pg(t)
	server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_two; CREATE ROLE purger_two LOGIN")
	b := setUp{}.make(t)
	server.Exec(t, b.db, `CREATE TABLE billing (n int); REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT SELECT, DELETE ON users, api_keys, credentials, oauth_clients, billing TO purger_two; GRANT SELECT, INSERT, UPDATE ON purger_ledger TO purger_two`)
	t.Cleanup(func() { server.Exec(t, b.db, "DROP OWNED BY purger_two") })
	all := tables()
	users := byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: all[store.KindUser]})
	delete(all, store.KindUser)
	dsn := server.DSNAs("purger_two", b.db)
	wantFindings(t, b.again(t, setUp{config: users}, dsn),
		`warning role purger_two: it may change 4 tables that it does not purge: public.api_keys, public.billing, public.credentials, public.oauth_clients`)
	wantFindings(t, b.again(t, setUp{config: users, options: postgrestarget.Options{Beside: []postgrestarget.Config{{Name: "rest", Kinds: all}}}}, dsn),
		`warning role purger_two: it may change 1 tables that it does not purge: public.billing`)
}

// What another kind removes need not go along.
func TestDiagnose_AForeignKeyOfWhatAnotherKindPurges(t *testing.T) {
	const sql = `
CREATE TABLE oauth_clients (id bigint PRIMARY KEY, tenant_id text NOT NULL);
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text NOT NULL, client bigint REFERENCES oauth_clients);
CREATE INDEX ON users (client);
CREATE TABLE api_keys (id bigint PRIMARY KEY, tenant_id text NOT NULL, user_id bigint REFERENCES users);
CREATE INDEX ON api_keys (user_id);`
	parts := map[store.Kind]postgrestarget.Kind{
		store.KindUser:        {Table: "users", Tenant: "tenant_id"},
		store.KindOAuthClient: {Table: "oauth_clients", Tenant: "tenant_id"},
	}
	keys := map[string]postgrestarget.Kind{
		"a table": {Table: "api_keys", Tenant: "tenant_id"},
		"statements": {Count: "SELECT count(*) FROM api_keys WHERE tenant_id = $1",
			Delete: "DELETE FROM Public.API_Keys WHERE tenant_id = $1"},
	}
	b := setUp{sql: sql, noLedger: true, config: byTable(parts)}.make(t)
	const late = `warning public.users: the foreign key "users_client_fkey" refuses the deletion from public.oauth_clients while rows refer to it, and kind user does not remove them before kind oauthClient: the order is [oauthClient apiKey credential user]; have a kind that comes before remove them, or statements of kind oauthClient remove both`
	findings := wantFindings(t, b.Target, late)
	if !slices.ContainsFunc(findings, func(f purge.Finding) bool {
		return f.Subject == "public.api_keys" && strings.Contains(f.Text, "nothing here purges them")
	}) {
		t.Errorf("nobody purges api_keys, and nothing is said of it: %q", told(findings))
	}
	for name, k := range keys {
		t.Run(name, func(t *testing.T) {
			mine := map[store.Kind]postgrestarget.Kind{store.KindAPIKey: k}
			for kind, k := range parts {
				mine[kind] = k
			}
			wantNoFinding(t, wantFindings(t, b.again(t, setUp{config: byTable(mine)}, b.server.DSN(b.db)), late), "nothing here purges them")
			other := postgrestarget.Config{Name: "keys", Kinds: map[store.Kind]postgrestarget.Kind{store.KindAPIKey: k}}
			wantNoFinding(t, wantFindings(t, b.again(t, setUp{config: byTable(parts), options: postgrestarget.Options{
				Beside: []postgrestarget.Config{other},
			}}, b.server.DSN(b.db)), late), "nothing here purges them")
		})
	}
}
