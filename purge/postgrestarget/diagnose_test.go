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

// aboutTests reports whether a finding is that servers of tests sync nothing to disk.
func aboutTests(f purge.Finding) bool {
	return f.Subject == "server" && strings.Contains(f.Text, " is off: after a crash of the machine")
}

// told returns findings as text, each in a line, without what they would mend.
func told(findings []purge.Finding) []string {
	var lines []string
	for _, f := range findings {
		if aboutTests(f) {
			continue
		}
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
		`error apiKey "public"."api_keys": row-level security applies to the role: rows that a policy hides could not be told from rows that are gone`,
		`error credential "public"."credentials": the role lacks SELECT`,
		`warning role purger_sick: it has CREATEDB, which no purge needs`,
		`warning role purger_sick: it may create objects (DDL) in extra, which no purge needs`,
		`warning role purger_sick: it may change 1 tables that it does not purge: public.billing`,
		`warning user "public"."users": the role has UPDATE, which no purge needs; an owner has them all`,
		`warning user "public"."users": no index begins with the tenant column "tenant_id": every count and every step reads the whole table`,
		`warning user "public"."users": the tenant column "tenant_id" may be NULL: such rows belong to nobody and are never purged`,
		`warning public.api_keys: the foreign key "api_keys_user_id_fkey" (user_id) to public.users has no index: each row that is deleted there reads this whole table`,
		`warning public.credentials: rows go along with those of public.users, by the foreign key "credentials_user_id_fkey", which does not contain the tenant column on both sides: rows of other tenants go, too, since the role may not read what would tell them; with the right to, the purge of a tenant is refused; see how many there are`,
		`warning public.events: the foreign key "events_session_id_fkey" (session_id) to public.sessions has no index: each row that is deleted there reads this whole table`,
		`warning public.events: the foreign key "events_session_id_fkey" refuses the deletion from public.sessions while rows refer to it, and nothing here purges them; have a kind delete them before, or let the key be ON DELETE SET NULL; ON DELETE CASCADE is for rows that are nobody else's, which cannot be told, since there is no tenant column`,
		`warning public.sessions: the foreign key "sessions_user_id_fkey" (user_id) to public.users has no index: each row that is deleted there reads this whole table`,
		`warning "purger_ledger": there is no ledger: when a connection is lost at COMMIT, counts become a lower bound`,
		`info apiKey "public"."api_keys": its number of rows is not known: it was never analyzed`,
		`info credential "public"."credentials": no index is on the tenant column and the key: a tenant with very many rows is purged more slowly than need be`,
		`info credential "public"."credentials": its number of rows is not known: it was never analyzed`,
		`info user "public"."users": about 1234 rows`,
		`info public.sessions: rows go along with those of public.users, by the foreign key "sessions_user_id_fkey", and are not counted`,
	}
	if diff := cmp.Diff(want, told(findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	// What is said to mend is run as it stands, and then is found no more; the rest is to
	// be decided.
	if mended := mend(t, b, findings); mended < 14 {
		t.Errorf("%d findings had statements that mend them, want more", mended)
	}
	after, err := sick.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		`error oauthClient: there is no table "oauth_clients", or the role may not use its schema`,
		`warning public.credentials: rows go along with those of public.users, by the foreign key "credentials_user_id_fkey", which does not contain the tenant column on both sides: where there are rows of other tenants, the purge of a tenant is refused; see how many there are`,
		`warning public.events: the foreign key "events_session_id_fkey" refuses the deletion from public.sessions while rows refer to it, and nothing here purges them; have a kind delete them before, or let the key be ON DELETE SET NULL; ON DELETE CASCADE is for rows that are nobody else's, which cannot be told, since there is no tenant column`,
		`info apiKey "public"."api_keys": about 0 rows`,
		`info credential "public"."credentials": about 0 rows`,
		`info user "public"."users": about 1234 rows`,
		`info public.sessions: rows go along with those of public.users, by the foreign key "sessions_user_id_fkey", and are not counted`,
	}
	if diff := cmp.Diff(want, told(after)); diff != "" {
		t.Errorf("findings after they were mended (-want +got):\n%s", diff)
	}
	server.Exec(t, b.db, "DROP OWNED BY purger_sick")
}

// mend runs what findings say would mend them, and returns how many say anything.
func mend(t *testing.T, b *bench, findings []purge.Finding) int {
	t.Helper()
	mended := 0
	for _, f := range findings {
		if f.Fix == "" || aboutTests(f) {
			continue
		}
		if !strings.HasSuffix(f.Fix, ";") {
			t.Errorf("%s %s: psql waits for more after\n%s", f.Severity, f.Subject, f.Fix)
		}
		// One by one: an index cannot be made concurrently among others.
		for statement := range strings.SplitSeq(strings.TrimSuffix(f.Fix, ";"), ";\n") {
			b.server.Exec(t, b.db, statement)
		}
		mended++
	}
	return mended
}

// What PostgreSQL understands it may still refuse to run.
func TestDiagnose_FindsRightsThatStatementsLack(t *testing.T) {
	server := pg(t)
	server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_shut; CREATE ROLE purger_shut LOGIN")
	b := setUp{}.make(t)
	server.Exec(t, b.db, `CREATE TABLE subscriptions (tenant_id text, status text);
REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT ON users TO purger_shut; GRANT SELECT, INSERT, UPDATE ON purger_ledger TO purger_shut`)
	shut := &bench{server: server, db: b.db}
	shut.Target = shut.again(t, setUp{config: func(c *postgrestarget.Config) {
		c.Kinds = map[store.Kind]postgrestarget.Kind{
			store.KindUser: {
				Count:  "SELECT count(*) FROM users WHERE tenant_id = $1",
				Delete: "DELETE FROM users WHERE id IN (SELECT id FROM users WHERE tenant_id = $1 LIMIT $2)",
			},
			store.KindCredential: {
				Count:  "SELECT count(*) FROM credentials WHERE tenant_id = $1",
				Delete: "DELETE FROM credentials WHERE tenant_id = $1",
			},
		}
		c.Subscriptions = "SELECT count(*) FROM subscriptions WHERE tenant_id = $1 AND status = 'active'"
	}}, server.DSNAs("purger_shut", b.db))
	errorsOf := func() (lines []string) {
		findings, err := shut.Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Severity == purge.SeverityError {
				lines = append(lines, f.Subject+": "+f.Text)
			}
		}
		return lines
	}
	const denied = "permission denied for table %s (SQLSTATE 42501)"
	want := []string{
		"credential: count: look at rights: " + fmt.Sprintf(denied, "credentials"),
		"credential: delete: look at rights: " + fmt.Sprintf(denied, "credentials"),
		"user: delete: look at rights: " + fmt.Sprintf(denied, "users"),
		"subscriptions: subscriptions: " + fmt.Sprintf(denied, "subscriptions"),
	}
	if diff := cmp.Diff(want, errorsOf()); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	b.add(t, "acme", store.KindUser, 3)
	server.Exec(t, b.db, "GRANT SELECT, DELETE ON users, credentials TO purger_shut; GRANT SELECT ON subscriptions TO purger_shut")
	if got := errorsOf(); got != nil {
		t.Errorf("with all rights: %q", got)
	}
	if n := b.left(t, "acme", store.KindUser); n != 3 {
		t.Errorf("%d users are left of 3: to look has removed some", n)
	}
	server.Exec(t, b.db, "DROP OWNED BY purger_shut")
}

