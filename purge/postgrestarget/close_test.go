package postgrestarget_test

import (
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// A shutdown does not wait for a deletion that takes minutes, and leaves none behind in
// the server, with its locks.
func TestClose_CancelsWhatIsUnderWay(t *testing.T) {
	b := setUp{config: func(c *postgrestarget.Config) { c.StatementTimeout = 9 * time.Minute }}.make(t)
	b.server.Exec(t, b.db, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(200); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION slow()`)
	b.add(t, "acme", store.KindUser, 3)
	ended := make(chan error, 1)
	go func() {
		_, err := b.Purge(t.Context(), users("acme", all))
		ended <- err
	}()
	const asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
	b.await(t, "the deletion", asleep)
	began := time.Now()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Close took %s", took)
	}
	wantCode(t, <-ended, store.Unavailable)
	if n := b.server.Int(t, b.db, asleep); n != 0 {
		t.Error("the server goes on with the deletion")
	}
	if n := b.left(t, "acme", store.KindUser); n != 3 {
		t.Errorf("%d users are left of 3", n)
	}
}
