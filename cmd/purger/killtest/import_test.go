package killtest

import (
	"encoding/json"
	"os"
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// imported notes that an import is known to be complete.
func (l *loop) imported(f *file) {
	l.oracle.imported(f)
	if l.pending == f {
		l.pending = nil
	}
	if l.former != nil && l.former != f {
		_ = os.Remove(l.former.path) // it only takes room
	}
	l.former = f
}

// complete lets an import come to its end.
func (l *loop) complete(f *file) {
	l.t.Helper()
	again := f == l.former
	p := l.command(0, importing(f)...)
	l.importEnded(p, f)
	if !again {
		l.pace.took(stepImport, p.took())
	}
}

// importing returns the arguments of an import.
func importing(f *file) []string {
	return []string{"import", f.path, "--on-conflict", "keep", "-o", "json"}
}

// importEnded learns from the end of an import. Only an exit code 0 says that
// everything is there.
func (l *loop) importEnded(p *process, f *file) {
	l.t.Helper()
	code := p.code(l.t)
	l.note("import of %s: exit code %d after %s", f.path, code, p.took().Round(time.Millisecond))
	switch code {
	case killed, exitTryAgain:
	case 0:
		var s client.ImportSummary
		if err := json.Unmarshal([]byte(p.out.String()), &s); err != nil || !s.Complete {
			l.fail("the import ends with exit code 0 and prints %q", p.out.String())
		}
		l.imported(f)
	default:
		l.fail("the import ends with exit code %d", code)
	}
}

// killImport kills an import: in a process of its own, through a daemon, or at
// the start of a daemon.
func (l *loop) killImport() {
	l.t.Helper()
	if l.pending == nil && l.rng.IntN(3) == 0 {
		l.complete(l.former) // brings nothing back of what was purged since
	}
	if l.pending == nil {
		l.pending = l.newFile()
	}
	f := l.pending
	args := importing(f)
	l.hits[stepImport].tries++
	switch l.rng.IntN(5) {
	case 0, 1, 2:
		p := l.start(nil, args...)
		l.strike(p, p, stepImport, l.pace.within(l.rng, stepImport))
		l.importEnded(p, f)
	case 3:
		d := l.serve()
		p := l.start(d, args...)
		victim := []*process{d, p, nil}[l.rng.IntN(3)]
		l.strike(p, victim, stepImport, l.pace.within(l.rng, stepImport))
		if victim == nil {
			d.killGroup(l.t)
		}
		l.importEnded(p, f)
		l.finish(d)
	case 4:
		d := l.start(nil, "serve", "--import", f.path)
		if d.endsWithin(l.pace.within(l.rng, stepImport)) {
			l.fail("the daemon ends by itself with exit code %d", d.code(l.t))
		}
		d.kill(l.t)
		if !d.log.find(`"complete":true`).IsZero() {
			l.imported(f)
		}
	}
}

// strike kills the victim at an instant after the start of p, unless p has ended
// by itself before. Without a victim it only waits.
func (l *loop) strike(p, victim *process, step string, after time.Duration) {
	l.t.Helper()
	if p.endsWithin(after - time.Since(p.began)) {
		l.pace.took(step, p.took())
		l.note("%s ended after %s, before it could be killed", step, p.took())
		return
	}
	l.note("%s is killed after %s", step, after)
	if victim != nil {
		victim.kill(l.t)
	}
}

// finish ends a daemon that may have been killed already, in either way.
func (l *loop) finish(d *process) {
	l.t.Helper()
	switch {
	case d.hasEnded():
		if got := d.code(l.t); got != killed {
			l.fail("the daemon ended by itself with exit code %d", got)
		}
	case l.rng.IntN(2) == 0:
		l.terminate(d)
	default:
		d.kill(l.t)
	}
}
