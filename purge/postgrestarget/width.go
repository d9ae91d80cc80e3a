package postgrestarget

import (
	"sync"

	"github.com/tenantpurge/purger/store"
)

// widths holds how many calls of a kind go into a statement: few enough that
// they are about no more rows than one may remove, and remove them in time. It
// is a guess, made from what was seen, and the zero value is the largest.
type widths struct {
	mu sync.Mutex
	of map[store.Kind]int
}

// get returns the width for a kind.
func (w *widths) get(kind store.Kind) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known(kind)
}

func (w *widths) known(kind store.Kind) int {
	if n := w.of[kind]; n > 0 {
		return n
	}
	return maxGroup
}

// narrow notes that more than n calls are too many.
func (w *widths) narrow(kind store.Kind, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[store.Kind]int{}
	}
	w.of[kind] = max(min(n, w.known(kind)), 1)
}

// grow notes that there would have been room for n calls.
func (w *widths) grow(kind store.Kind, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > w.known(kind) {
		w.of[kind] = min(n, maxGroup)
	}
}

// split divides calls into groups with no more of each kind than its width.
func (w *widths) split(calls []*removing) [][]*removing {
	var groups [][]*removing
	for _, part := range byKind(calls) {
		n := w.get(part[0].kind)
		for i := 0; len(part) > 0; i++ {
			if i == len(groups) {
				groups = append(groups, nil)
			}
			k := min(n, len(part))
			groups[i] = append(groups[i], part[:k]...)
			part = part[k:]
		}
	}
	return groups
}
