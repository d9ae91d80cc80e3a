package killtest

import (
	"os"
	"slices"
	"strings"
	"syscall"
)

// What the daemon logs at certain instants of its life.
const (
	saysOpening = "reading it ahead" // a store that was killed is being opened
	saysOpened  = "serving the API"
	saysReady   = "purger is ready"
)

// serve starts a daemon and waits until it is ready, whatever the one before has
// left: its lock, its socket and its file.
func (l *loop) serve() *process {
	l.t.Helper()
	d := l.start(nil, "serve")
	if !d.awaits(l.t, saysReady) {
		l.fail("the daemon ends instead of becoming ready: exit code %d", d.code(l.t))
	}
	l.opened(d)
	return d
}

// opened learns how long it takes to open a store after a kill.
func (l *loop) opened(d *process) {
	from, to := d.log.find(saysOpening), d.log.find(saysOpened)
	if !from.IsZero() && !to.IsZero() && !strings.Contains(d.args, "--import") {
		l.pace.took(stepOpen, to.Sub(from))
	}
}

// terminate ends a daemon as a service manager does.
func (l *loop) terminate(d *process) {
	l.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		l.fail("SIGTERM: %v", err)
	}
	if got := d.code(l.t); got != 0 {
		l.fail("the daemon ends with exit code %d after SIGTERM, want 0", got)
	}
}

// killOpening kills a daemon while it opens the store.
func (l *loop) killOpening() {
	l.t.Helper()
	args := []string{"serve"}
	if l.pending != nil && l.rng.IntN(3) == 0 {
		args = append(args, "--import", l.pending.path)
	}
	d := l.start(nil, args...)
	// A store of which the last process was killed before its first change was
	// closed cleanly by the one before.
	if !d.awaits(l.t, saysOpening, saysOpened) {
		l.fail("the daemon does not open the store: exit code %d", d.code(l.t))
	}
	d.endsWithin(l.pace.instant(l.rng, stepOpen))
	d.kill(l.t)
	l.opened(d)
	l.hits[stepOpen].tries++
	begun, ended := !d.log.find(saysOpening).IsZero(), !d.log.find(saysOpened).IsZero()
	if begun && !ended {
		l.hits[stepOpen].hits++
	}
	l.note("killed while opening the store: begun %t, ended %t", begun, ended)
}

// compacting looks, right after a kill, whether it has hit a compaction.
func (l *loop) compacting() {
	for _, name := range l.entries() {
		if strings.HasPrefix(name, "purger.db.compact-") {
			l.hits[stepCompaction].hits++
			return
		}
	}
}

// entries returns the names in the data directory.
func (l *loop) entries() []string {
	l.t.Helper()
	list, err := os.ReadDir(l.data)
	if err != nil {
		l.t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// tidy checks that nothing but what belongs there is left in the data directory
// once the store was opened after a kill. served says that a daemon has done so.
func (l *loop) tidy(served bool) {
	l.t.Helper()
	for _, name := range l.entries() {
		switch {
		// The socket of a dead daemon is replaced by the next one.
		case slices.Contains([]string{"purger.db", "purger.sock", "served-with"}, name):
		// The note of a daemon that was killed while it made it; so, too, is this.
		case name == "served-with.new" && !served:
		default:
			l.fail("%s is left over in the data directory", name)
		}
	}
}
