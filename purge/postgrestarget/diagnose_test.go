package postgrestarget_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

const ailingSQL = `
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text);
CREATE TABLE api_keys (id bigint PRIMARY KEY, tenant_id text NOT NULL, user_id bigint REFERENCES users);
CREATE INDEX ON api_keys (tenant_id, id);
CREATE TABLE credentials (id bigint PRIMARY KEY, tenant_id text NOT NULL, user_id bigint REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON credentials (tenant_id);
CREATE INDEX ON credentials (user_id) WHERE user_id IS NOT NULL;
CREATE TABLE sessions (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON sessions (user_id) WHERE id > 7;
CREATE TABLE events (session_id bigint REFERENCES sessions);
CREATE TABLE billing (n int);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
INSERT INTO users SELECT g, 'acme' FROM generate_series(1, 1234) g;
ANALYZE users;
CREATE SCHEMA extra;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA extra TO purger_sick;
GRANT SELECT, DELETE, UPDATE ON users TO purger_sick;
GRANT SELECT, DELETE ON api_keys TO purger_sick;
GRANT DELETE ON credentials TO purger_sick;
GRANT INSERT ON billing TO purger_sick;
`

// told returns findings as text, each in a line, without what they would mend.
func told(findings []purge.Finding) []string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s %s: %s", f.Severity, f.Subject, f.Text))
	}
	return lines
}

func TestDiagnose(t *testing.T) {
	server := pg(t)
	server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_sick; CREATE ROLE purger_sick LOGIN CREATEDB")
	b := setUp{sql: ailingSQL, noLedger: true}.make(t)
	sick := &bench{server: server, db: b.db}
	sick.Target = sick.again(t, setUp{}, server.DSNAs("purger_sick", b.db))
	findings, err := sick.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`error oauthClient: there is no table "oauth_clients", or the role may not use its schema`,
		`error "public"."api_keys": row-level security applies to the role: rows that a policy hides could not be told from rows that are gone`,
		`error "public"."credentials": the role lacks SELECT`,
		`warning role purger_sick: it has CREATEDB, which no purge needs`,
		`warning role purger_sick: it may create objects (DDL) in extra, which no purge needs`,
		`warning role purger_sick: it may change 1 tables that it does not purge: public.billing`,
		`warning "public"."users": the role has UPDATE, which no purge needs; an owner has them all`,
		`warning "public"."users": no index begins with the tenant column "tenant_id": every count and every step reads the whole table`,
		`warning "public"."users": the tenant column "tenant_id" may be NULL: such rows belong to nobody and are never purged`,
		`warning public.api_keys: the foreign key "api_keys_user_id_fkey" (user_id) to public.users has no index: each row that is deleted there reads this whole table`,
		`warning public.events: the foreign key "events_session_id_fkey" (session_id) to public.sessions has no index: each row that is deleted there reads this whole table`,
		`warning public.events: the foreign key "events_session_id_fkey" refuses the deletion from public.sessions while rows refer to it, and nothing here purges them`,
		`warning public.sessions: the foreign key "sessions_user_id_fkey" (user_id) to public.users has no index: each row that is deleted there reads this whole table`,
		`warning "purger_ledger": there is no ledger: when a connection is lost at COMMIT, counts become a lower bound`,
		`info "public"."api_keys": its number of rows is not known: it was never analyzed`,
		`info "public"."credentials": no index is on the tenant column and the key: a tenant with very many rows is purged more slowly than need be`,
		`info "public"."credentials": its number of rows is not known: it was never analyzed`,
		`info "public"."users": about 1234 rows`,
		`info public.sessions: rows go along with those of public.users, by the foreign key "sessions_user_id_fkey", and are not counted`,
	}
	if diff := cmp.Diff(want, told(findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	// What can be run as it stands is, and then is found no more.
	mended := 0
	for _, f := range findings {
		if f.Fix != "" && !strings.Contains(f.Fix, "...") && !strings.HasSuffix(f.Fix, " them") {
			for statement := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(f.Fix), ";"), ";\n") {
				server.Exec(t, b.db, statement)
			}
			mended++
		}
	}
	if mended < 12 {
		t.Errorf("%d findings had a statement that mends them, want more", mended)
	}
	after, err := sick.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		`error oauthClient: there is no table "oauth_clients", or the role may not use its schema`,
		`warning role purger_sick: it may change 1 tables that it does not purge: public.billing`,
		`warning public.events: the foreign key "events_session_id_fkey" refuses the deletion from public.sessions while rows refer to it, and nothing here purges them`,
		`info "public"."api_keys": about 0 rows`,
		`info "public"."credentials": about 0 rows`,
		`info "public"."users": about 1234 rows`,
		`info public.sessions: rows go along with those of public.users, by the foreign key "sessions_user_id_fkey", and are not counted`,
	}
	if diff := cmp.Diff(want, told(after)); diff != "" {
		t.Errorf("findings after they were mended (-want +got):\n%s", diff)
	}
	server.Exec(t, b.db, "DROP OWNED BY purger_sick")
}

func TestDiagnose_Superuser(t *testing.T) {
	b := setUp{config: func(c *postgrestarget.Config) {
		ownStatements(c)
		k := c.Kinds[store.KindUser]
		k.Delete = "DELETE FROM users WHERE tenant_id = $1"
		c.Kinds[store.KindUser] = k
	}}.make(t)
	findings, err := b.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"warning role postgres: it is a superuser and may do anything to everything",
		"warning user: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes everything of a tenant in one transaction, having no $2",
		"info oauthClient: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes up to a limit at a time",
		"info apiKey: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes up to a limit at a time",
		"info credential: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes up to a limit at a time",
	}
	if diff := cmp.Diff(want, told(findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestInit_IsRepeatableAndTellsWhatAnOwnerMayRun(t *testing.T) {
	server := pg(t)
	server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_meek; CREATE ROLE purger_meek LOGIN")
	b := setUp{noLedger: true}.make(t)
	server.Exec(t, b.db, "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO purger_meek")
	meek := &bench{server: server, db: b.db}
	meek.Target = meek.again(t, setUp{}, server.DSNAs("purger_meek", b.db))
	err := meek.Init(t.Context())
	wantCode(t, err, store.Forbidden)
	if err == nil || !strings.Contains(err.Error(), "CREATE TABLE") {
		t.Errorf("Init = %v; want the statements that an owner may run", err)
	}
	// The owner's ledger is of no use without rights, and is used with them.
	for range 2 {
		if err := b.Init(t.Context()); err != nil {
			t.Errorf("Init = %v", err)
		}
	}
	b.add(t, "acme", store.KindUser, 3)
	meek.wantStep(t, users("acme", 1), 1, true)
	if n := server.Int(t, b.db, "SELECT count(*) FROM purger_ledger"); n != 0 {
		t.Errorf("%d rows in a ledger that may not be written", n)
	}
	sql, err := postgrestarget.LedgerSQL("", "purger_meek")
	if err != nil {
		t.Fatal(err)
	}
	server.Exec(t, b.db, sql)
	if err := meek.Init(t.Context()); err != nil {
		t.Errorf("Init = %v with a ledger that may be written", err)
	}
	meek.wantStep(t, users("acme", all), 2, false)
	if n := server.Int(t, b.db, "SELECT deleted FROM purger_ledger WHERE target = 'app' AND kind = 'user'"); n != 2 {
		t.Errorf("the ledger has %d, want 2", n)
	}
	server.Exec(t, b.db, "DROP OWNED BY purger_meek")
}
