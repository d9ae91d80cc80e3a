package postgrestarget_test

import (
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// TestDiagnose_RightsThatAreTooWideBesideStatementsOfOnesOwn: which tables those need
// is not known for sure, and yet the role is looked at. What they name they need, and
// no statement takes a right away that they may need.
func TestDiagnose_RightsThatAreTooWideBesideStatementsOfOnesOwn(t *testing.T) {
	server := pg(t)
	server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_wide; CREATE ROLE purger_wide LOGIN CREATEROLE")
	b := setUp{}.make(t)
	t.Cleanup(func() { server.Exec(t, b.db, "DROP OWNED BY purger_wide") })
	server.Exec(t, b.db, `REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA hr; CREATE TABLE hr.salaries (n int); CREATE TABLE billing (n int); CREATE TABLE user_notes (n int);
CREATE TABLE sessions (id int, user_id bigint) PARTITION BY LIST (id); CREATE TABLE sessions_1 PARTITION OF sessions FOR VALUES IN (1);
GRANT SELECT, INSERT, UPDATE ON purger_ledger TO purger_wide; GRANT SELECT, DELETE ON users, credentials, sessions, sessions_1 TO purger_wide;
GRANT USAGE, CREATE ON SCHEMA hr TO purger_wide; GRANT UPDATE ON hr.salaries, user_notes TO purger_wide; GRANT TRUNCATE ON billing TO purger_wide`)
	target := b.again(t, setUp{config: byTable(map[store.Kind]postgrestarget.Kind{
		store.KindUser: {
			Count: "SELECT count(*) FROM users WHERE tenant_id = $1",
			Delete: `WITH doomed AS (SELECT id FROM users WHERE tenant_id = $1 LIMIT $2),
dependent AS (DELETE FROM public."sessions" USING doomed WHERE user_id = doomed.id)
DELETE FROM Users USING doomed WHERE users.id = doomed.id`,
		},
		store.KindCredential: {Table: "credentials", Tenant: "tenant_id"},
	})}, server.DSNAs("purger_wide", b.db))
	const role = "warning role purger_wide: "
	wantNoFinding(t, wantFindings(t, target,
		role+"it has CREATEROLE, which no purge needs",
		role+"it may create objects (DDL) in hr, which no purge needs",
		role+"it may change 3 tables that it does not purge: hr.salaries, public.billing, public.user_notes; take that right away unless statements of your own change them by a function or a view",
	), "REVOKE INSERT, UPDATE, DELETE")

	server.Exec(t, b.db, `REVOKE ALL ON hr.salaries, billing, user_notes FROM purger_wide;
REVOKE CREATE ON SCHEMA hr FROM purger_wide; ALTER ROLE purger_wide NOCREATEROLE`)
	findings := wantFindings(t, target)
	wantNoFinding(t, findings, "no purge needs")
	wantNoFinding(t, findings, "does not purge")
}
