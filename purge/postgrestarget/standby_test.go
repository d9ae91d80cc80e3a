package postgrestarget_test

import (
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

func TestTarget_G6_StandbyIsNotAsked(t *testing.T) {
	b := setUp{server: pgtest.Start(t)}.make(t)
	if err := b.server.Demote(); err != nil {
		t.Fatal(err)
	}
	b.Target = b.again(t, setUp{}, b.server.DSN(b.db))
	if n, err := b.Count(t.Context(), "acme", store.KindUser); err == nil {
		t.Errorf("Count = %d of a standby, which may be behind; want an error", n)
	}
	b.wantRefusal(t, users("acme", all), store.Unavailable)
}

// TestTarget_G6_StandbyBehindAConnectionIsNotAsked: what is behind a connection may
// become a standby, with a pooler before it, and the DSN may let any server in.
func TestTarget_G6_StandbyBehindAConnectionIsNotAsked(t *testing.T) {
	server := pgtest.Start(t)
	pooler := pgtest.NewPooler(t, server.Addr(), "transaction")
	config := func(c *postgrestarget.Config) {
		c.Kinds[store.KindAPIKey] = postgrestarget.Kind{Count: "SELECT count(*) FROM api_keys WHERE tenant_id = $1", Delete: "DELETE FROM api_keys WHERE tenant_id = $1"}
		c.Subscriptions = "SELECT count(*) FROM users WHERE tenant_id = $1"
	}
	pooled := setUp{server: server, through: pooler, config: config}.make(t)
	ask := func(target *postgrestarget.Target) map[string]error {
		answers := map[string]error{}
		for _, kind := range target.Kinds() {
			_, answers["Count "+string(kind)] = target.Count(t.Context(), "acme", kind)
		}
		_, answers["ActiveSubscriptions"] = target.ActiveSubscriptions(t.Context(), "acme")
		_, answers["Account"] = target.Account(t.Context(), "purge-of-acme")
		return answers
	}
	for what, err := range ask(pooled.Target) {
		if err != nil {
			t.Fatalf("%s of a primary: %v", what, err)
		}
	}
	if err := server.Demote(); err != nil {
		t.Fatal(err)
	}
	letIn := pooled.again(t, setUp{config: config}, server.DSN(pooled.db)+"&target_session_attrs=prefer-standby")
	for how, target := range map[string]*postgrestarget.Target{"pooler": pooled.Target, "target_session_attrs": letIn} {
		for what, err := range ask(target) {
			if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "is a standby") {
				t.Errorf("%s: %s: %v (%s); want that it is a standby", how, what, err, store.CodeOf(err))
			}
		}
		if did, err := target.Purge(t.Context(), users("acme", all)); store.CodeOf(err) != store.Unavailable {
			t.Errorf("%s: Purge = %+v, %v; want it refused", how, did, err)
		}
	}
}
