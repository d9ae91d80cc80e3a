package killtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenantpurge/purger/purge/client"
)

// killCompaction kills a compaction, in a process of its own or in a daemon.
func (l *loop) killCompaction() {
	l.t.Helper()
	l.hits[stepCompaction].tries++
	if l.rng.IntN(3) > 0 {
		p := l.start(nil, "store", "compact", "-o", "json")
		l.strike(p, p, stepCompaction, l.pace.within(l.rng, stepCompaction))
		l.compacted(p)
		return
	}
	d := l.serve()
	p := l.start(d, "store", "compact", "-o", "json")
	victim := []*process{d, nil}[l.rng.IntN(2)]
	l.strike(p, victim, stepCompaction, l.pace.within(l.rng, stepCompaction))
	if victim == nil {
		d.killGroup(l.t)
	}
	l.compacted(p)
	l.finish(d)
}

// compacted learns from the end of a compaction: one that was acknowledged has
// made a file that is about as large as what was in it. By now others may have
// made it grow again.
func (l *loop) compacted(p *process) {
	l.t.Helper()
	switch code := p.code(l.t); code {
	case killed, exitTryAgain:
	case 0:
		var c client.Compaction
		if err := json.Unmarshal([]byte(p.out.String()), &c); err != nil || c.After == 0 {
			l.fail("a compaction ends with exit code 0 and prints %q", p.out.String())
		}
		if most := l.oracle.size(); c.After > most {
			l.fail("a compaction has left %d bytes; want at most %d", c.After, most)
		}
	default:
		l.fail("a compaction ends with exit code %d", code)
	}
}

// size returns how large the store is.
func (l *loop) size() int64 {
	l.t.Helper()
	info, err := os.Stat(filepath.Join(l.data, "purger.db"))
	if err != nil {
		l.t.Fatal(err)
	}
	return info.Size()
}

// bounded checks that the pages of what was purged, and of what a kill left half
// done, are used again: the store does not grow beyond a small multiple of what
// was in it at any one time.
func (l *loop) bounded() {
	l.t.Helper()
	l.largest, l.room = max(l.largest, l.size()), max(l.room, l.oracle.size())
	if most := 3*l.room + 64<<20; l.largest > most {
		l.fail("the store has %d bytes; want at most %d", l.largest, most)
	}
}

// size returns how large a store may be that holds what the oracle knows, and
// nothing else.
func (o *oracle) size() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	var n int64
	for _, t := range o.kept {
		n += 600 + t.holds.Resources()*int64(2*(len(t.id)+t.size)+120)
	}
	return 1<<20 + 2*n + 2000*int64(len(o.byID)+int(o.audited))
}

// killBackup kills a backup: the daemon or the command that asks for it. What
// was acknowledged is a store; what was not is not there.
func (l *loop) killBackup() {
	l.t.Helper()
	l.hits[stepBackup].tries++
	dir := filepath.Join(l.files, fmt.Sprintf("backup-%d", l.hits[stepBackup].tries))
	if err := os.Mkdir(dir, 0o700); err != nil {
		l.t.Fatal(err)
	}
	args := []string{"store", "backup", filepath.Join(dir, "purger.db")}
	var p, victim *process
	if l.rng.IntN(3) == 0 {
		p = l.start(nil, args...)
		victim = p
		l.strike(p, victim, stepBackup, l.pace.within(l.rng, stepBackup))
	} else {
		d := l.serve()
		p = l.start(d, args...)
		victim = []*process{d, p}[l.rng.IntN(2)]
		l.strike(p, victim, stepBackup, l.pace.within(l.rng, stepBackup))
		defer l.finish(d)
	}
	l.backedUp(p, dir)
}

// backedUp learns from the end of a backup.
func (l *loop) backedUp(p *process, dir string) {
	l.t.Helper()
	code := p.code(l.t)
	_, err := os.Stat(filepath.Join(dir, "purger.db"))
	switch whole := err == nil; {
	case code == 0 && !whole:
		l.fail("a backup that was acknowledged is not there: %v", err)
	case code == exitTryAgain && whole:
		l.fail("a backup that failed is there")
	case code != 0 && code != exitTryAgain && code != killed:
		l.fail("a backup ends with exit code %d", code)
	case whole:
		if p := start(l.t, l.binary, nil, "--data-dir", dir, "store", "check"); p.code(l.t) != 0 {
			l.fail("a backup is not sound: %s%s", p.out.String(), p.log.String())
		}
	}
	defer os.RemoveAll(dir)
	if code != 0 && !p.begunBackup(l, dir) {
		return
	}
	if code != 0 {
		l.hits[stepBackup].hits++
	}
}

// begunBackup reports whether a backup that has not ended had begun. The command
// itself leaves a file beside the backup when it is killed; one that was cut off
// removes it.
func (p *process) begunBackup(l *loop, dir string) bool {
	left, err := filepath.Glob(filepath.Join(dir, ".purger.db.*"))
	if err != nil {
		l.t.Fatal(err)
	}
	if p.code(l.t) == exitTryAgain {
		if len(left) > 0 {
			l.fail("a backup that failed leaves %q", left)
		}
		return strings.Contains(p.log.String(), "backup")
	}
	return len(left) > 0
}
