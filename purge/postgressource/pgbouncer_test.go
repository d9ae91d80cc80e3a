package postgressource_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

const channel = "tenants_changed"

// behind starts a PgBouncer before the shared server, and returns what has a source
// go through it and listen to the channel.
func (d *database) behind(mode string, settings ...string) func(*postgressource.Config) {
	d.t.Helper()
	pooler := pgtest.NewPooler(d.t, shared.Addr(), mode, settings...)
	d.t.Cleanup(func() {
		if d.t.Failed() {
			d.t.Log(pooler.Log())
		}
	})
	return func(c *postgressource.Config) {
		c.DSN, c.Channel = pgtest.Through(shared.DSN(d.name), pooler.Addr()), channel
	}
}

// others has two more clients take turns on the pooler until the end of the test, so
// that its two connections of the server go from one client to the next.
func (d *database) others(config func(*postgressource.Config)) {
	d.t.Helper()
	var c postgressource.Config
	config(&c)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 2 {
		conn, err := pgx.Connect(ctx, c.DSN+"&default_query_exec_mode=simple_protocol&application_name=other")
		if err != nil {
			d.t.Fatal(err)
		}
		wg.Go(func() {
			defer conn.Close(context.Background())
			tick := time.NewTicker(3 * time.Millisecond)
			defer tick.Stop()
			for {
				// An unnamed statement of its own takes the place of any other.
				if _, err := conn.PgConn().Prepare(ctx, "", fmt.Sprintf("SELECT %d, pg_sleep(0.002)", i), nil); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	d.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// TestSource_BehindPgBouncer: each answer is what it would be without, while other
// clients take the connections of the server in turn.
func TestSource_BehindPgBouncer(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			d := newDatabase(t, schema+`; SET TIME ZONE 'Asia/Tokyo'; INSERT INTO tenants (id, parent_id, disabled_at)
SELECT 't' || n, CASE WHEN n > 1 THEN 't1' END, CASE WHEN n % 3 = 0 THEN timestamptz '2026-01-05 12:00:00+02' END FROM generate_series(1, 200) n`)
			d.exec("ALTER DATABASE " + d.name + " SET timezone = 'Asia/Tokyo'; ALTER DATABASE " + d.name + " SET datestyle = 'German, DMY'")
			through := d.behind(mode)
			local := query(strings.Replace(tenantsQuery, " disabled_at,", " disabled_at::timestamp AS disabled_at,", 1)) // as the time zone has it
			direct, pooled := d.source(local), d.source(local, through, func(c *postgressource.Config) { c.Conns = 1 })
			if mode == "transaction" {
				d.others(through)
			}
			want := list(t, direct)
			if at := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC); len(want) != 200 || !want[2].Tenant.DisabledAt.Equal(at) {
				t.Fatalf("%d rows without a pooler, the third %+v", len(want), want[2])
			}
			if diff := cmp.Diff(want, list(t, pooled)); diff != "" {
				t.Errorf("a snapshot (-want +got):\n%s", diff)
			}
			ids := []string{"nobody"}
			for _, r := range want {
				ids = append(ids, r.Tenant.ID)
			}
			for range 20 {
				rows, err := pooled.TenantsByID(t.Context(), ids)
				if err != nil || len(rows) != len(want) {
					t.Fatalf("TenantsByID: %d rows, %v", len(rows), err)
				}
				for _, r := range want {
					if diff := cmp.Diff(r, rows[r.Tenant.ID]); diff != "" {
						t.Fatalf("TenantsByID (-want +got):\n%s", diff)
					}
				}
			}
			if err := pooled.Check(t.Context()); err != nil {
				t.Error(err)
			}
			_, err := snapshot(d.source(through, query("WITH gone AS (DELETE FROM tenants RETURNING id) SELECT id, 'active' AS status FROM gone")))
			wantUnavailable(t, "a query that writes", err)
			_, err = d.source(through, query("SELECT set_config('transaction_read_only', 'off', true) AS id, 'active' AS status")).Tenant(t.Context(), "off")
			if err == nil || !strings.Contains(err.Error(), "read-write mode") {
				t.Errorf("a look-up may write: %v", err)
			}
		})
	}
}

func TestSource_SearchPathThatPgBouncerDropsIsMissed(t *testing.T) {
	d := newDatabase(t, schema+"; INSERT INTO tenants (id) VALUES ('of another'); CREATE SCHEMA app; SET search_path = app; "+schema+"; RESET search_path")
	through := d.behind("transaction", "ignore_startup_parameters=search_path,options")
	for _, set := range []string{"&search_path=app", "&options=-c%20search_path%3Dapp,%5C%20public"} {
		with := func(c *postgressource.Config) { c.DSN += set }
		if rows := list(t, d.source(with)); len(rows) != 0 {
			t.Errorf("%s: without a pooler %+v", set, rows)
		}
		s := d.source(through, with)
		rows, err := snapshot(s)
		if store.CodeOf(err) != store.Precondition || len(rows) > 0 {
			t.Errorf("%s: %+v, %v; want it refused", set, rows, err)
		}
		if _, err := s.Tenant(t.Context(), "of another"); store.CodeOf(err) != store.Precondition {
			t.Errorf("%s: Tenant: %v; want it refused", set, err)
		}
	}
}

// TestWatch_SaysThatPgBouncerKeepsNotificationsBack instead of never being notified.
func TestWatch_SaysThatPgBouncerKeepsNotificationsBack(t *testing.T) {
	d := newDatabase(t, schema)
	var cfg postgressource.Config
	d.source(d.behind("transaction"), func(c *postgressource.Config) { cfg = *c })
	core, log := observer.New(zapcore.WarnLevel)
	s, err := postgressource.New(cfg, postgressource.Options{Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	said := watch(t, s)
	found, err := s.Diagnose(t.Context())
	if f := about(found, "channel"); err != nil || len(f) != 1 || f[0].Severity != purge.SeverityWarning || !strings.Contains(f[0].Text, "pool_mode=transaction") {
		t.Errorf("Diagnose: %+v, %v", found, err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); log.Len() == 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it says nothing")
		}
	}
	entry := log.All()[0]
	text, _ := entry.ContextMap()["error"].(string)
	if !strings.Contains(text, "pool_mode=transaction") || entry.ContextMap()["nextAttemptIn"] != 15*time.Minute {
		t.Errorf("the log says %s %v", entry.Message, entry.ContextMap())
	}
	if n := shared.Int(t, d.name, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%"+channel+"%' AND pid <> pg_backend_pid()"); n > 0 || len(said) > 0 {
		t.Errorf("%d connections of the pooler listen, and %d times it was told of a change", n, len(said))
	}
	if _, err := snapshot(s); err != nil {
		t.Errorf("the source is not read any more: %v", err)
	}
}

func TestWatch_HearsThroughPgBouncerThatPoolsSessions(t *testing.T) {
	d := newDatabase(t, schema)
	s := d.source(d.behind("session"), func(c *postgressource.Config) { c.Conns = 1 })
	said := watch(t, s)
	hear(t, said, "the beginning")
	d.exec("NOTIFY " + channel)
	hear(t, said, "a notification")
	if len(said) != 0 {
		t.Errorf("%d more were heard", len(said))
	}
}

func TestDiagnose_SaysNothingOfAChannelThatIsHeard(t *testing.T) {
	d := newDatabase(t, schema)
	found, err := d.source(func(c *postgressource.Config) { c.Channel = channel }).Diagnose(t.Context())
	if f := about(found, "channel"); err != nil || len(f) > 0 {
		t.Errorf("%+v, %v", f, err)
	}
}

// about returns what was found of a subject.
func about(found []purge.Finding, subject string) []purge.Finding {
	var about []purge.Finding
	for _, f := range found {
		if f.Subject == subject {
			about = append(about, f)
		}
	}
	return about
}
