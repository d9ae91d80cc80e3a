//go:build long

package prometheus_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// condition is something that befalls a daemon which was well.
type condition struct {
	cause func(*testing.T, *daemon)
	// alerts are all that fire then, sorted: regular expressions of what
	// [alert.String] returns.
	alerts []string
	cure   func(*testing.T, *daemon)
}

// overdue fires wherever something due is left by whatever else is wrong. The
// tenants of [due] have been for more than a year.
const overdue = `PurgerOverdue\{severity=warning\} A tenant is overdue by \d+d \d+h \d+m \d+s, and nothing blocks it\.`

// conditions returns what can be wrong with a daemon and what it works with, by
// name.
func conditions() map[string]condition {
	all := daemonConditions()
	maps.Copy(all, sourceConditions())
	maps.Copy(all, targetConditions())
	return all
}

// daemonConditions returns what can be wrong with a daemon alone, by name.
func daemonConditions() map[string]condition {
	return map[string]condition{
		"nothing": {
			cause: func(*testing.T, *daemon) {}, cure: purgeSome,
		},
		"stopped": {
			cause:  func(t *testing.T, d *daemon) { d.stop(t) },
			alerts: []string{`PurgerDown\{severity=critical\} purger on 127\.0\.0\.2:\d+ cannot be scraped\.`},
			cure:   func(t *testing.T, d *daemon) { d.start(t) },
		},
		"paused": {
			cause: func(t *testing.T, d *daemon) {
				d.purger(t, "", "pause", "--reason", "change freeze")
				d.purger(t, due("late"), "import", "-")
				d.pass(t)
			},
			alerts: []string{overdue, `PurgerPausedTooLong\{severity=warning\} Purging has been paused for more than three days\.`},
			cure: func(t *testing.T, d *daemon) {
				d.purger(t, "", "resume", "--reason", "the freeze is over")
				d.process.Signal(t, syscall.SIGUSR1)
			},
		},
		"halted": {
			cause: func(t *testing.T, d *daemon) {
				d.configure(t, quiet+"limits: {perPass: 2}\n")
				d.process.Signal(t, syscall.SIGHUP)
				waitForLog(t, d, "the configuration was loaded again")
				d.purger(t, due("a", "b", "c", "d"), "import", "-")
				d.pass(t)
			},
			alerts: []string{
				`PurgerHalted\{reason=limits\.perPass,severity=critical\} Purging has halted at limits\.perPass\.`, overdue,
			},
			cure: func(t *testing.T, d *daemon) {
				d.purger(t, "", "resume", "--reason", "all of them are to go", "--allow", "4")
				d.pass(t)
			},
		},
		"a full disk": {
			cause: fillDisk,
			alerts: []string{
				overdue, `PurgerSpaceShort\{severity=warning\} The disk has too little room to purge\.`,
			},
			cure: func(t *testing.T, d *daemon) {
				if err := os.Remove(filepath.Join(d.dir, ballast)); err != nil {
					t.Fatal(err)
				}
				d.pass(t)
			},
		},
		"a failed tenant": {
			// The embedded store is a sound one, and refuses nothing: a program with
			// a target that refuses had the store before.
			cause: func(t *testing.T, d *daemon) {
				d.stop(t)
				inStore(t, d.dir, func(s *boltstore.Store) {
					fill(t, s, "refused", 1)
					failForGood(t, s)
				})
				d.start(t)
			},
			alerts: []string{`PurgerFailures\{severity=warning,status=failed\} The purge of 1 tenant has failed for good\.`},
			cure: func(t *testing.T, d *daemon) {
				d.purger(t, "", "tenant", "retry", "refused")
				d.pass(t)
			},
		},
		"a bad configuration": {
			cause: func(t *testing.T, d *daemon) {
				d.configure(t, "purge: {schedule: sometimes}\n")
				d.process.Signal(t, syscall.SIGHUP)
			},
			alerts: []string{`PurgerReloadFailed\{severity=warning\} The configuration on disk is bad; purger works with the one before\.`},
			cure: func(t *testing.T, d *daemon) {
				d.configure(t, quiet)
				d.process.Signal(t, syscall.SIGHUP)
			},
		},
		"an interrupted import": {
			cause:  killDuringImport,
			alerts: []string{`PurgerImportIncomplete\{severity=warning\} An import is not complete, and nothing is purged until it is\.`},
			cure:   func(t *testing.T, d *daemon) { d.purger(t, "", "import", bulk(d)) },
		},
		"nothing due for two hours": {
			cause: func(t *testing.T, d *daemon) {
				anew(t, d, func(s *boltstore.Store) { recordPass(t, s, "ok", 2*time.Hour) })
			},
			cure: func(*testing.T, *daemon) {},
		},
		"no pass has ended well yet": {
			cause: func(t *testing.T, d *daemon) {
				anew(t, d, func(s *boltstore.Store) { recordPass(t, s, "error", time.Minute) })
				d.purger(t, due("late"), "import", "-")
			},
			alerts: []string{overdue, `PurgerRunStale\{severity=warning\} No pass of purger is known to have ended well\.`},
			cure:   func(t *testing.T, d *daemon) { d.process.Signal(t, syscall.SIGUSR1) },
		},
		"no pass ended well for two hours": {
			cause: func(t *testing.T, d *daemon) {
				anew(t, d, func(s *boltstore.Store) {
					recordPass(t, s, "ok", 2*time.Hour)
					recordPass(t, s, "partial", time.Minute)
				})
				d.purger(t, due("late"), "import", "-")
			},
			alerts: []string{overdue, `PurgerRunStale\{severity=warning\} No pass of purger ended well for 2h \d+m \d+s\.`},
			cure:   func(t *testing.T, d *daemon) { d.pass(t) },
		},
		"a large purge": {
			cause: func(t *testing.T, d *daemon) {
				d.stop(t)
				inStore(t, d.dir, func(s *boltstore.Store) { fill(t, s, "large", 1100) })
				d.start(t)
			},
			alerts: []string{`PurgerStoreBloat\{severity=warning\} (8\d|9\d|100)(\.\d+)?% of the store's file is free\.`},
			cure:   func(t *testing.T, d *daemon) { d.purger(t, "", "store", "compact") },
		},
	}
}

