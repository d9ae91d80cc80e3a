//go:build long

package postgrestest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// tally counts what the rounds were.
type tally struct {
	rounds map[round]int
	midst  map[string]int // fell into the midst of a purge
	lates  map[string]int // made a pass run into a time-out
}

// struck notes a round, and whether its fault and its kill fell into the midst of a
// purge.
func (c *tally) struck(r round, fault, kill bool) {
	if c.rounds == nil {
		c.rounds, c.midst = map[round]int{}, map[string]int{}
	}
	c.rounds[r]++
	for what, hit := range map[string]bool{r.fault: fault, r.kill: kill} {
		if hit && what != faultNone {
			c.midst[what]++
		}
	}
}

// late notes how long a pass took whose sessions hung.
func (c *tally) late(r round, d time.Duration) {
	if c.lates == nil {
		c.lates = map[string]int{}
	}
	if d >= statementTimeout {
		c.lates[r.fault]++
	}
}

// missing returns what a hundred rounds are to have and these have not: as many rounds
// of each sort as were dealt, and of each fault and kill some that fell where they were
// meant to.
func (c *tally) missing() (texts []string) {
	want := func(ok bool, format string, args ...any) {
		if !ok {
			texts = append(texts, fmt.Sprintf(format, args...))
		}
	}
	for _, fault := range slices.Sorted(maps.Keys(faults())) {
		for _, kill := range kills() {
			n := c.rounds[round{fault, kill}]
			want(2*n == faults()[fault], "%s and %s: %d rounds, want %d", fault, kill, n, faults()[fault]/2)
		}
		want(fault == faultNone || c.midst[fault] > 0, "%s never fell into the midst of a purge", fault)
	}
	for _, kill := range kills() {
		want(c.midst[kill] >= 10, "%s fell into the midst of a purge %d times, want 10 at least", kill, c.midst[kill])
	}
	for _, fault := range []string{faultBeyond, sourceBeyond} {
		want(c.lates[fault] > 0, "%s never made a pass run into a time-out", fault)
	}
	return texts
}

// judge reports how many rounds of each sort there were, and fails when of a hundred
// something is missing.
func (c *tally) judge(t *testing.T) {
	t.Helper()
	for _, fault := range slices.Sorted(maps.Keys(faults())) {
		for _, kill := range kills() {
			t.Logf("%d rounds with %s and %s", c.rounds[round{fault, kill}], fault, kill)
		}
	}
	t.Logf("in the midst of a purge: %v; that ran into a time-out: %v", c.midst, c.lates)
	if *rounds < 100 {
		return
	}
	for _, text := range c.missing() {
		t.Error(text)
	}
}

// TestTally_TellsWhatIsMissing leaves out one thing after the other.
func TestTally_TellsWhatIsMissing(t *testing.T) {
	dealt := deal(rand.New(rand.NewPCG(1, 2)))
	tallied := func(take func(round) (fault, kill, late, counts bool)) []string {
		var c tally
		for _, r := range dealt {
			fault, kill, late, counts := take(r)
			if !counts {
				continue
			}
			if r.beyond() && late {
				c.late(r, statementTimeout)
			}
			c.struck(r, fault, kill)
		}
		return c.missing()
	}
	if len(dealt) != 100 {
		t.Errorf("%d rounds were dealt", len(dealt))
	}
	if texts := tallied(func(round) (bool, bool, bool, bool) { return true, true, true, true }); texts != nil {
		t.Errorf("nothing is missing, and it says %q", texts)
	}
	for name, c := range map[string]struct {
		take func(round) (fault, kill, late, counts bool)
		want int
	}{
		"no kill of PostgreSQL":       {func(r round) (bool, bool, bool, bool) { return true, true, true, r.kill != killServer }, len(faults()) + 1},
		"none in the midst":           {func(round) (bool, bool, bool, bool) { return true, false, true, true }, len(kills())},
		"no session that was stopped": {func(r round) (bool, bool, bool, bool) { return true, true, true, r.fault != faultStopped }, 3},
		"none was hit":                {func(r round) (bool, bool, bool, bool) { return r.fault != faultHung, true, true, true }, 1},
		"none was late":               {func(round) (bool, bool, bool, bool) { return true, true, false, true }, 2},
	} {
		if texts := tallied(c.take); len(texts) != c.want {
			t.Errorf("%s: %q; want %d", name, texts, c.want)
		}
	}
}
