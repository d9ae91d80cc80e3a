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
	hits := map[string]int{}
	for n := range *rounds {
		fault := []string{faultPurger, faultPurger, faultServer, faultSession, faultStopped}[rng.IntN(5)]
		victims := w.disable(rng)
		w.serve()
		if _, err := w.purger("source", "sync"); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = w.purger("run") // whatever comes of it
		}()
		wait := time.NewTimer(time.Duration(rng.Int64N(int64(150 * time.Millisecond))))
		<-wait.C
		hit := w.strike(fault)
		<-done
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
	t.Logf("%d rounds; in the midst of a purge: %v", *rounds, hits)
	for _, fault := range []string{faultPurger, faultServer, faultSession, faultStopped} {
		if *rounds >= 100 && hits[fault] == 0 {
			t.Errorf("%s never fell into the midst of a purge", fault)
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
	const sessions = `FROM pg_stat_activity WHERE application_name = 'purger' AND usename = 'purger' AND backend_type = 'client backend'`
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
		pid := w.pg.Int(w.t, w.db, `SELECT coalesce(max(pid), 0) `+sessions)
		if pid == 0 || syscall.Kill(int(pid), syscall.SIGSTOP) != nil {
			return false
		}
		go func() {
			wait := time.NewTimer(time.Second)
			<-wait.C
			_ = syscall.Kill(int(pid), syscall.SIGCONT) // it may have ended
		}()
	}
	return busy
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
