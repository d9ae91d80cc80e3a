package postgrestarget_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

const ownCountSQL = `
CREATE TABLE users (tenant_id text, role text);
CREATE TABLE users_archive (tenant_id text);
CREATE TABLE api_keys (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text);
CREATE INDEX ON api_keys (tenant_id, id);
`

// counting returns users with a count of the operator's own, and API keys in a table.
func counting(t *testing.T, count string) *bench {
	t.Helper()
	return setUp{sql: ownCountSQL, config: func(c *postgrestarget.Config) {
		c.Kinds = map[store.Kind]postgrestarget.Kind{
			store.KindUser:   {Count: count, Delete: "DELETE FROM users WHERE tenant_id = $1"},
			store.KindAPIKey: {Table: "api_keys", Tenant: "tenant_id"},
		}
	}}.make(t)
}

// Only one number is an answer: that of a first row may be 0 while others are not.
func TestCount_G6_OfTheOperatorsOwnIsOneNumber(t *testing.T) {
	for name, c := range map[string]struct{ count, text string }{
		"several rows": {"SELECT count(*) FROM users WHERE tenant_id = $1 UNION ALL SELECT count(*) FROM users_archive WHERE tenant_id = $1", "returned 2 rows"},
		"no row":       {"SELECT count(*) FROM users WHERE tenant_id = $1 GROUP BY role", "returned 0 rows"},
		"NULL":         {"SELECT sum(1) FROM users_archive a JOIN users u USING (tenant_id) WHERE tenant_id = $1 AND role = 'none'", "returned NULL"},
		"negative":     {"SELECT count(*) - 1000 FROM users WHERE tenant_id = $1", "returned -1000"},
	} {
		t.Run(name, func(t *testing.T) {
			b := counting(t, c.count)
			b.server.Exec(t, b.db, "INSERT INTO users_archive SELECT 'acme' FROM generate_series(1, 7)")
			n, err := b.Count(t.Context(), "acme", store.KindUser)
			if wantCode(t, err, store.Precondition); n != 0 || err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Count = %d, %v; want an error with %q", n, err, c.text)
			}
			b.wantRefusal(t, users("acme", all), store.Precondition)
			if err := b.Check(t.Context()); err == nil {
				t.Error("Check finds nothing wrong")
			}
			if findings, err := b.Diagnose(t.Context()); err != nil || !strings.HasPrefix(told(findings)[0], "error user: count") {
				t.Errorf("Diagnose: %q, %v; want an error about the count", told(findings), err)
			}
		})
	}
}

func TestCount_G11_WhatIsNoNumberIsOneTenantsAlone(t *testing.T) {
	b := counting(t, `SELECT CASE WHEN $1::text = 'bad' THEN NULL WHEN $1 = 'worse' THEN 1 / (SELECT count(*) FROM users_archive) ELSE
  (SELECT count(*) FROM users WHERE tenant_id = $1) END`)
	b.server.Exec(t, b.db, "INSERT INTO users SELECT 'good' FROM generate_series(1, 3)")
	b.server.Exec(t, b.db, "INSERT INTO api_keys (tenant_id) SELECT 'good' FROM generate_series(1, 5)")
	// While one count waits for a lock, the others gather.
	b.holding(t, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE", func(commit func()) {
		var wg sync.WaitGroup
		ask := func(id string, kind store.Kind, want int64, fails bool) {
			wg.Go(func() {
				if n, err := b.Count(t.Context(), id, kind); n != want || (err != nil) != fails {
					t.Errorf("Count(%s, %s) = %d, %v; want %d", id, kind, n, err, want)
				}
			})
		}
		ask("first", store.KindUser, 0, false)
		b.waiting(t, 1)
		for i := range 3 {
			ask("bad", store.KindUser, 0, true)
			ask("worse", store.KindUser, 0, true)
			ask("good", store.KindUser, 3, false)
			ask("good", store.KindAPIKey, 5, false)
			ask(fmt.Sprint("none", i), store.KindUser, 0, false)
		}
		commit()
		wg.Wait()
	})
}
