package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestNotify_LeadsToASyncBeforeTheSchedule has a daemon that reads the source once an
// hour. Whatever the platform notifies it of is known to it within moments, also once
// the database was away.
func TestNotify_LeadsToASyncBeforeTheSchedule(t *testing.T) {
	w := newWorld(t)
	cfg := read(t, w.config)
	hourly := strings.Replace(cfg, "every: 1h\n", "every: 1h\n  channel: tenants_changed\n", 1)
	if hourly == cfg {
		t.Fatal("the configuration does not read the source once an hour")
	}
	if err := os.WriteFile(w.config, []byte(hourly), 0o600); err != nil {
		t.Fatal(err)
	}
	// As deploy/sources/postgres.yaml has it.
	w.pg.Exec(t, w.db, `CREATE FUNCTION tenants_changed() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN NOTIFY tenants_changed; RETURN NULL; END $$;
		CREATE TRIGGER tenants_changed AFTER INSERT OR UPDATE OR DELETE ON tenants
		FOR EACH STATEMENT EXECUTE FUNCTION tenants_changed()`)
	w.serve()
	w.heard(t, "first")
	if err := w.pg.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.pg.Start(); err != nil {
		t.Fatal(err)
	}
	w.heard(t, "later")
}

// heard adds tenants, one by one, each once the one before is known, and then disables
// one. There is a sync at a start, and one when the daemon begins to listen: the others
// are notified.
func (w *world) heard(t *testing.T, name string) {
	t.Helper()
	w.eventually("the daemon listens", func() error {
		if w.pg.Int(t, w.db, `SELECT count(*) FROM pg_stat_activity WHERE usename = 'purger' AND query LIKE 'LISTEN %'`) == 0 {
			return errors.New("nobody listens")
		}
		return nil
	})
	id := ""
	for i := range 3 {
		id = fmt.Sprintf("%s-%d", name, i)
		w.pg.Exec(t, w.db, `INSERT INTO tenants (id, name) VALUES ($1, $1)`, id)
		w.eventually(id+" is known", func() error {
			_, err := w.purger("tenant", "get", id)
			return err
		})
	}
	w.pg.Exec(t, w.db, `UPDATE tenants SET status = 'disabled', disabled_at = now(), purge_after_days = 30 WHERE id = $1`, id)
	w.eventually(id+" is disabled", func() error {
		out, err := w.purger("tenant", "get", id, "-o", "json")
		if err == nil && !strings.Contains(out, `"status": "disabled"`) {
			err = errors.New(out)
		}
		return err
	})
}
