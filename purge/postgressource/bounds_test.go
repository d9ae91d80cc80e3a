package postgressource_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// TestTenants_AServerThatFallsSilentEndsASnapshot stops the server's process in the
// midst of a snapshot, where no time-out of the server's own can end it.
func TestTenants_AServerThatFallsSilentEndsASnapshot(t *testing.T) {
	d := newDatabase(t, schema)
	d.exec("INSERT INTO tenants (id) SELECT 't' || g FROM generate_series(1, 100) g")
	s := d.source(func(c *postgressource.Config) { c.Fetch, c.SnapshotTimeout, c.Timeout = 10, time.Second, time.Second })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, pid := 0, 0
	defer func() {
		if pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}()
	err := s.Tenants(ctx, func(purge.SourceRow) error {
		if n++; n == 10 {
			pid = int(shared.Int(t, d.name, "SELECT pid FROM pg_stat_activity WHERE application_name = 'purger' AND datname = current_database()"))
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	})
	wantUnavailable(t, "a snapshot of a server that says nothing", err)
	if n != 10 || ctx.Err() != nil {
		t.Errorf("after %d rows, %v; want it to end by its own time-outs of 1 s", n, err)
	}
}

// TestSource_G2_AStandbyConfirmsNothing has connections from before the server became
// a standby, as those to a pooler are, and new ones.
func TestSource_G2_AStandbyConfirmsNothing(t *testing.T) {
	d := newDatabase(t, "SELECT 1")
	const tenants = `SELECT id, 'active' AS status FROM (VALUES ('a')) v (id)`
	server := pgtest.Start(t)
	if err := server.Demote(); err != nil {
		t.Fatal(err)
	}
	of := func(change ...func(*postgressource.Config)) *postgressource.Source {
		return d.source(append([]func(*postgressource.Config){query(tenants), func(c *postgressource.Config) { c.DSN = server.DSN("postgres") }}, change...)...)
	}
	refused := func(what string, err error) {
		t.Helper()
		if store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), "is a standby") {
			t.Errorf("%s: %v (%s); want that it is a standby", what, err, store.CodeOf(err))
		}
	}
	s := of()
	_, err := s.Tenant(t.Context(), "a")
	refused("a look-up", err)
	_, err = snapshot(s)
	refused("a snapshot", err)
	refused("a check", s.Check(t.Context()))
	// What is behind a connection may become a standby: the DSN lets any server in.
	s = of(func(c *postgressource.Config) { c.DSN += "&target_session_attrs=prefer-standby" })
	_, err = s.Tenant(t.Context(), "a")
	refused("a look-up by a connection that was let in", err)
	refused("those below", s.Children(t.Context(), []string{"a"}, func(purge.SourceRow) error { return nil }))
	_, err = snapshot(s)
	refused("a snapshot by a connection that was let in", err)

	s = of(func(c *postgressource.Config) { c.Standby = postgressource.StandbyAllowed })
	if v, err := s.Tenant(t.Context(), "a"); err != nil || v.Status != store.StatusActive {
		t.Errorf("a look-up where a standby is allowed: %+v, %v", v, err)
	}
	if rows, err := snapshot(s); err != nil || len(rows) != 1 {
		t.Errorf("a snapshot where a standby is allowed: %v, %v", rows, err)
	}
}

// TestNew_StandbyIsAWordOfItsOwn refuses what may be meant for either.
func TestNew_StandbyIsAWordOfItsOwn(t *testing.T) {
	_, err := postgressource.New(postgressource.Config{DSN: "host=localhost", Query: "TABLE t", Standby: "true"}, postgressource.Options{})
	if store.CodeOf(err) != store.Invalid || !strings.Contains(err.Error(), "standby") {
		t.Error(err)
	}
}
