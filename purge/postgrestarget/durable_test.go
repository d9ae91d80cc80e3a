package postgrestarget_test

import (
	"fmt"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// What a database, a role or a server says of how long COMMIT waits is never less than
// until the rows are gone for good.
func TestPurge_G7_IsDurableWhateverTheServerSays(t *testing.T) {
	server := pgtest.Start(t, "fsync=on", "synchronous_commit=off", "wal_writer_delay=10s")
	b := setUp{server: server}.make(t)
	b.add(t, "acme", store.KindUser, 100)
	server.Exec(t, b.db, "SET synchronous_commit = on; SELECT pg_catalog.pg_current_xact_id(); CHECKPOINT")
	b.wantStep(t, users("acme", all), 100, false)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if n := b.left(t, "acme", store.KindUser); n != 0 {
		t.Errorf("after a crash of the server %d of the users that were removed are back", n)
	}
}

// In each transaction that removes it is raised where it is too low, and left alone
// where it is not.
func TestPurge_G7_SetsSynchronousCommit(t *testing.T) {
	for set, want := range map[string]string{"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply"} {
		b := setUp{sql: fmt.Sprintf(schemaSQL, "text") + `CREATE TABLE seen (value text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN OLD; END $$;
CREATE TRIGGER see BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION see();
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = ` + set + `', current_database()); END $$`}.make(t)
		b.add(t, "acme", store.KindUser, 1)
		b.wantStep(t, users("acme", all), 1, false)
		if n := b.server.Int(t, b.db, "SELECT count(*) FROM seen WHERE value = $1", want); n != 1 {
			t.Errorf("with %s a removal does not run with %s", set, want)
		}
	}
}

func TestDiagnose_TellsOfAServerThatIsNotDurable(t *testing.T) {
	for setting, want := range map[string]int{"fsync=on": 0, "wal_level=replica": 2} { // without the first pgtest turns both off
		b := setUp{server: pgtest.Start(t, setting)}.make(t)
		findings, err := b.Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, f := range findings {
			if aboutTests(f) && f.Severity == purge.SeverityWarning && f.Fix != "" {
				seen++
			}
		}
		if seen != want {
			t.Errorf("with %s: findings %+v; want %d about fsync and full_page_writes", setting, findings, want)
		}
	}
}
