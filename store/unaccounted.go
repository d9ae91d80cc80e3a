package store

import "maps"

// Unaccounted is a difference between what was counted in a target and what was
// removed from it.
type Unaccounted struct {
	At Timestamp `json:"at"` // when it was first found to be so
	// Counts is how much more was counted than removed; negative is how much more
	// the target said to have removed than was counted.
	Counts Counts `json:"counts"`
}

// Most returns the larger count of each kind, and of sub-tenants.
func (c Counts) Most(o Counts) Counts {
	return Counts{
		Users:        max(c.Users, o.Users),
		Credentials:  max(c.Credentials, o.Credentials),
		APIKeys:      max(c.APIKeys, o.APIKeys),
		OAuthClients: max(c.OAuthClients, o.OAuthClients),
		SubTenants:   max(c.SubTenants, o.SubTenants),
	}
}

// Note takes over what a step tells of what there was in its target, for a store
// that has added its counts. What p held before is shared with other records, and
// is left as it is.
func (p *Progress) Note(a *Advance) {
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

// Absorb takes over what the purge of a descendant, which becomes part of p, knew
// of targets, for a store that has added its counts. What it had counted and not
// removed is thus expected of p too, whatever a count says now.
func (p *Progress) Absorb(q *Progress) {
	for name, c := range q.Counted {
		p.Counted = with(p.Counted, name, p.Counted[name].Plus(c.Most(q.Targets[name])))
	}
	for name, c := range q.Gone {
		p.Gone = with(p.Gone, name, p.Gone[name].Plus(c))
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
