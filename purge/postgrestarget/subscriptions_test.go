package postgrestarget_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

const billingSQL = `
CREATE TABLE subscriptions (tenant text NOT NULL, ended timestamptz, plan text);
INSERT INTO subscriptions VALUES ('acme', NULL, 'pro'), ('acme', NULL, 'seats'), ('acme', now(), 'old'),
  ('globex', now(), 'pro'), ('o''brien; DROP TABLE subscriptions; --', NULL, 'pro'), ('ACME', NULL, 'pro');
CREATE TABLE plans (account uuid, seat bigint, n int);
INSERT INTO plans VALUES ('0198c1a2-0000-7000-8000-00000000000a', 42, 3);
`

const activeSQL = "SELECT count(*) FROM subscriptions WHERE tenant = $1 AND ended IS NULL"

// billing returns a target that holds nothing and answers with a statement.
func billing(t *testing.T, sql string, change ...func(*setUp)) *bench {
	t.Helper()
	u := setUp{sql: billingSQL, noLedger: true, config: func(c *postgrestarget.Config) {
		c.Kinds, c.Subscriptions, c.StatementTimeout = nil, sql, 500*time.Millisecond
	}}
	for _, c := range change {
		c(&u)
	}
	return u.make(t)
}

func TestActiveSubscriptions_G4_CountsTheTenantsOwn(t *testing.T) {
	const account = "0198c1a2-0000-7000-8000-00000000000a"
	for sql, want := range map[string]map[string]int64{
		activeSQL: {
			"acme": 2, "globex": 0, "nobody": 0, "ACME": 1, "%": 0,
			"o'brien; DROP TABLE subscriptions; --": 1,
		},
		"SELECT coalesce(sum(n), 0)::int FROM plans WHERE account = $1": {account: 3, "0198c1a2-0000-7000-8000-00000000000b": 0},
		"SELECT coalesce(max(n), 0) FROM plans WHERE seat = $1":         {"42": 3, "43": 0},
		"SELECT count(*)::int2 FROM plans WHERE seat::text = $1::text":  {"42": 1, "042": 0},
	} {
		b := billing(t, sql)
		for tenant, n := range want {
			if got, err := b.ActiveSubscriptions(t.Context(), tenant); err != nil || got != n {
				t.Errorf("%s, of %q: %d, %v; want %d", sql, tenant, got, err, n)
			}
		}
		if err := b.Check(t.Context()); err != nil {
			t.Errorf("%s: Check: %v", sql, err)
		}
		if found, err := b.Diagnose(t.Context()); err != nil || len(found) == 0 || strings.HasPrefix(told(found)[0], "error") {
			t.Errorf("%s: Diagnose: %q, %v", sql, told(found), err)
		}
		if !b.CountsSubscriptions() || len(b.Kinds()) != 0 {
			t.Errorf("it holds %v", b.Kinds())
		}
	}
	for id, sql := range map[string]string{
		strings.ToUpper(account): "SELECT count(*) FROM plans WHERE account = $1", "042": "SELECT count(*) FROM plans WHERE seat = $1",
	} {
		if n, err := billing(t, sql).ActiveSubscriptions(t.Context(), id); store.CodeOf(err) != store.Invalid {
			t.Errorf("%q, another spelling of an id: %d, %v; want it refused", id, n, err)
		}
	}
}

// Whoever cannot be asked about may have some.
func TestActiveSubscriptions_AnIDThatDoesNotFitIsAnError(t *testing.T) {
	for sql, c := range map[string]struct{ id, text string }{
		"SELECT count(*) FROM plans WHERE account = $1":      {"acme", "of type uuid"},
		"SELECT count(*) FROM plans WHERE seat = $1":         {"acme", "as in $1::text"},
		"SELECT count(*) FROM plans WHERE seat = $1::bigint": {"9223372036854775808", "of type int8"},
		"SELECT count(*) FROM plans WHERE n = $1":            {"-2147483649", "of type int4"},
		activeSQL: {"a\x00b", "not a text"},
		"SELECT count(*) FROM subscriptions WHERE tenant = $1 AND plan > ''": {"a\xffb", "not a text"},
	} {
		n, err := billing(t, sql).ActiveSubscriptions(t.Context(), c.id)
		if wantCode(t, err, store.Precondition); err == nil || !strings.Contains(err.Error(), c.text) || purge.IsPermanent(err) {
			t.Errorf("%s, of %q: %d, %v; want an error with %q", sql, c.id, n, err, c.text)
		}
	}
}

