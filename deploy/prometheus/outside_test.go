//go:build long

package prometheus_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// sourceConditions returns what can be wrong with a daemon's source, by name.
func sourceConditions() map[string]condition {
	var refused, failing, hanging, odd, silent *platform
	return map[string]condition{
		"a sync that changes too much": {
			cause: func(t *testing.T, d *daemon) {
				refused = synced(t, d, "  maxChange: 0\n  maxChangeFloor: 0\n", row{"a", "active", ""})
				refused.be(func() { refused.rows = []row{left("a")} })
				d.try(t, "source", "sync")
			},
			alerts: []string{`PurgerSourceRefused\{severity=warning\} A sync is refused, since it would change too much; a person has to look\.`},
			cure: func(t *testing.T, d *daemon) {
				refused.be(func() { refused.rows = []row{{"a", "active", ""}} })
				d.purger(t, "", "source", "sync")
			},
		},
		"a source that fails": {
			cause: func(t *testing.T, d *daemon) {
				failing = synced(t, d, "", row{"a", "active", ""})
				failing.be(func() { failing.list = broken })
				d.try(t, "source", "sync")
			},
			alerts: []string{`PurgerSourceFailing\{severity=warning\} The source of tenants cannot be read\.`},
			cure: func(t *testing.T, d *daemon) {
				failing.be(func() { failing.list = nil })
				d.purger(t, "", "source", "sync")
			},
		},
		"a source that does not come to an end": {
			cause: func(t *testing.T, d *daemon) {
				hanging = newPlatform(d.owner, row{"a", "active", ""})
				hanging.list = hanging.hangs
				d.configure(t, hanging.source(""))
				anew(t, d, func(s *boltstore.Store) { recordSync(t, s, 4*time.Hour) })
			},
			alerts: []string{`PurgerSourceStale\{severity=warning\} No sync of the source ended well for 4h 0m \d+s\.`},
			cure: func(t *testing.T, d *daemon) {
				hanging.recover(nil)
				d.exposes(t, `purger_source_syncs_total{result="failed"} 1`)
				d.purger(t, "", "source", "sync")
			},
		},
		"a row that makes no sense": {
			cause: func(t *testing.T, d *daemon) {
				odd = synced(t, d, "", row{"a", "active", ""}, row{"b", "on holiday", ""})
			},
			alerts: []string{`PurgerSourceDeadLetters\{severity=warning\} 1 row of the source cannot be understood\.`},
			cure: func(t *testing.T, d *daemon) {
				odd.be(func() { odd.rows[1].Status = "active" })
				d.purger(t, "", "source", "sync")
			},
		},
		"a source that confirms nothing": {
			cause: func(t *testing.T, d *daemon) {
				silent = synced(t, d, "", left("late"))
				silent.be(func() { silent.look = broken; silent.rows = append(silent.rows, left("later")) })
				d.purger(t, "", "source", "sync")
				d.pass(t)
			},
			alerts: []string{`PurgerSourceUnconfirmed\{reason=source_down,severity=warning\} \d tenants? whose date has come cannot be purged: no answer of the source, or no good sync for too long\.`},
			cure: func(t *testing.T, d *daemon) {
				silent.be(func() { silent.look = nil })
				d.pass(t)
			},
		},
	}
}

// directoryDown fires until the target is called again that did not answer.
const directoryDown = `PurgerTargetDown\{severity=warning,target=directory\} Target directory did not answer when it was last called\.`

