package store

import "time"

// Awaited is a target that must not be called yet, and why.
type Awaited struct {
	Target string `json:"target"`
	Reason string `json:"reason"`
}

// Wait is the end of work on a claim that goes on later, at no fault of its own.
type Wait struct {
	At    time.Time // of the decision
	Until time.Time // the tenant is resumable from then on
	// For is why: a later change of any of it may end the wait. See
	// [Store.Hasten].
	For []Awaited
}

// Hastened returns when the next attempt of a purge is by what is known of that
// which it waits for, and whether this is earlier than the one on record. Instants
// are those from which on it need not wait any more; what is not in there has none.
func (p *Progress) Hastened(next map[Awaited]time.Time) (at time.Time, earlier bool) {
	at = p.NextAttempt.Time
	for _, a := range p.Awaits {
		if t, ok := next[a]; ok && Trim(t).Before(at) {
			at, earlier = Trim(t), true
		}
	}
	return at, earlier
}
