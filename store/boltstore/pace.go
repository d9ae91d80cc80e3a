package boltstore

import "time"

// For so long after a change by a person, the background work of a transaction
// is cut to a multiple of what the changes of people take on this disk, commit
// included: people come one after another, and whoever comes meanwhile waits for
// the rest of it. A disk whose commits are slow allows more, and needs it, since
// each transaction pays for a commit.
const (
	courtesy = 100 * time.Millisecond
	// courtesyTenths is that multiple, in tenths.
	courtesyTenths = 20
	// courtesyLeast is the smallest share of the target that is left.
	courtesyLeast = 16
)

// pace is how long background work may take, and what that is made of. Only the
// writer's goroutine uses it.
type pace struct {
	// cost is what the changes of people in one transaction, and its commit,
	// take lately.
	cost time.Duration
	last time.Time // when a change of a person ran
	// granted is what the background work of the transaction under way may take.
	granted time.Duration
}

// target returns how long background work that begins now may take, of most.
func (p *pace) target(now time.Time, most time.Duration) time.Duration {
	if now.Sub(p.last) >= courtesy {
		return most
	}
	return min(max(p.cost*courtesyTenths/10, most/courtesyLeast), most)
}

// learn takes what the changes of people in a transaction, and its commit, took.
// It moves a step towards that, up a shorter one than down, to follow what the
// fastest fifth takes: a commit also writes what background work changed, and
// more of that must not allow still more. Unlike a mean it is not carried away
// by a disk or a processor that others use.
func (p *pace) learn(took time.Duration) {
	const up, down = 32, 8
	switch {
	case p.cost == 0:
		p.cost = took
	case took > p.cost:
		p.cost += p.cost / up
	default:
		p.cost -= p.cost / down
	}
}
