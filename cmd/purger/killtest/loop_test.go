package killtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

var (
	seedFlag   = flag.Uint64("kill.seed", 0, "what decides on the rounds of the kill loop; 0 is a new one")
	roundsFlag = flag.Int("kill.rounds", 0, "how many rounds the kill loop has; 0 is the number of the test")
)

// loop kills a purger again and again.
type loop struct {
	t      *testing.T
	rng    *rand.Rand
	gen    *generator
	oracle *oracle
	pace   pace
	binary string
	data   string // the data directory
	files  string // imports, backups, the configuration
	config string

	pending *file      // the import that is not known to be complete
	former  *file      // the last one that is
	over    []*tenant  // what the pass of this round had to purge
	began   []*process // in this round
	lines   []string   // what was done in this round
	hits    map[string]*hit
	largest int64 // size that the store ever had
	room    int64 // that what is in the store ever needed
}

// hit counts kills by the step that they were meant to hit.
type hit struct {
	tries int // steps that were to be killed
	hits  int // steps that had begun and had not ended when they were killed
}

// The steps.
const (
	stepImport     = "import"
	stepPass       = "pass"
	stepCompaction = "compaction"
	stepOpen       = "open"
	stepBackup     = "backup"
	stepChanges    = "changes by clients"
)

// newLoop makes a store with what stays to the end.
func newLoop(t *testing.T) *loop {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill.seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	files := t.TempDir()
	l := &loop{
		t: t, rng: rng, oracle: newOracle(), pace: pace{}, binary: build(t),
		gen:  &generator{rng: rng, now: store.Trim(time.Now())},
		data: filepath.Join(t.TempDir(), "data"), files: files, config: filepath.Join(files, "purger.yaml"),
		hits: map[string]*hit{},
	}
	for _, s := range []string{stepImport, stepPass, stepCompaction, stepOpen, stepBackup, stepChanges} {
		l.hits[s] = &hit{}
	}
	// Transactions as short as can be, so that a kill falls between two of one
	// purge; nothing runs by the clock, and nothing halts.
	config := fmt.Sprintf(`dataDir: %q
log: {level: debug, format: json}
web: {listenAddress: "127.0.0.1:0"}
tenants: {protected: [%s]}
purge: {schedule: "0 0 1 1 *", concurrency: 2}
limits: {perPass: 0, perDay: 0, perDayShare: 0}
store: {transactionTarget: 1ms, mmapSize: 1GiB, compactAfter: 0s}
`, l.data, strings.Join(protectedIDs(), ", "))
	if err := os.WriteFile(l.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range l.began {
			if !p.hasEnded() {
				p.killGroup(t)
			}
		}
	})
	first := l.write(l.gen.first())
	l.complete(first)
	l.complete(first) // again it changes nothing
	l.pace["command"] = l.command(0, "status").took()
	l.pace.took(stepCompaction, l.command(0, "store", "compact", "-o", "json").took())
	l.pace.took(stepBackup, l.command(0, "store", "backup", filepath.Join(l.files, "first.db")).took())
	l.complete(l.newFile())
	l.pace.took(stepPass, l.command(0, "run").took())
	l.look(false)
	return l
}

// write lays an import of trees aside.
func (l *loop) write(trees []*tenant) *file {
	f := writeFile(l.t, l.rng, l.files, trees)
	l.oracle.expect(f.tenants...)
	return f
}

// newFile makes new tenants: most of them due, so that there is always work,
// and one that takes several transactions.
func (l *loop) newFile() *file {
	var trees []*tenant
	for range 12 + l.rng.IntN(8) {
		trees = append(trees, l.gen.leaving())
	}
	trees = append(trees, l.gen.large())
	if l.rng.IntN(5) == 0 {
		trees = append(trees, l.gen.fat())
	}
	for range 4 {
		if len(l.oracle.roots()) < 150 {
			trees = append(trees, l.gen.staying())
		}
	}
	return l.write(trees)
}

