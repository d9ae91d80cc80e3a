//go:build long

package postgrestest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Every round ends with one of these.
const (
	killPurger = "kill -9 of purger"
	killServer = "kill -9 of PostgreSQL"
)

// What comes before the kill.
const (
	faultNone    = "nothing else"
	faultSession = "sessions that are ended"
	faultStopped = "a session that is stopped"
	faultHung    = "sessions that hang"
	faultBeyond  = "sessions that hang beyond every time-out"
	sourceHung   = "sessions of the source that hang"
	sourceBeyond = "sessions of the source that hang beyond every time-out"
)

func kills() []string { return []string{killPurger, killServer} }

// faults are those before the kill, with how many of a hundred rounds each has: what
// hangs takes long.
func faults() map[string]int {
	return map[string]int{
		faultNone: 50, faultSession: 12, faultStopped: 16,
		faultHung: 6, faultBeyond: 6, sourceHung: 4, sourceBeyond: 6,
	}
}

// round is what happens in the midst of a pass.
type round struct{ fault, kill string }

// deal returns a hundred rounds in any order. Each fault is followed by one kill as
// often as by the other.
func deal(rng *rand.Rand) []round {
	var all []round
	for _, fault := range slices.Sorted(maps.Keys(faults())) { // the seed tells the rounds
		for i := range faults()[fault] {
			all = append(all, round{fault, kills()[i%2]})
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// beyond reports whether a pass runs into its time-outs before the kill, which falls
// into the next one.
func (r round) beyond() bool { return r.fault == faultBeyond || r.fault == sourceBeyond }

// ofSource reports whether it is the source that does not answer.
func (r round) ofSource() bool { return r.fault == sourceHung || r.fault == sourceBeyond }

// waits returns how long at most a pass has before the fault, and how long at most
// passes between that and the kill.
func (r round) waits() (fault, kill time.Duration) {
	const moment = 40 * time.Millisecond
	switch r.fault {
	case faultHung:
		return moment, statementTimeout
	case sourceHung:
		return 0, statementTimeout
	case sourceBeyond:
		return 0, moment
	}
	return moment, moment
}
