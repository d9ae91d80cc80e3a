package postgressource_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/store"
)

func TestDiagnose_TellsWhatTheRoleLacksAndWhatTheQueryYields(t *testing.T) {
	d := newDatabase(t, schema)
	d.exec(`DROP ROLE IF EXISTS source_sick; CREATE ROLE source_sick LOGIN; CREATE TABLE "Tenants" (id text, status text)`)
	t.Cleanup(func() { d.exec("DROP OWNED BY source_sick; DROP ROLE source_sick") })
	as := func(c *postgressource.Config) { c.DSN = shared.DSNAs("source_sick", d.name) }
	look := func(q string) []purge.Finding {
		t.Helper()
		found, err := d.source(as, query(q)).Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for q, want := range map[string]purge.Finding{
		tenantsQuery: {
			Severity: purge.SeverityError, Subject: "query", Fix: `GRANT SELECT ON "tenants" TO "source_sick";`,
			Text: "the role source_sick may not run it: permission denied for table tenants (SQLSTATE 42501)",
		},
		`SELECT id, status FROM "Tenants"`: {
			Severity: purge.SeverityError, Subject: "query", Fix: `GRANT SELECT ON "Tenants" TO "source_sick";`,
			Text: "the role source_sick may not run it: permission denied for table Tenants (SQLSTATE 42501)",
		},
		"SELECT id FROM nowhere": {
			Severity: purge.SeverityError, Subject: "query", Text: `relation "nowhere" does not exist (SQLSTATE 42P01)`,
		},
		"SELECT 'a' AS id, 'active' AS state": {
			Severity: purge.SeverityError, Subject: "query",
			Text: `query: it yields a column "state"; want id, status, parent, name, host, disabled_at, purge_after_days, purge_at`,
		},
		"SELECT 'a' AS id, 'active' AS status": {
			Severity: purge.SeverityError, Subject: "query", Text: "it yields no disabled_at, without which no disabled tenant is taken over",
		},
		"SELECT 'a' AS id, 'active' AS status, now() AS disabled_at": {
			Severity: purge.SeverityInfo, Subject: "query",
			Text: "it yields neither purge_after_days nor purge_at: every disabled tenant has the default grace period",
		},
	} {
		if diff := cmp.Diff([]purge.Finding{want}, look(q)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", q, diff)
		}
	}
	for _, f := range look(tenantsQuery) {
		d.exec(f.Fix)
	}
	if found := look(tenantsQuery); len(found) > 0 {
		t.Errorf("mended: %+v", found)
	}
	found, err := d.source().Diagnose(t.Context())
	if err != nil || len(found) != 1 || found[0].Severity != purge.SeverityWarning || !strings.Contains(found[0].Text, "superuser") {
		t.Errorf("a superuser: %+v, %v", found, err)
	}
}

func TestDiagnose_NoAnswerIsAnError(t *testing.T) {
	d := newDatabase(t, schema)
	found, err := d.source(func(c *postgressource.Config) { c.DSN = shared.DSN("nowhere") }).Diagnose(t.Context())
	if store.CodeOf(err) != store.Unavailable || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}
