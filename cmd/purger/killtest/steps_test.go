package killtest

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// step is something to be killed in its midst.
type step struct {
	name   string
	weight int // how often it is chosen
	do     func(*loop)
}

// steps returns all of them.
func (l *loop) steps() []step {
	return []step{
		{stepImport, 26, (*loop).killImport},
		{stepPass, 26, (*loop).killPass},
		{stepCompaction, 22, (*loop).killCompaction},
		{stepChanges, 10, (*loop).killChanges},
		{stepBackup, 6, (*loop).killBackup},
		{"everything", 10, (*loop).killEverything},
	}
}

// pick returns a step at random, one of those named if there are any. The
// opening of the store is part of every round.
func (l *loop) pick(names ...string) step {
	all := l.steps()
	if some := slices.DeleteFunc(l.steps(), func(s step) bool { return !slices.Contains(names, s.name) }); len(some) > 0 {
		all = some
	}
	sum := 0
	for _, s := range all {
		sum += s.weight
	}
	n := l.rng.IntN(sum)
	for _, s := range all {
		if n -= s.weight; n < 0 {
			return s
		}
	}
	return all[0]
}

// killEverything kills a daemon, and all commands that work through it, while it
// imports, purges, compacts, backs up and serves clients at the same time.
func (l *loop) killEverything() {
	l.t.Helper()
	for _, s := range []string{stepImport, stepCompaction, stepChanges} {
		l.hits[s].tries++
	}
	d := l.serve()
	if l.pending == nil {
		l.pending = l.newFile()
	}
	f := l.pending
	wait := l.startClients(d)
	imports := l.start(d, importing(f)...)
	run := l.start(d, "run", "-o", "json")
	compact := l.start(d, "store", "compact", "-o", "json")
	backup := l.start(d, "store", "backup", filepath.Join(l.files, fmt.Sprintf("%s-%d.db", f.tenants[0].id, d.cmd.Process.Pid)))
	d.endsWithin(time.Duration(l.rng.Int64N(int64(2 * l.pace[stepImport]))))
	d.killGroup(l.t)
	wait()
	l.importEnded(imports, f)
	l.compacted(compact)
	switch code := run.code(l.t); code {
	case 0, killed, exitTryAgain:
		l.report(run)
	default:
		l.fail("a pass ends with exit code %d", code)
	}
	if code := backup.code(l.t); code != 0 && code != killed && code != exitTryAgain {
		l.fail("a backup ends with exit code %d", code)
	}
}