// targetConditions returns what can be wrong with a daemon's target, by name.
func targetConditions() map[string]condition {
	var down, failing, closed *platform
	again := func(t *testing.T, d *daemon, ids ...string) {
		for _, id := range ids {
			d.try(t, "tenant", "retry", id) // it may have been purged by itself
		}
		d.pass(t)
	}
	return map[string]condition{
		"a target that does not answer": {
			cause: func(t *testing.T, d *daemon) {
				down = holding(t, d, "breakerFailures: 0", "a")
				down.be(func() { down.users = gone })
				d.pass(t)
			},
			alerts: []string{directoryDown},
			cure: func(t *testing.T, d *daemon) {
				down.be(func() { down.users = nil })
				again(t, d, "a")
			},
		},
		"a target that fails": {
			cause: func(t *testing.T, d *daemon) {
				failing = holding(t, d, "breakerFailures: 2, breakerCooldown: 1h", "a", "b", "c", "d")
				failing.be(func() { failing.users = broken })
				d.pass(t)
			},
			alerts: []string{
				`PurgerTargetBreaker\{severity=warning,target=directory\} Target directory fails so often that it is hardly called, and tenants wait for it\.`,
				directoryDown,
			},
			cure: func(t *testing.T, d *daemon) {
				failing.be(func() { failing.users = nil })
				d.stop(t)
				d.start(t) // with the breaker closed
				again(t, d, "a", "b", "c", "d")
			},
		},
		"a target outside its window": {
			cause: func(t *testing.T, d *daemon) {
				closed = holding(t, d, window(), "a")
				d.stop(t)
				inStore(t, d.dir, func(s *boltstore.Store) { claim(t, s, "a", 4*24*time.Hour) })
				d.start(t)
				d.pass(t)
			},
			alerts: []string{`PurgerPurgingLate\{severity=warning\} A tenant has been in purging for 4d 0h \d+m \d+s and is not purged yet\.`},
			cure: func(t *testing.T, d *daemon) { // nobody asks for a pass
				d.configure(t, closed.target("breakerFailures: 0"))
				d.process.Signal(t, syscall.SIGHUP)
			},
		},
	}
}

// synced gives the daemon a new store and a source with the rows, and waits until
// it was read well.
func synced(t *testing.T, d *daemon, more string, rows ...row) *platform {
	t.Helper()
	p := newPlatform(d.owner, rows...)
	d.configure(t, p.source(more))
	anew(t, d, func(*boltstore.Store) {})
	d.exposes(t, `purger_source_syncs_total{result="good"} 1`)
	return p
}

// holding gives the daemon a new store, and a target that holds what tenants have
// who are due; they are not purged before a pass.
func holding(t *testing.T, d *daemon, policy string, ids ...string) *platform {
	t.Helper()
	rows := make([]row, len(ids))
	for i, id := range ids {
		rows[i] = left(id)
	}
	p := newPlatform(d.owner, rows...)
	d.configure(t, p.target(policy))
	anew(t, d, func(*boltstore.Store) {})
	d.pass(t)    // one that ends well
	d.scraped(t) // with the counters of the target at 0
	d.purger(t, due(ids...), "import", "-")
	return p
}

// claim has a tenant claimed some time ago, and left since.
func claim(t *testing.T, s *boltstore.Store, id string, ago time.Duration) {
	t.Helper()
	o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now().Add(-ago)}
	c, err := s.Claim(t.Context(), id, store.ClaimRequest{Origin: o, Owner: "test", Lease: time.Minute})
	if err == nil {
		err = s.Yield(t.Context(), c.Token, o.At)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// recordSync notes a good sync that ended some time ago.
func recordSync(t *testing.T, s *boltstore.Store, ago time.Duration) {
	t.Helper()
	at := store.Timestamp{Time: store.Trim(time.Now().Add(-ago))}
	good := store.Sync{StartedAt: at, FinishedAt: at, Result: store.SyncGood}
	c := store.SourceChange{Apply: func(st *store.SourceState, _ store.Origin) (map[string]string, error) {
		st.Name, st.LastGood = "rest", &good
		return nil, nil
	}}
	if _, err := s.ChangeSource(t.Context(), c, store.Origin{Actor: store.Actor{ID: "test"}, At: at.Time}); err != nil {
		t.Fatal(err)
	}
}
