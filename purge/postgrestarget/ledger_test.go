package postgrestarget_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// onAccount returns a request of a purge that is on account.
func onAccount(tenant string, limit int) purge.Request {
	return purge.Request{TenantID: tenant, PurgeID: "purge-of-" + tenant, Kind: store.KindUser, Limit: limit, OnAccount: true}
}

// wantOffAccount fails unless a removal that is to be on account is refused: the
// first time by PostgreSQL, when the ledger was not known to be gone.
func (b *bench) wantOffAccount(tb testing.TB, r purge.Request, text string) {
	tb.Helper()
	if did, err := b.Purge(tb.Context(), r); err == nil || did != (purge.Removed{}) || purge.IsPermanent(err) || store.CodeOf(err) == store.Internal {
		tb.Errorf("Purge = %+v, %v; want a refusal that had no effect", did, err)
	}
	b.wantRefusal(tb, r, store.Precondition)
	if _, err := b.Purge(tb.Context(), r); err == nil || !strings.Contains(err.Error(), text) {
		tb.Errorf("error %v; want it to say %q", err, text)
	}
}

// TestPurge_G5_NothingGoesOffAccount takes the ledger away in the midst of a
// purge, and gives it back.
func TestPurge_G5_NothingGoesOffAccount(t *testing.T) {
	const rename, back = "ALTER TABLE purger_ledger RENAME TO was", "ALTER TABLE was RENAME TO purger_ledger"
	for name, c := range map[string]struct {
		config           func(*postgrestarget.Config)
		first            int // step, with the ledger
		away, back, text string
	}{
		"Group":   {nil, 0, rename, back, `"purger target init app"`},
		"Walk":    {nil, 4, rename, back, `"purger target init app"`},
		"Own":     {ownStatements, 4, rename, back, `"purger target init app"`},
		"Rights":  {nil, 4, "REVOKE UPDATE ON purger_ledger FROM purger_clerk", "GRANT UPDATE ON purger_ledger TO purger_clerk", `GRANT UPDATE ON "public"."purger_ledger" TO "purger_clerk"`},
		"Another": {nil, 4, rename + "; CREATE TABLE purger_ledger (purge text)", "DROP TABLE purger_ledger; " + back, `"public"."purger_ledger" is not a ledger`},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp{config: c.config}.make(t)
			b.server.Exec(t, "postgres", "DROP ROLE IF EXISTS purger_clerk; CREATE ROLE purger_clerk LOGIN")
			b.server.Exec(t, b.db, "GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO purger_clerk; GRANT SELECT, INSERT, UPDATE ON purger_ledger TO purger_clerk")
			defer b.server.Exec(t, b.db, "DROP OWNED BY purger_clerk")
			clerk := &bench{server: b.server, db: b.db}
			clerk.Target = clerk.again(t, setUp{config: c.config}, b.server.DSNAs("purger_clerk", b.db))
			b.add(t, "acme", store.KindUser, 10)
			if keeps, err := clerk.KeepsAccount(t.Context()); !keeps || err != nil {
				t.Fatalf("KeepsAccount = %t, %v", keeps, err)
			}
			if c.first > 0 {
				clerk.wantStep(t, onAccount("acme", c.first), int64(c.first), true)
			}
			b.server.Exec(t, b.db, c.away)
			clerk.wantOffAccount(t, onAccount("acme", all), c.text)
			if left := b.left(t, "acme", store.KindUser); left != int64(10-c.first) {
				t.Errorf("%d are left, want %d", left, 10-c.first)
			}
			wantCode(t, second(clerk.Account(t.Context(), "purge-of-acme")), store.Precondition)
			// What is not on account goes on.
			b.add(t, "globex", store.KindUser, 3)
			var wg sync.WaitGroup
			wg.Go(func() { clerk.wantRefusal(t, onAccount("acme", all), store.Precondition) })
			wg.Go(func() { clerk.wantStep(t, users("globex", all), 3, false) })
			wg.Wait()
			b.server.Exec(t, b.db, c.back)
			for more := true; more; { // a walk looks once more from the front
				did, err := clerk.Purge(t.Context(), onAccount("acme", all))
				if more = did.More; err != nil {
					t.Fatalf("with the ledger back: %v", err)
				}
			}
			sum, err := clerk.Account(t.Context(), "purge-of-acme")
			if left := b.left(t, "acme", store.KindUser); err != nil || sum.Of(store.KindUser) != 10 || left != 0 {
				t.Errorf("Account = %+v, %v, and %d are left; want 10, and 0", sum, err, left)
			}
		})
	}
}

// TestTarget_ATableThatIsNoLedgerIsNotWrittenTo finds a table by the name of the
// ledger.
func TestTarget_ATableThatIsNoLedgerIsNotWrittenTo(t *testing.T) {
	const columns = "target text, kind text, deleted bigint, batch uuid, batch_deleted bigint, updated_at timestamptz DEFAULT now()"
	for name, c := range map[string]struct{ sql, text string }{
		"Older":     {"CREATE TABLE purger_ledger (" + columns + ", tenant_id text, PRIMARY KEY (tenant_id, kind, target))", "it lacks purge text"},
		"Type":      {"CREATE TABLE purger_ledger (" + columns + ", purge uuid, PRIMARY KEY (purge, kind, target))", "it lacks purge text"},
		"Key":       {"CREATE TABLE purger_ledger (" + columns + ", purge text, PRIMARY KEY (purge, kind))", "it lacks the key (purge, kind, target)"},
		"Extra":     {"CREATE TABLE purger_ledger (" + columns + ", purge text, by text NOT NULL, PRIMARY KEY (purge, kind, target))", "it wants by text"},
		"View":      {"CREATE TABLE t (" + columns + ", purge text, PRIMARY KEY (purge, kind, target)); CREATE VIEW purger_ledger AS TABLE t", "it is not a table"},
		"Something": {"CREATE TABLE purger_ledger ()", "it lacks batch uuid"},
		"Fine":      {"CREATE TABLE purger_ledger (" + columns + ", purge text, note text, by text NOT NULL DEFAULT user, PRIMARY KEY (kind, target, purge))", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp{noLedger: true}.make(t)
			b.server.Exec(t, b.db, c.sql)
			b.add(t, "acme", store.KindUser, 6)
			errs := map[string]error{
				"Check": b.Check(t.Context()), "Init": b.Init(t.Context()),
				"KeepsAccount": second(b.KeepsAccount(t.Context())), "Purge": second(b.Purge(t.Context(), onAccount("acme", 2))),
			}
			for what, err := range errs {
				switch {
				case c.text == "" && err != nil:
					t.Errorf("%s: %v", what, err)
				case c.text != "" && (store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), c.text)):
					t.Errorf("%s: %v; want %q", what, err, c.text)
				}
			}
			left := b.left(t, "acme", store.KindUser)
			if c.text == "" {
				left += 2
			}
			if left != 6 {
				t.Errorf("%d are left", left)
			}
			for more := true; more; { // not on account
				did, err := b.Purge(t.Context(), users("acme", all))
				if more = did.More; err != nil {
					t.Fatal(err)
				}
			}
			if n := b.server.Int(t, b.db, "SELECT count(*) FROM purger_ledger"); (n == 0) != (c.text != "") {
				t.Errorf("%d rows in the table", n)
			}
		})
	}
}
