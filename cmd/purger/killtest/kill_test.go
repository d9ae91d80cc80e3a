package killtest

import (
	"testing"
)

// roundsShort is how many rounds are made with every run of the tests; the build
// tag "long" has many more.
const roundsShort = 10

func TestKill_G5_G7_WhatWasAcknowledgedIsThereAndWhatWasNotAskedForIsNotGone(t *testing.T) {
	l := newLoop(t)
	steps := l.steps()
	rounds := roundsShort
	if *roundsFlag > 0 {
		rounds = *roundsFlag
	}
	for n := range rounds {
		l.round(n+1, steps[n%len(steps)].do)
	}
	l.end()
}
