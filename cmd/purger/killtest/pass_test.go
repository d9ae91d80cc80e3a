package killtest

import (
	"encoding/json"
	"syscall"

	"github.com/tenantpurge/purger/purge"
)

// The exit code of what was cut off, or is refused for now.
const exitTryAgain = 75

// stepDaemonPass is the pace of a pass without the start of a process.
const stepDaemonPass = "pass of a daemon"

// something makes sure that there is a good deal to purge.
func (l *loop) something() {
	l.t.Helper()
	if l.pending != nil {
		if l.rng.IntN(2) == 0 {
			l.refused()
		}
		if l.pending != nil {
			l.complete(l.pending)
		}
	}
	if len(l.oracle.due()) < 12 {
		l.complete(l.newFile())
	}
	l.over = l.oracle.due()
}

// refused makes a pass while an import may be incomplete: then it must take no
// tenant. Whether it did is seen by the next look.
func (l *loop) refused() {
	l.t.Helper()
	p := l.start(nil, "run", "-o", "json")
	code := p.code(l.t)
	r := l.report(p)
	switch {
	case code == exitTryAgain && r.Result == purge.ResultImport: // it may have ended what was taken before
	case code == 0 && r.Result == purge.ResultOK: // the import was complete or had not begun
	default:
		l.fail("a pass beside an incomplete import ends with exit code %d: %s", code, p.out.String())
	}
}

// report tells the oracle what a pass says that it has done.
func (l *loop) report(p *process) purge.Report {
	l.t.Helper()
	var r purge.Report
	if p.out.String() == "" {
		return r
	}
	if err := json.Unmarshal([]byte(p.out.String()), &r); err != nil {
		if p.code(l.t) != killed { // in the midst of printing
			l.fail("purger %s prints %q: %v", p.args, p.out.String(), err)
		}
		return r
	}
	for _, row := range r.Tenants {
		if row.Outcome == purge.OutcomeDeleted {
			l.oracle.purgedTop(row.ID, row.ResourcesDeleted)
		}
	}
	return r
}

// killPass kills a pass: in a process of its own, at the start of a daemon, after
// a signal, or through a daemon.
func (l *loop) killPass() {
	l.t.Helper()
	l.hits[stepPass].tries++
	l.something()
	switch l.rng.IntN(5) {
	case 0, 1:
		p := l.start(nil, "run", "-o", "json")
		l.strike(p, p, stepPass, l.pace.within(l.rng, stepPass))
		l.passEnded(p)
	case 2:
		d := l.start(nil, "serve")
		l.watchPass(d, "purge pass at start-up")
	case 3:
		d := l.serve()
		l.await(d)
		l.something()
		if err := d.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			l.fail("SIGUSR1: %v", err)
		}
		l.watchPass(d, "a pass was asked for by signal")
	case 4:
		d := l.serve()
		l.await(d)
		l.something()
		p := l.start(d, "run", "-o", "json")
		l.strike(p, d, stepPass, l.pace.within(l.rng, stepPass))
		l.passEnded(p)
		l.finish(d)
	}
}

// await waits for the end of the pass with which a daemon starts.
func (l *loop) await(d *process) {
	l.t.Helper()
	from := d.log.find("purge pass at start-up")
	if from.IsZero() {
		return // nothing is due
	}
	if !d.awaits(l.t, "pass finished") {
		l.fail("the daemon ends instead of the pass: exit code %d", d.code(l.t))
	}
	l.pace.took(stepDaemonPass, d.log.last("pass finished").Sub(from))
}

// watchPass kills a daemon at an instant after it says that a pass begins.
func (l *loop) watchPass(d *process, begins string) {
	l.t.Helper()
	if !d.awaits(l.t, begins) {
		l.fail("the daemon ends with exit code %d", d.code(l.t))
	}
	after := l.pace.instant(l.rng, stepDaemonPass)
	if d.endsWithin(after) {
		l.fail("the daemon ends by itself with exit code %d", d.code(l.t))
	}
	d.kill(l.t)
	l.note("%q: killed %s later", begins, after)
	if from, to := d.log.find(begins), d.log.last("pass finished"); to.After(from) {
		l.pace.took(stepDaemonPass, to.Sub(from))
	}
}

// passEnded learns from the end of 'purger run'.
func (l *loop) passEnded(p *process) {
	l.t.Helper()
	switch code := p.code(l.t); code {
	case killed, exitTryAgain:
	case 0:
		if r := l.report(p); r.Result != purge.ResultOK || r.Totals.Failed+r.Totals.Retrying > 0 {
			l.fail("a pass ends with exit code 0 and the report %s", p.out.String())
		}
	default:
		l.fail("a pass ends with exit code %d", code)
	}
	l.report(p)
}
