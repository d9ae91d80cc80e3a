package store

import (
	"maps"
	"slices"
	"time"
)

// Progress is the state of a purge that was claimed and is not finished.
type Progress struct {
	PurgeID   string    `json:"purgeId"` // also that of the receipt
	Fence     uint64    `json:"fence"`
	Owner     string    `json:"owner"`
	LeaseEnd  Timestamp `json:"leaseEnd,omitzero"` // zero: nobody works on it
	ClaimedAt Timestamp `json:"claimedAt"`
	ClaimedBy string    `json:"claimedBy"` // actor id
	Trigger   string    `json:"trigger,omitempty"`
	Immediate bool      `json:"immediate,omitempty"`
	// Attempts counts the attempts that ended in an error since the claim or
	// the last retry by a person.
	Attempts    int       `json:"attempts,omitempty"`
	NextAttempt Timestamp `json:"nextAttempt,omitzero"`
	// Awaits is what NextAttempt waits for, until it is resumed; empty when that is
	// the backoff after an attempt.
	Awaits    []Awaited `json:"awaits,omitempty"`
	LastError string    `json:"lastError,omitempty"`
	Tenants   int64     `json:"tenants"` // size of the subtree at the claim
	Planned   Counts    `json:"planned"` // what the store held at the claim
	Deleted   Counts    `json:"deleted"` // in the store and in all targets
	// Targets holds what each target reported as deleted.
	Targets map[string]Counts `json:"targets,omitempty"`
	// CountsInexact: a crash or a lost answer made Deleted a lower bound. LowerBounds
	// says where; see [Progress.Bounds].
	CountsInexact bool         `json:"countsInexact,omitempty"`
	LowerBounds   []LowerBound `json:"lowerBounds,omitempty"`
	// Holds has what each target held, by the configuration of every owner: all of
	// them have to be counted before the purge ends.
	Holds map[string][]Kind `json:"holds,omitempty"`
	// Accounts names the targets that keep an account of their own of everything
	// that they removed for the purge.
	Accounts []string `json:"accounts,omitempty"`
	// Counted holds what was in each target by the first count of the purge, and
	// what was removed before it. Gone is how much of it was found gone when it was
	// to be removed.
	Counted map[string]Counts `json:"counted,omitempty"`
	Gone    map[string]Counts `json:"gone,omitempty"`
	// Unaccounted holds the targets in which an attempt found by how much Counted
	// and what was removed differ, with nothing to explain it.
	Unaccounted map[string]Unaccounted `json:"unaccounted,omitempty"`
}

// HasAccount reports whether a target is among Accounts.
func (p *Progress) HasAccount(target string) bool { return slices.Contains(p.Accounts, target) }

// Advance is what a target did since the last report.
type Advance struct {
	At     time.Time
	Lease  time.Duration // the claim is the owner's for so long again
	Target string        // "" for a mere sign of life
	// Planned and Deleted are added to what is on record.
	Planned, Deleted Counts
	// Inexact says that a call may have deleted more than was reported, and
	// LowerBounds, if it is known, of what.
	Inexact     bool
	LowerBounds []LowerBound
	// Account adds Target to [Progress.Accounts].
	Account bool
	// Counted, unless nil, is what a count found in Target, for [Progress.Counted].
	Counted *Counts
	// Gone is added to [Progress.Gone].
	Gone Counts
	// Unaccounted, unless nil, replaces that of Target in [Progress.Unaccounted].
	Unaccounted *Unaccounted
}

// Take takes over what a target did. What p held before is shared with other
// records, and is left as it is.
func (p *Progress) Take(a *Advance) {
	p.LeaseEnd.Time = Trim(a.At.Add(a.Lease))
	p.Planned, p.Deleted = p.Planned.Plus(a.Planned), p.Deleted.Plus(a.Deleted)
	if a.Inexact || len(a.LowerBounds) > 0 {
		p.AddBounds(a.LowerBounds) // of what there was until now
	}
	if a.Target == "" {
		return
	}
	p.Targets = with(p.Targets, a.Target, p.Targets[a.Target].Plus(a.Deleted))
	if a.Account && !p.HasAccount(a.Target) {
		p.Accounts = append(slices.Clone(p.Accounts), a.Target)
	}
	if a.Counted != nil {
		p.Counted = with(p.Counted, a.Target, p.Counted[a.Target].Most(p.Targets[a.Target].Plus(*a.Counted)))
	}
	if a.Gone != (Counts{}) {
		p.Gone = with(p.Gone, a.Target, p.Gone[a.Target].Plus(a.Gone))
	}
	if a.Unaccounted != nil {
		u := *a.Unaccounted
		u.At.Time = Trim(u.At.Time)
		p.Unaccounted = with(p.Unaccounted, a.Target, u)
	}
}

// Absorb takes over the purge of a descendant, which becomes part of p. What that
// had counted and not removed is thus expected of p too, whatever a count says now.
// What p held before is left as it is.
func (p *Progress) Absorb(q *Progress) {
	p.Planned, p.Deleted = p.Planned.Plus(q.Deleted), p.Deleted.Plus(q.Deleted)
	if q.CountsInexact {
		p.AddBounds(q.Bounds()) // of what there was until now
	}
	for name, c := range q.Targets {
		p.Targets = with(p.Targets, name, p.Targets[name].Plus(c))
	}
	for name, c := range q.Counted {
		p.Counted = with(p.Counted, name, p.Counted[name].Plus(c.Most(q.Targets[name])))
	}
	for name, c := range q.Gone {
		p.Gone = with(p.Gone, name, p.Gone[name].Plus(c))
	}
	p.Include(q.Holds)
}

// Include adds to Holds what targets hold. One without a kind holds nothing.
func (p *Progress) Include(holds map[string][]Kind) {
	for name, kinds := range holds {
		known := p.Holds[name]
		all := slices.DeleteFunc(Kinds(), func(k Kind) bool { return !slices.Contains(kinds, k) && !slices.Contains(known, k) })
		if len(all) > len(known) {
			p.Holds = with(p.Holds, name, all)
		}
	}
}

// with returns a copy of m with one more entry.
func with[V any](m map[string]V, name string, v V) map[string]V {
	m = maps.Clone(m)
	if m == nil {
		m = make(map[string]V, 1)
	}
	m[name] = v
	return m
}