// purgeSome gives the daemon a bit of everything to do.
func purgeSome(t *testing.T, d *daemon) {
	d.purger(t, due("one", "two", "three"), "import", "-")
	d.process.Signal(t, syscall.SIGUSR1)
	d.purger(t, "", "tenant", "create", "leaving")
	d.purger(t, "", "tenant", "deactivate", "leaving")
	d.purger(t, "", "tenant", "create", "undecided")
	d.purger(t, "", "tenant", "deactivate", "undecided")
	d.purger(t, "", "tenant", "reactivate", "undecided")
}

// anew starts the daemon on a new store, after some work on it.
func anew(t *testing.T, d *daemon, work func(*boltstore.Store)) {
	d.stop(t)
	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	inStore(t, d.dir, work)
	d.start(t)
}

// recordPass notes a pass that ended some time ago with the result.
func recordPass(t *testing.T, s *boltstore.Store, result string, ago time.Duration) {
	t.Helper()
	at := store.Timestamp{Time: store.Trim(time.Now().Add(-ago))}
	run := store.Run{ID: result, Trigger: "schedule", Result: result, StartedAt: at, FinishedAt: at}
	if err := s.RecordRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
}

// ballast is what fills the disk of a daemon.
const ballast = "ballast"

// fillDisk moves the daemon to a small disk, in memory, with something due, and
// leaves less room there than a purge takes.
func fillDisk(t *testing.T, d *daemon) {
	d.stop(t)
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	run("mount", "-t", "tmpfs", "-o", "size=160m", "purger-test", d.dir)
	d.owner.Cleanup(func() { run("umount", d.dir) })
	d.start(t)
	d.pass(t)
	d.purger(t, due("late"), "import", "-")
	// A step takes 64 MiB, and a change 16 MiB.
	if err := os.WriteFile(filepath.Join(d.dir, ballast), make([]byte, 120<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d.pass(t)
}

// waitForLog waits until the daemon has logged a text.
func waitForLog(t *testing.T, d *daemon, text string) {
	t.Helper()
	deploytest.Eventually(t, 20*time.Millisecond, func() string {
		if strings.Contains(d.process.Log(), text) {
			return ""
		}
		return fmt.Sprintf("the daemon has not logged %q:\n%s", text, d.process.Log())
	})
}

// bulk returns the name of a file for a large import into the daemon's store.
func bulk(d *daemon) string { return filepath.Join(filepath.Dir(d.dir), "bulk.ndjson") }

// killDuringImport kills the daemon while it writes what it imports.
func killDuringImport(t *testing.T, d *daemon) {
	if err := os.WriteFile(bulk(d), []byte(large()), 0o600); err != nil {
		t.Fatal(err)
	}
	importing := deploytest.Start(t, t, d.binary, "import", bulk(d), "--data-dir", d.dir)
	deploytest.Eventually(t, 2*time.Millisecond, func() string {
		p, err := fetch("http://"+d.address+"/metrics", "")
		switch {
		case err != nil:
			return err.Error()
		case strings.Contains(p.body, "\npurger_import_incomplete 1\n"):
			return ""
		case importing.Exited():
			t.Fatalf("the import has ended before it could be interrupted:\n%s", importing.Log())
		}
		return "the import does not begin to write"
	})
	d.process.Signal(t, syscall.SIGKILL)
	d.process.Wait(t)
	if importing.Wait(t).Success() {
		t.Fatalf("the import has succeeded, and the daemon was killed:\n%s", importing.Log())
	}
	d.start(t)
}
