package store

import "sync"

// Quota bounds how many tenants the claims of one pass take together, their
// descendants counted. It is safe for concurrent use. The zero value and nil
// bound nothing.
type Quota struct {
	max   int64
	mu    sync.Mutex
	taken map[string]int64
	sum   int64
}

// NewQuota returns a quota of limit tenants; 0 or less bounds nothing.
func NewQuota(limit int64) *Quota {
	return &Quota{max: limit, taken: map[string]int64{}}
}

// Reserve takes n tenants for the claim of id and reports whether they fit.
// Reserving again for the same id replaces what it took before, so that a
// transaction may be repeated.
func (q *Quota) Reserve(id string, n int64) bool {
	if q == nil || q.max <= 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.beyond(id, n) > 0 {
		return false
	}
	q.take(id, n)
	return true
}

// Beyond returns how many of n tenants do not fit, beside what the claims of
// other tenants took. It takes nothing: a store that decides claims one after
// the other asks it first, and takes with Take.
func (q *Quota) Beyond(id string, n int64) int64 {
	if q == nil || q.max <= 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.beyond(id, n)
}

// Take takes n tenants for the claim of id, whether or not they fit.
func (q *Quota) Take(id string, n int64) {
	if q == nil || q.max <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.take(id, n)
}

// beyond is Beyond with the lock held.
func (q *Quota) beyond(id string, n int64) int64 {
	return min(max(q.sum-q.taken[id]+n-q.max, 0), n)
}

// take is Take with the lock held.
func (q *Quota) take(id string, n int64) {
	q.sum += n - q.taken[id]
	q.taken[id] = n
}

// Release gives back what the claim of id took.
func (q *Quota) Release(id string) {
	if q == nil || q.max <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sum -= q.taken[id]
	delete(q.taken, id)
}

// Max returns the bound, 0 when there is none.
func (q *Quota) Max() int64 {
	if q == nil {
		return 0
	}
	return max(q.max, 0)
}
