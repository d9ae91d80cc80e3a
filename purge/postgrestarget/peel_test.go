package postgrestarget_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// peeled returns a bench whose users refer to users by the given columns.
func peeled(t *testing.T, how, sql string) *bench {
	return setUp{sql: `
CREATE TABLE users (id bigint PRIMARY KEY, tenant_id text NOT NULL, manager_id bigint REFERENCES users ` + how + `, mentor_id bigint` + `);
CREATE INDEX ON users (tenant_id, id); CREATE INDEX ON users (manager_id);
INSERT INTO users (id, tenant_id, manager_id) VALUES (1000000, 'beta', NULL), (1000001, 'beta', 1000000);` + sql,
		config: byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant_id"}})}.make(t)
}

func TestSelfReference_G11_ATenantBeyondABatchGoes(t *testing.T) {
	const tree = "INSERT INTO users (id, tenant_id, manager_id) SELECT g, 'acme', CASE WHEN g > 1 THEN g / 4 + 1 END FROM generate_series(1, 1000) g;"
	for name, c := range map[string]struct {
		how, sql string
		rows     int64
		steps    int // at the most
	}{
		"all have one manager":    {"", "INSERT INTO users (id, tenant_id, manager_id) SELECT g, 'acme', CASE WHEN g > 1 THEN 1 END FROM generate_series(1, 1001) g;", 1001, 13},
		"a tree":                  {"", tree, 1000, 20},
		"a tree, RESTRICT":        {"ON DELETE RESTRICT", tree, 1000, 20},
		"a tree, deferred":        {"DEFERRABLE INITIALLY DEFERRED", tree, 1000, 20},
		"a chain":                 {"", "INSERT INTO users (id, tenant_id, manager_id) SELECT g, 'acme', nullif(g - 1, 0) FROM generate_series(1, 1000) g;", 1000, 13},
		"each is its own manager": {"", "INSERT INTO users (id, tenant_id, manager_id) SELECT g, 'acme', g FROM generate_series(1, 1000) g;", 1000, 13},
		"pairs that refer to each other": {"DEFERRABLE INITIALLY DEFERRED",
			"INSERT INTO users (id, tenant_id, manager_id) SELECT g, 'acme', CASE WHEN g > 900 THEN 1 + (g - 901) / 2 * 2 + (g % 2) END FROM generate_series(1, 1000) g;" +
				"UPDATE users SET manager_id = id + CASE WHEN id % 2 = 1 THEN 1 ELSE -1 END WHERE id <= 40", 1000, 16},
		"two keys": {"", "ALTER TABLE users ADD FOREIGN KEY (mentor_id) REFERENCES users;" +
			"INSERT INTO users (id, tenant_id, manager_id, mentor_id) SELECT g, 'acme', CASE WHEN g > 1 THEN g / 4 + 1 END, CASE WHEN g > 2 THEN g / 7 + 1 END FROM generate_series(1, 1000) g;", 1000, 25},
	} {
		t.Run(name, func(t *testing.T) {
			b := peeled(t, c.how, c.sql)
			var gone int64
			steps := 0
			for more := true; more; steps++ {
				did, err := b.Purge(t.Context(), users("acme", 100))
				if err != nil || steps > 100 {
					t.Fatalf("step %d: %v, with %d rows left", steps, err, b.left(t, "acme", store.KindUser))
				}
				gone, more = gone+did.Deleted, did.More
			}
			if left := b.left(t, "acme", store.KindUser); left != 0 || gone != c.rows || steps > c.steps {
				t.Errorf("%d rows were told to be gone in %d steps, and %d are left; want %d in %d at the most", gone, steps, left, c.rows, c.steps)
			}
			if n := b.left(t, "beta", store.KindUser); n != 2 {
				t.Errorf("beta has %d users of 2", n)
			}
		})
	}
}

// What no step can remove is told with its reason.
func TestSelfReference_ACircleBeyondABatchIsNamed(t *testing.T) {
	b := peeled(t, "DEFERRABLE INITIALLY DEFERRED", "INSERT INTO users (id, tenant_id, manager_id) SELECT g, 'acme', g % 150 + 1 FROM generate_series(1, 150) g;")
	did, err := b.Purge(t.Context(), users("acme", 100))
	if wantCode(t, err, store.Precondition); err == nil || !strings.Contains(err.Error(), "users_manager_id_fkey") || !strings.Contains(err.Error(), "limits.batch") {
		t.Errorf("%v; want an error that names the key and what to do", err)
	}
	if did != (purge.Removed{}) { // COMMIT was refused
		t.Errorf("%+v; want that nothing was removed", did)
	}
	if did, err := b.Purge(t.Context(), users("acme", 150)); err != nil || did.Deleted != 150 {
		t.Errorf("with room for all: %+v, %v", did, err)
	}
}

func TestDiagnose_NamesAReferenceToTheTableItself(t *testing.T) {
	b := peeled(t, "", "")
	wantFindings(t, b.Target, fmt.Sprintf("info public.users: the foreign key %q refers to the table itself: of a tenant with more rows than limits.batch those go first that none refers to; rows that refer to each other in a circle have to go in one step", "users_manager_id_fkey"))
}
