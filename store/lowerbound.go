package store

import (
	"cmp"
	"maps"
	"slices"
)

// LowerBound names a count that may be less than what was removed, since an answer
// was lost, or a crash came between a call and its record.
type LowerBound struct {
	Target string `json:"target"`
	Kind   Kind   `json:"kind,omitempty"` // "": any that the target holds
}

// joinLowerBounds returns, in a slice of its own, ordered and each once, what both
// lists name. Any kind of a target stands for each.
func joinLowerBounds(list, more []LowerBound) []LowerBound {
	all := slices.Concat(list, more)
	kinds := Kinds()
	slices.SortFunc(all, func(a, b LowerBound) int { // any kind, which is none of them, is the first
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)))
	})
	var joined []LowerBound
	for _, b := range all {
		if n := len(joined); n == 0 || joined[n-1] != b && joined[n-1] != (LowerBound{Target: b.Target}) {
			joined = append(joined, b)
		}
	}
	return joined
}

// Bounds returns which counts of the purge are a lower bound: those that were
// named, and of a purge that is inexact and does not say where, those of all targets.
func (p *Progress) Bounds() []LowerBound {
	if !p.CountsInexact || len(p.LowerBounds) > 0 {
		return p.LowerBounds
	}
	return p.everywhere()
}

// everywhere names all targets.
func (p *Progress) everywhere() []LowerBound {
	var all []LowerBound
	for name := range p.Targets {
		all = append(all, LowerBound{Target: name})
	}
	return joinLowerBounds(all, nil)
}

// OwnerVanished notes that an owner vanished who may have been in the midst of a call: of
// each target that was counted, or if none was, of each that there is. holds has
// what they hold.
func (p *Progress) OwnerVanished(holds map[string][]Kind) {
	names := slices.Collect(maps.Keys(p.Targets))
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(holds))
	}
	var more []LowerBound
	for _, name := range names {
		kinds := holds[name]
		if len(kinds) == 0 {
			kinds = []Kind{""}
		}
		for _, k := range kinds {
			more = append(more, LowerBound{name, k})
		}
	}
	p.AddBounds(more)
}

// AddBounds makes the counts a lower bound: of what is named, besides what was
// before, and everywhere when nothing is.
func (p *Progress) AddBounds(more []LowerBound) {
	known := p.LowerBounds
	switch {
	case len(more) > 0:
		known = p.Bounds()
	case len(known) > 0:
		more = p.everywhere()
	}
	p.CountsInexact, p.LowerBounds = true, joinLowerBounds(known, more)
}

// Settle makes the counts exact of targets that keep an account, of those named,
// which were compared with it. What is then left of [Progress.Bounds] is in
// LowerBounds, and the counts stay inexact with it, or while no target removed
// anything that could have been compared.
func (p *Progress) Settle(targets []string) {
	left := slices.DeleteFunc(slices.Clone(p.Bounds()), func(b LowerBound) bool {
		return p.HasAccount(b.Target) && slices.Contains(targets, b.Target)
	})
	if len(left) == 0 {
		left = nil
	}
	p.CountsInexact = p.CountsInexact && (left != nil || len(p.Targets) == 0)
	p.LowerBounds = left
}
