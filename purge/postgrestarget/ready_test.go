package postgrestarget_test

import (
	"os"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// The statements that the documented file offers to be copied take what depends on a
// user with it, count users alone, and touch no other tenant's (G4).
func TestReady_G4_StatementsWithADependentTableDoWhatTheyAreSaidTo(t *testing.T) {
	text, err := os.ReadFile("../../deploy/targets/postgres.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Targets []struct {
			Kinds map[store.Kind]struct{ Count, Delete string }
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	said := doc.Targets[0].Kinds[store.KindUser]
	if said.Count == "" || said.Delete == "" {
		t.Fatalf("it has no statements for users: %+v", doc)
	}
	b := setUp{sql: `
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text);
CREATE TABLE sessions (user_id bigint NOT NULL REFERENCES users);
`, config: func(c *postgrestarget.Config) {
		c.Kinds = map[store.Kind]postgrestarget.Kind{store.KindUser: {Count: said.Count, Delete: said.Delete}}
	}}.make(t)
	b.add(t, "acme", store.KindUser, 5)
	b.add(t, "other", store.KindUser, 2)
	b.server.Exec(t, b.db, "INSERT INTO sessions SELECT id FROM users, generate_series(1, 3)")
	b.wantStep(t, users("acme", 3), 3, true)
	if n, err := b.Count(t.Context(), "acme", store.KindUser); err != nil || n != 2 {
		t.Errorf("%d are left, %v; want 2", n, err)
	}
	b.wantStep(t, users("acme", all), 2, false)
	if n := b.left(t, "other", store.KindUser); n != 2 {
		t.Errorf("%d users of another tenant, want 2", n)
	}
	if n := b.server.Int(t, b.db, "SELECT count(*) FROM sessions"); n != 6 {
		t.Errorf("%d sessions, want the 6 of another tenant", n)
	}
}
