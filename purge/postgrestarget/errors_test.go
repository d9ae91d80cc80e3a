package postgrestarget_test

import (
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// TestErrors_ShowNoValueOfARow: PostgreSQL quotes one that a cast does not take.
func TestErrors_ShowNoValueOfARow(t *testing.T) {
	b := setUp{config: func(c *postgrestarget.Config) {
		c.Kinds[store.KindUser] = postgrestarget.Kind{Count: "SELECT count(*) FROM users WHERE tenant_id = $1 AND name::int > 0", Delete: "DELETE FROM users WHERE tenant_id = $1 AND name::int > 0"}
	}}.make(t)
	for _, name := range []string{"alice@example.com", "4155550100415555"} {
		b.server.Exec(t, b.db, "TRUNCATE users")
		b.server.Exec(t, b.db, "INSERT INTO users (tenant_id, name) VALUES ('acme', $1)", name)
		_, countErr := b.Count(t.Context(), "acme", store.KindUser)
		_, purgeErr := b.Purge(t.Context(), users("acme", all))
		for _, err := range []error{countErr, purgeErr} {
			if err == nil || strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "for type integer") {
				t.Errorf("error %v; want what PostgreSQL said without the value", err)
			}
		}
	}
}

// What code of the application says may hold anything, whatever SQLSTATE, names and
// details it gives it.
func TestErrors_ShowNothingThatTheApplicationWorded(t *testing.T) {
	const secret = "alice.liddell@example.com"
	for name, raise := range map[string]string{
		"plain":        "RAISE EXCEPTION 'user % is the last owner', OLD.name",
		"other code":   "RAISE EXCEPTION 'user % is the last owner', OLD.name USING ERRCODE = '23503'",
		"own code":     "RAISE EXCEPTION 'user % is the last owner', OLD.name USING ERRCODE = 'ACME1'",
		"names":        "RAISE EXCEPTION 'no' USING CONSTRAINT = OLD.name, TABLE = OLD.name, COLUMN = OLD.name, DETAIL = OLD.name, HINT = OLD.name",
		"an assertion": "ASSERT false, OLD.name",
		"dynamic SQL":  "EXECUTE format('DO $x$ BEGIN RAISE EXCEPTION %L; END $x$', OLD.name)",
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp{}.make(t)
			b.server.Exec(t, b.db, `CREATE FUNCTION last_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+raise+`; RETURN OLD; END $$;
CREATE TRIGGER no BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION last_owner()`)
			b.server.Exec(t, b.db, "INSERT INTO users (tenant_id, name) VALUES ('acme', $1)", secret)
			_, err := b.Purge(t.Context(), users("acme", all))
			if err == nil || strings.Contains(err.Error(), "alice") || !strings.Contains(err.Error(), "SQLSTATE") || !strings.Contains(err.Error(), "server's log") {
				t.Errorf("%v; want an error without the text, and where it is", err)
			}
			if name != "dynamic SQL" && err != nil && !strings.Contains(err.Error(), " last_owner() ") {
				t.Errorf("%v; want the function that raised it", err)
			}
		})
	}
}
