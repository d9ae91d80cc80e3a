package purge

import (
	"slices"
	"sync"
)

// slots bounds how many calls are under way. Who waits longest comes first, so
// that a tenant with many calls takes turns with the others. Unlike a
// [golang.org/x/sync/semaphore.Weighted] its bound can be changed.
type slots struct {
	mu      sync.Mutex
	limit   int
	used    int
	waiting []chan struct{} // closed when it is the turn
}

// resize changes the bound. What is under way beyond it ends.
func (s *slots) resize(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.serve()
}

// serve gives free slots to those that wait. The lock is held.
func (s *slots) serve() {
	for s.used < s.limit && len(s.waiting) > 0 {
		s.used++
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}

// acquire takes a slot, and reports false when one of the channels was closed
// before there was one.
func (s *slots) acquire(done, stop <-chan struct{}) bool {
	s.mu.Lock()
	if s.used < s.limit && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-done:
	case <-stop:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, turn); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		return false
	}
	// The turn came at the same time: pass it on.
	s.used--
	s.serve()
	return false
}

// release gives a slot back.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.serve()
}
