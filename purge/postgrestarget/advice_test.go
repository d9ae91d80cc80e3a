package postgrestarget_test

import (
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// What a pass runs into for the set-up says where to look for the whole.
func TestTarget_ErrorsOfTheSetUpPointToTheDoctor(t *testing.T) {
	server := pg(t)
	server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_none; CREATE ROLE purger_none LOGIN")
	b := setUp{noLedger: true}.make(t)
	for name, config := range map[string]func(*postgrestarget.Config){
		"key":          byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant_id", Key: []string{"idd"}}}),
		"table":        byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "usrs", Tenant: "tenant_id"}}),
		"rights":       byTable(map[store.Kind]postgrestarget.Kind{store.KindUser: tables()[store.KindUser]}),
		"rights (own)": ownStatements,
	} {
		t.Run(name, func(t *testing.T) {
			target := b.again(t, setUp{config: config}, server.DSNAs("purger_none", b.db))
			_, err := target.Count(t.Context(), "acme", store.KindUser)
			_, removal := target.Purge(t.Context(), users("acme", all))
			for what, err := range map[string]error{"Count": err, "Purge": removal, "Check": target.Check(t.Context())} {
				if err == nil || strings.Count(err.Error(), "; for more see: purger doctor app") != 1 {
					t.Errorf("%s: %v; want it to name the doctor, once", what, err)
				}
				if code := store.CodeOf(err); code != store.Forbidden && code != store.Precondition {
					t.Errorf("%s: code %s", what, code)
				}
			}
		})
	}
	// A row that is locked is not of the set-up.
	b.add(t, "acme", store.KindUser, 1)
	b.holding(t, "SELECT FROM users FOR UPDATE", func(func()) {
		if _, err := b.Purge(t.Context(), users("acme", all)); err == nil || strings.Contains(err.Error(), "doctor") {
			t.Errorf("Purge: %v", err)
		}
	})
}