// PostgreSQL makes no index concurrently on a table with partitions.
func TestDiagnose_MendsTablesWithPartitions(t *testing.T) {
	b := setUp{noLedger: true, sql: `
CREATE TABLE users (id bigint, tenant_id text NOT NULL, PRIMARY KEY (id), UNIQUE (tenant_id, id)) PARTITION BY HASH (id);
CREATE TABLE users_0 PARTITION OF users FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE "user Notes" (id bigint, day int, tenant text, user_id bigint, CONSTRAINT "of a user" FOREIGN KEY (tenant, user_id) REFERENCES users (tenant_id, id)
  MATCH FULL ON UPDATE CASCADE ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
DROP ROLE IF EXISTS purger; ALTER TABLE users OWNER TO postgres;
`, config: func(c *postgrestarget.Config) {
		c.Kinds = map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant_id"}}
	}}.make(t)
	findings, err := b.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mend(t, b, findings)
	t.Cleanup(func() { b.server.Exec(t, b.db, "DROP OWNED BY purger; DROP ROLE purger") })
	after, err := b.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"warning role postgres: it is a superuser and may do anything to everything; want a role of its own in the dsn",
		`info user "public"."users": about 0 rows`,
		`info public."user Notes": rows go along with those of public.users, by the foreign key "of a user", and are not counted`,
	}
	if diff := cmp.Diff(want, told(after)); diff != "" {
		t.Errorf("findings after they were mended (-want +got):\n%s", diff)
	}
	if n := b.server.Int(t, b.db, `SELECT count(*) FROM pg_constraint WHERE conname = 'of a user' AND conparentid = 0
AND pg_get_constraintdef(oid) LIKE '%MATCH FULL ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED'`); n != 1 {
		t.Error("the foreign key is not what it was but for what it does with rows")
	}
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
		"warning role postgres: it is a superuser and may do anything to everything; want a role of its own in the dsn",
		"warning user: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes everything of a tenant in one transaction, having no $2",
		"info oauthClient: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes up to a limit at a time",
		"info apiKey: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes up to a limit at a time",
		"info credential: has statements of its own, which PostgreSQL understands; delete takes one tenant at a time and removes up to a limit at a time",
	}
	if diff := cmp.Diff(want, told(findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestDiagnose_TellsWhyTheLedgerIsNotUsed(t *testing.T) {
	server := pg(t)
	server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_bare; CREATE ROLE purger_bare LOGIN")
	b := setUp{}.make(t)
	server.Exec(t, b.db, "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT, DELETE ON users, credentials, api_keys, oauth_clients TO purger_bare")
	bare := &bench{server: server, db: b.db}
	bare.Target = bare.again(t, setUp{}, server.DSNAs("purger_bare", b.db))
	const lower = ": when a connection is lost at COMMIT, counts become a lower bound"
	for _, c := range []struct {
		harm, want string
		mends      bool
	}{
		{"", "the role may not use the ledger" + lower, true},
		{"ALTER TABLE purger_ledger ENABLE ROW LEVEL SECURITY", "row-level security applies to the role in the ledger" + lower, true},
		{"ALTER TABLE purger_ledger DROP COLUMN batch", "is not a ledger as", false},
	} {
		if c.harm != "" {
			server.Exec(t, b.db, c.harm)
		}
		findings, err := bare.Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var about []purge.Finding
		for _, f := range findings {
			if f.Severity != purge.SeverityInfo && !aboutTests(f) {
				about = append(about, f)
			}
		}
		if len(about) != 1 || !strings.Contains(about[0].Text, c.want) || (about[0].Fix != "") != c.mends {
			t.Errorf("%s: %+v; want %q", c.harm, about, c.want)
		}
		mend(t, b, about)
	}
	server.Exec(t, b.db, "DROP OWNED BY purger_bare")
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
	if err == nil || !strings.Contains(err.Error(), ":\nCREATE TABLE") || !strings.HasSuffix(err.Error(), ";\nGRANT SELECT, INSERT, UPDATE ON \"purger_ledger\" TO \"purger_meek\";\n") {
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
