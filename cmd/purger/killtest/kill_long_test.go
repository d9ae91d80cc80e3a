//go:build long

package killtest

import (
	"testing"
)

// What the long loop must reach: this many rounds, and of each of these steps so
// many that were killed in their midst.
const (
	roundsLong = 200
	enough     = 30
)

func TestKill_G5_G7_TwoHundredRoundsHitEveryStepInItsMidst(t *testing.T) {
	l := newLoop(t)
	rounds := roundsLong
	if *roundsFlag > 0 {
		rounds = *roundsFlag
	}
	for n := range rounds {
		l.round(n+1, l.pick().do)
	}
	// A machine on which things take other times than a moment ago gets more
	// rounds to hit what was missed.
	n := rounds
	for ; n < 2*rounds && len(l.missed()) > 0 && rounds >= roundsLong; n++ {
		l.round(n+1, l.pick(l.missed()...).do)
	}
	l.end()
	t.Logf("%d rounds", n)
	for _, s := range l.missed() {
		if rounds >= roundsLong {
			t.Errorf("%s: %d kills fell into the midst; want %d", s, l.hits[s].hits, enough)
		}
	}
}

// missed returns the steps that were not hit often enough.
func (l *loop) missed() []string {
	var missed []string
	for _, s := range []string{stepImport, stepPass, stepCompaction, stepOpen} {
		if l.hits[s].hits < enough {
			missed = append(missed, s)
		}
	}
	return missed
}