// note remembers what is done, for the report of a round that fails.
func (l *loop) note(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// start starts purger on the data directory.
func (l *loop) start(leader *process, args ...string) *process {
	l.t.Helper()
	p := start(l.t, l.binary, leader, append([]string{"--config", l.config}, args...)...)
	l.began = append(l.began, p)
	return p
}

// command runs purger to its end, which must be the given one.
func (l *loop) command(want int, args ...string) *process {
	l.t.Helper()
	p := l.start(nil, args...)
	if got := p.code(l.t); got != want {
		l.fail("purger %s: exit code %d, want %d\n%s%s", p.args, got, want, p.out.String(), p.log.String())
	}
	return p
}

// took is how long the process ran.
func (p *process) took() time.Duration {
	<-p.done
	return p.ended.Sub(p.began)
}

// fail ends the test with all that is known about the round.
func (l *loop) fail(format string, args ...any) {
	l.t.Helper()
	for _, p := range l.began {
		log := p.log.String()
		if len(log) > 4000 {
			log = "... " + log[len(log)-4000:]
		}
		l.t.Logf("purger %s (ended: %t)\n%.600s%s", p.args, p.hasEnded(), p.out.String(), log)
	}
	l.t.Logf("what was done:\n%s", strings.Join(l.lines, "\n"))
	l.t.Fatalf(format, args...)
}

// round kills purger in the midst of something, perhaps again while the store is
// opened anew, and looks at what is left.
func (l *loop) round(n int, do func(*loop)) {
	l.t.Helper()
	l.lines, l.began, l.over = nil, nil, nil
	l.note("round %d", n)
	do(l)
	l.compacting()
	for range 2 {
		if l.rng.IntN(2) == 0 {
			l.killOpening()
		}
	}
	served := l.check()
	l.acknowledge()
	l.tidy(served)
	l.bounded()
	l.look(n%25 == 0)
}

// acknowledge tells the oracle what the log lines of this round promise.
func (l *loop) acknowledge() {
	for _, p := range l.began {
		for line := range strings.Lines(p.log.String()) {
			var e struct {
				Msg, Tenant string
				store.Counts
			}
			if !strings.HasSuffix(line, "\n") || json.Unmarshal([]byte(line), &e) != nil || e.Msg != "tenant purged" {
				continue // of another kind, or cut by the kill
			}
			l.oracle.purgedTop(e.Tenant, e.Counts)
		}
	}
}

// check lets purger look for defects: it is the first that opens the store after
// the kill, or a daemon is, which check reports.
func (l *loop) check() (served bool) {
	l.t.Helper()
	if l.rng.IntN(8) == 0 {
		d := l.serve()
		l.command(0, "store", "check")
		l.terminate(d)
		return true
	}
	p := l.command(0, "store", "check")
	if !strings.Contains(p.out.String(), "The store is sound.") {
		l.fail("store check prints %q", p.out.String())
	}
	return false
}

// look compares the store with what the oracle knows.
func (l *loop) look(all bool) *snapshot {
	l.t.Helper()
	s := look(l.t, l.data, l.oracle.ids(all), l.oracle.audited+1)
	l.oracle.judge(s)
	l.tally(s)
	if l.pending != nil && l.pending.tenants[0].importOf == nil {
		l.imported(l.pending)
	}
	if wrong := l.oracle.wrong; len(wrong) > 0 {
		if more := len(wrong) - 20; more > 0 {
			wrong = append(slices.Clone(wrong[:20]), fmt.Sprintf("and %d more", more))
		}
		l.fail("the store is not as it must be:\n%s", strings.Join(wrong, "\n"))
	}
	return s
}

// tally counts what the kill of this round has hit, by what it left.
func (l *loop) tally(s *snapshot) {
	if s.gates.Import != nil {
		l.hits[stepImport].hits++
	}
	gone, between := 0, false
	for _, t := range l.over {
		if t.gone != nil {
			gone++
		} else if live := s.live[t.id]; live.Status == store.StatusPurging {
			between = true
		}
	}
	if between || gone > 0 && gone < len(l.over) {
		l.hits[stepPass].hits++
	}
}

// end lets purger do what is left to do, and looks a last time.
func (l *loop) end() {
	l.t.Helper()
	l.lines, l.began, l.over = []string{"the end"}, nil, nil
	if l.pending != nil {
		l.complete(l.pending)
	}
	d := l.serve()
	l.command(0, "run")
	l.command(0, "audit", "verify")
	l.command(0, "store", "check")
	l.terminate(d)
	l.acknowledge()
	s := l.look(true)
	l.oracle.judgeEnd(s)
	if l.look(true); len(s.stones) == 0 {
		l.fail("nothing was purged")
	}
	l.compacted(l.command(0, "store", "compact", "-o", "json"))
	l.tidy(true)
	l.look(true)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range l.hits {
			if !yield(name) {
				return
			}
		}
	}) {
		h := l.hits[name]
		l.t.Logf("%-20s %3d of %3d kills fell into the midst", name, h.hits, h.tries)
	}
	l.t.Logf("the store had %d bytes at most, and %d at the end", l.largest, l.size())
	l.t.Logf("%d tenants purged by %d receipts, %d kept, %d audit entries", len(s.stones), len(l.oracle.receipts), len(s.live), l.oracle.audited)
}
