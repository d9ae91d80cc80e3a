//go:build long

package postgrestest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

var rounds = flag.Int("rounds", 100, "how many of the hundred rounds to make")

// For how long a session is stopped. The server cannot end a statement of one that
// hangs: purger has to.
const (
	pause = time.Second
	hang  = statementTimeout + 6*time.Second
)

// TestKill_G3_G4_G5_G6_ExactlyTheDueSubtreesAreGone kills purger or PostgreSQL in the
// midst of a pass, a hundred times, in some of them after another fault. After each,
// whatever was due is gone, and nothing else; and all receipts are exact, since there
// is a ledger.
func TestKill_G3_G4_G5_G6_ExactlyTheDueSubtreesAreGone(t *testing.T) {
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w.pg.Exec(t, w.db, oracle)
	w.pg.Exec(t, w.db, `GRANT CREATE ON SCHEMA public TO purger`)
	w.serve()
	if _, err := w.purger("target", "init", "app"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.judge(t, "before any fault")
	var told tally
	dealt := deal(rng)
	for n, r := range dealt[:min(*rounds, len(dealt))] {
		victims := w.disable(rng)
		w.serve()
		if _, err := w.purger("source", "sync"); err != nil {
			t.Fatal(err)
		}
		w.suffer(rng, r, &told)
		w.settle()
		when := fmt.Sprintf("round %d, %s and %s, %v", n+1, r.fault, r.kill, victims)
		w.judge(t, when)
		w.count(when, victims)
	}
	if out, err := w.purger("store", "check"); err != nil {
		t.Error(out, err)
	}
	if out, err := w.purger("audit", "verify"); err != nil {
		t.Error(out, err)
	}
	told.judge(t)
}

// suffer makes a pass with a fault and a kill in it.
func (w *world) suffer(rng *rand.Rand, r round, told *tally) {
	w.t.Helper()
	wait := func(most time.Duration, ended <-chan struct{}) {
		timer := time.NewTimer(time.Duration(rng.Int64N(int64(most) + 1)))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ended:
		}
	}
	beforeFault, beforeKill := r.waits()
	began, done := time.Now(), w.pass(r.ofSource())
	if !r.ofSource() {
		w.untilRunning(done)
	}
	wait(beforeFault, done)
	hit := w.strike(r.fault, done)
	if r.beyond() {
		<-done
		told.late(r, time.Since(began))
		done = w.pass(false)
		w.untilRunning(done)
	}
	wait(beforeKill, done)
	killed := w.strike(r.kill, done)
	<-done
	told.struck(r, hit, killed)
}

// untilRunning waits until something is being purged, or the pass has ended.
func (w *world) untilRunning(ended <-chan struct{}) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if st, err := w.status(); err == nil && st.Running != nil {
			return
		}
		select {
		case <-ended:
			return
		case <-tick.C:
		}
	}
}

// pass begins a pass, after a sync or without; what is returned is closed when it has
// ended, whatever came of it.
func (w *world) pass(sync bool) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if sync {
			_, _ = w.purger("source", "sync")
		}
		_, _ = w.purger("run")
	}()
	return done
}

// disable makes one to three tenants due, with all below them.
func (w *world) disable(rng *rand.Rand) []string {
	w.t.Helper()
	var victims []string
	for range 1 + rng.IntN(3) {
		id := fmt.Sprintf("t%d", 1+rng.IntN(200))
		if rng.IntN(2) == 0 {
			id += fmt.Sprintf("-%d", 1+rng.IntN(2))
		}
		w.pg.Exec(w.t, w.db, `UPDATE tenants SET status = 'disabled', disabled_at = now() - interval '40 days', purge_after_days = 30
			WHERE id = $1 AND id NOT IN (SELECT id FROM oracle.due) AND status = 'active'`, id)
		victims = append(victims, id)
	}
	return victims
}

// strike brings a fault or a kill about, and reports whether something was being purged,
// or asked of the source. It gives up when the pass has ended before that.
func (w *world) strike(fault string, ended <-chan struct{}) bool {
	w.t.Helper()
	st, err := w.status()
	busy := err == nil && st.Running != nil
	switch fault {
	case killPurger:
		w.kill()
	case killServer:
		if err := w.pg.Kill(); err != nil {
			w.t.Fatal(err)
		}
	case faultSession:
		w.pg.Exec(w.t, w.db, `SELECT pg_terminate_backend(pid) `+sessions)
	case faultStopped:
		return w.stop(ofTarget, 1, pause) && busy
	case faultHung, faultBeyond:
		return w.stop(ofTarget, all, hang) && busy
	case sourceHung, sourceBeyond:
		return w.stopSource(ended)
	}
	return busy
}

// The sessions of purger, and those of its target and its source alone.
const (
	sessions = `FROM pg_stat_activity WHERE application_name LIKE 'purger%' AND usename = 'purger' AND backend_type = 'client backend'`
	ofTarget = sessions + ` AND application_name = 'purger-target'`
	ofSource = sessions + ` AND application_name = 'purger'`
)

// all is more sessions than purger has.
const all = 100

// stop stops up to n sessions for a while, those at work before others, and reports
// whether there were any.
func (w *world) stop(which string, n int, d time.Duration) bool {
	w.t.Helper()
	seen, stopped := []int{}, false
	for range n {
		pid := int(w.pg.Int(w.t, w.db, `SELECT coalesce((SELECT pid `+which+` AND pid <> ALL ($1) ORDER BY state = 'idle', pid DESC LIMIT 1), 0)`, seen))
		if pid == 0 {
			break
		}
		seen = append(seen, pid)
		if syscall.Kill(pid, syscall.SIGSTOP) != nil {
			continue // it has ended
		}
		stopped = true
		goOn := func() { _ = syscall.Kill(pid, syscall.SIGCONT) } // it may have ended
		time.AfterFunc(d, goOn)
		w.t.Cleanup(goOn)
	}
	return stopped
}

// stopSource stops the sessions of the source as soon as there is one.
func (w *world) stopSource(ended <-chan struct{}) bool {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !w.stop(ofSource, all, hang) {
		select {
		case <-ended:
			return false
		case <-tick.C:
		}
	}
	return true
}

// count compares receipts with what there was.
func (w *world) count(when string, victims []string) {
	w.t.Helper()
	for _, id := range victims {
		if w.pg.Int(w.t, w.db, `SELECT count(*) FROM tenants WHERE id = $1 AND status = 'disabled'`, id) == 0 {
			continue
		}
		if _, err := w.purger("receipt", id); err != nil {
			continue // it went with one above it
		}
		r := w.receipt(id)
		if !r.CountsExact {
			w.t.Errorf("%s: the counts of %s are a lower bound, and the ledger tells", when, id)
		}
		for table, got := range map[string]int64{
			"users": r.Deleted.Users, "credentials": r.Deleted.Credentials, "api_keys": r.Deleted.APIKeys, "oauth_clients": r.Deleted.OAuthClients,
		} {
			want := w.pg.Int(w.t, w.db, fmt.Sprintf(`SELECT count(*) FROM oracle.%s WHERE tenant_id = ANY($1)`, table), r.Tenants)
			if got != want {
				w.t.Errorf("%s: the receipt of %s says %d %s; there were %d", when, id, got, table, want)
			}
		}
	}
}
