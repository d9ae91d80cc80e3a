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

var rounds = flag.Int("rounds", 100, "how often to kill")

// faults are what happens in the midst of a pass.
const (
	faultPurger  = "kill -9 of purger"
	faultServer  = "kill -9 of PostgreSQL"
	faultSession = "a session that is ended"
	faultStopped = "a session that is stopped"
	faultHung    = "sessions that hang beyond every time-out"
	faultSource  = "sessions of the source that hang beyond every time-out"
)

// For how long a session is stopped. The server cannot end a statement of one that
// hangs: purger has to.
const (
	pause = time.Second
	hang  = statementTimeout + 6*time.Second
)

// TestKill_G3_G4_G5_G6_ExactlyTheDueSubtreesAreGone kills purger and PostgreSQL in
// the midst of passes. After each, whatever was due is gone, and nothing else; and
// all receipts are exact, since there is a ledger.
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
	hits, late := map[string]int{}, map[string]int{}
	faults := []string{
		faultPurger, faultPurger, faultPurger, faultServer, faultServer, faultServer, faultSession, faultSession, faultSession,
		faultStopped, faultStopped, faultStopped, faultHung, faultHung, faultHung,
		faultSource, faultSource, faultSource, faultSource, // a third of them finds it being asked
	}
	for n := range *rounds {
		fault := faults[rng.IntN(len(faults))]
		victims := w.disable(rng)
		w.serve()
		if _, err := w.purger("source", "sync"); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		began := time.Now()
		go func() {
			defer close(done)
			if fault == faultSource { // it is asked in a sync, and early in a pass
				_, _ = w.purger("source", "sync")
			}
			_, _ = w.purger("run") // whatever comes of it
		}()
		if fault != faultSource || rng.IntN(2) == 0 { // or else its idle sessions, which are asked next
			wait := time.NewTimer(time.Duration(rng.Int64N(int64(150 * time.Millisecond))))
			<-wait.C
		}
		hit := w.strike(fault)
		<-done
		if time.Since(began) >= statementTimeout {
			late[fault]++
		}
		w.settle()
		when := fmt.Sprintf("round %d, %s, %v", n+1, fault, victims)
		w.judge(t, when)
		w.count(when, victims)
		if hit {
			hits[fault]++
		}
	}
	if out, err := w.purger("store", "check"); err != nil {
		t.Error(out, err)
	}
	if out, err := w.purger("audit", "verify"); err != nil {
		t.Error(out, err)
	}
	t.Logf("%d rounds; in the midst of a purge: %v; that ran into a time-out: %v", *rounds, hits, late)
	for _, fault := range faults {
		if *rounds >= 100 && hits[fault] == 0 {
			t.Errorf("%s never fell into the midst of a purge", fault)
		}
	}
	for _, fault := range []string{faultHung, faultSource} {
		if *rounds >= 100 && late[fault] == 0 {
			t.Errorf("%s never made a pass run into a time-out", fault)
		}
	}
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

// strike brings a fault about, and reports whether something was being purged.
func (w *world) strike(fault string) bool {
	w.t.Helper()
	st, err := w.status()
	busy := err == nil && st.Running != nil
	switch fault {
	case faultPurger:
		w.kill()
	case faultServer:
		if err := w.pg.Kill(); err != nil {
			w.t.Fatal(err)
		}
	case faultSession:
		w.pg.Exec(w.t, w.db, `SELECT pg_terminate_backend(pid) `+sessions)
	case faultStopped:
		return w.stop(ofTarget, 1, pause) && busy
	case faultHung:
		return w.stop(ofTarget, all, hang) && busy
	case faultSource:
		return w.stop(ofSource, all, hang)
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