// Absence is never consent.
func TestActiveSubscriptions_WhatIsNoNumberIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		sql   string
		want  store.Code
		text  string
		check bool // a check finds it, too, though it asks about nobody
	}{
		"no row":          {"SELECT 1 FROM subscriptions WHERE tenant = $1 AND plan = 'none'", store.Precondition, "returned 0 rows", true},
		"two rows":        {"SELECT 0 FROM subscriptions WHERE tenant = $1 AND ended IS NULL", store.Precondition, "returned 2 rows", true},
		"NULL":            {"SELECT sum(seat)::int FROM plans WHERE account::text = $1", store.Precondition, "returned NULL", true},
		"negative":        {"SELECT -1 WHERE $1::text <> ''", store.Precondition, "returned -1", true},
		"a text":          {"SELECT 'none' || $1", store.Invalid, "a number", true},
		"a boolean":       {"SELECT EXISTS (SELECT FROM subscriptions WHERE tenant = $1)", store.Invalid, "a number", true},
		"a numeric":       {"SELECT sum(1.0) FROM subscriptions WHERE tenant = $1", store.Invalid, "a number", true},
		"two columns":     {"SELECT count(*), 0 FROM subscriptions WHERE tenant = $1", store.Invalid, "one column", true},
		"no column":       {"DELETE FROM subscriptions WHERE tenant = $1", store.Invalid, "one column", true},
		"no such table":   {"SELECT count(*) FROM nowhere WHERE tenant = $1", store.Precondition, "nowhere", true},
		"$1 in a literal": {"SELECT count(*) FROM subscriptions WHERE tenant = '$1'", store.Invalid, "no $1", true},
		"an odd type":     {"SELECT count(*) FROM subscriptions WHERE ended = $1", store.Invalid, "a type that no tenant's id has", true},
		"a write": {"WITH gone AS (DELETE FROM subscriptions WHERE tenant = $1 RETURNING 1) SELECT count(*) FROM gone",
			store.Unavailable, "read-only", true},
		"an error": {"SELECT 1 / (count(*) - 2) FROM subscriptions WHERE tenant = $1 AND ended IS NULL", store.Precondition, "division by zero", false},
		"too slow": {"SELECT count(pg_sleep(5)) FROM plans WHERE 'acme' = $1::text", store.Unavailable, "statement timeout", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := billing(t, c.sql)
			n, err := b.ActiveSubscriptions(t.Context(), "acme")
			if store.CodeOf(err) != c.want || n != 0 || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%d, %v; want the code %s and %q", n, err, c.want, c.text)
			}
			if err := b.Check(t.Context()); (err != nil) != c.check {
				t.Errorf("Check: %v", err)
			}
			if left := b.server.Int(t, b.db, "SELECT count(*) FROM subscriptions"); left != 6 {
				t.Errorf("%d rows are left of 6", left)
			}
		})
	}
}

func TestActiveSubscriptions_RowsThatAPolicyHidesAreNotNone(t *testing.T) {
	b := billing(t, activeSQL)
	b.server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_blind; CREATE ROLE purger_blind LOGIN")
	b.server.Exec(t, b.db, `GRANT SELECT ON subscriptions TO purger_blind;
ALTER TABLE subscriptions ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON subscriptions USING (plan = 'none')`)
	blind := b.again(t, setUp{config: func(c *postgrestarget.Config) { c.Kinds, c.Subscriptions = nil, activeSQL }}, b.server.DSNAs("purger_blind", b.db))
	for what, err := range map[string]error{"count": second(blind.ActiveSubscriptions(t.Context(), "acme")), "check": blind.Check(t.Context())} {
		if store.CodeOf(err) != store.Forbidden || !strings.Contains(err.Error(), "BYPASSRLS") {
			t.Errorf("%s: %v; want an error that tells of BYPASSRLS", what, err)
		}
	}
	b.server.Exec(t, b.db, "DROP OWNED BY purger_blind")
}

func TestActiveSubscriptions_AStatementThatIsWrongLeavesTheKinds_G11(t *testing.T) {
	b := setUp{config: func(c *postgrestarget.Config) { c.Subscriptions = activeSQL }}.make(t)
	b.add(t, "acme", store.KindUser, 1)
	wantCode(t, second(b.ActiveSubscriptions(t.Context(), "acme")), store.Precondition)
	b.wantStep(t, users("acme", all), 1, false)
	b.server.Exec(t, b.db, billingSQL) // it is noticed at once
	if n, err := b.ActiveSubscriptions(t.Context(), "acme"); err != nil || n != 2 {
		t.Errorf("once the table is there: %d, %v", n, err)
	}
	b.server.Exec(t, b.db, "DROP TABLE subscriptions")
	wantCode(t, second(b.ActiveSubscriptions(t.Context(), "acme")), store.Precondition)
}

func TestActiveSubscriptions_ADatabaseThatDoesNotAnswerIsUnavailable(t *testing.T) {
	proxy := pgtest.NewProxy(t, pg(t).Addr())
	b := billing(t, activeSQL, func(u *setUp) { u.through = proxy })
	if n, err := b.ActiveSubscriptions(t.Context(), "acme"); err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	proxy.CutAll()
	wantCode(t, second(b.ActiveSubscriptions(t.Context(), "acme")), store.Unavailable)
	if n, err := b.ActiveSubscriptions(t.Context(), "acme"); err != nil || n != 2 {
		t.Errorf("back again: %d, %v", n, err)
	}
	proxy.Down()
	wantCode(t, second(b.ActiveSubscriptions(t.Context(), "acme")), store.Unavailable)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ActiveSubscriptions(t.Context(), "acme"); store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "target app is closed") {
		t.Errorf("closed: %v", err)
	}
}

func TestEngine_NobodyWhoPaysAccordingToTheDatabaseIsPurged(t *testing.T) {
	ctx := context.Background()
	b := billing(t, activeSQL)
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: t.TempDir(), MmapSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now().Add(-31 * 24 * time.Hour)}
	for _, id := range []string{"acme", "globex"} {
		if _, err := s.Create(ctx, store.Tenant{ID: id}, o); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(ctx, id, store.Update{Origin: o, Change: store.Deactivate(30, store.DefaultGrace(), nil)}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := purge.Guarded(b.Target, purge.DefaultPolicy(), purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := purge.DefaultSettings()
	set.Limits = store.Limits{}
	e, err := purge.New(purge.Options{Store: s, Targets: []purge.Target{g}, Settings: set})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		acme    purge.Outcome
		deleted int64
	}{{purge.OutcomeBlocked, 1}, {purge.OutcomeDeleted, 1}} {
		r, err := e.Run(ctx, purge.TriggerRun)
		if err != nil || r.Totals.Deleted != c.deleted || len(r.Tenants) == 0 || r.Tenants[0].ID != "acme" || r.Tenants[0].Outcome != c.acme {
			t.Fatalf("%+v, %v; want acme %s", r, err, c.acme)
		}
		b.server.Exec(t, b.db, "UPDATE subscriptions SET ended = now()")
	}
}
