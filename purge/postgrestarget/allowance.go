package postgrestarget

import "sync"

// allowance is how many rows of a tenant a statement of the operator's own may still
// remove, as of the last count.
type allowance struct {
	rows int64 // -1 when they are to be counted
	// hurried: there was no time to count in the transaction that removes.
	hurried bool
}

// allowances remembers those of tenants that take more than one step. One that is
// not known is counted. The zero value is ready.
type allowances struct {
	mu sync.Mutex
	by map[key]allowance
}

// maxAllowances bounds what is remembered of tenants whose purge is not gone on with.
const maxAllowances = 10_000

func (a *allowances) of(k key) (allowance, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.by[k]
	return v, ok
}

func (a *allowances) set(k key, v allowance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil || len(a.by) >= maxAllowances {
		a.by = map[key]allowance{}
	}
	a.by[k] = v
}

func (a *allowances) end(k key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, k)
}
