package postgrestarget_test

import (
	"testing"

	"github.com/tenantpurge/purger/store"
)

func TestDiagnose_NamesWhatMayKeepRows(t *testing.T) {
	b := setUp{}.make(t)
	b.server.Exec(t, b.db, `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER keep BEFORE INSERT OR DELETE ON credentials FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER after AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER updates BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER statement BEFORE DELETE ON users FOR EACH STATEMENT EXECUTE FUNCTION keep();
CREATE TRIGGER off BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep(); ALTER TABLE users DISABLE TRIGGER off;
CREATE RULE hide AS ON DELETE TO api_keys DO INSTEAD NOTHING;
CREATE RULE note AS ON DELETE TO oauth_clients DO ALSO SELECT 1;`)
	const begins = "is called before each DELETE: a row that it keeps keeps the tenant from being purged"
	findings := wantFindings(t, b.Target,
		`warning user "public"."users": the trigger keep `+begins+", and without an index on the tenant column and the key it may hold up the rows behind it",
		`info credential "public"."credentials": the trigger keep `+begins,
		`warning apiKey "public"."api_keys": the rule hide does something instead of a DELETE: no row goes, and no purge comes to an end`,
	)
	for _, not := range []string{"trigger after", "trigger updates", "trigger statement", "trigger off", "rule note"} {
		wantNoFinding(t, findings, not)
	}
}

// A ledger that a crash empties keeps no account.
func TestLedger_G5_IsNotOneThatACrashEmpties(t *testing.T) {
	b := setUp{}.make(t)
	b.server.Exec(t, b.db, "ALTER TABLE purger_ledger SET UNLOGGED")
	keeps, err := b.KeepsAccount(t.Context())
	if keeps {
		t.Error("an unlogged table is taken for the ledger")
	}
	wantCode(t, err, store.Precondition)
	wantCode(t, b.Init(t.Context()), store.Precondition)
	const lower = `warning "purger_ledger": "public"."purger_ledger" is no ledger while a crash of the server empties it: until then counts become a lower bound when a connection is lost at COMMIT`
	mend(t, b, wantFindings(t, b.Target, lower))
	if keeps, err := b.KeepsAccount(t.Context()); !keeps || err != nil {
		t.Errorf("after the doctor's advice: %t, %v", keeps, err)
	}
}
