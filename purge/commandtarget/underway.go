package commandtarget

import (
	"sync"
	"time"
)

// underWay are the runs that have begun and not ended. The zero value is of none.
// It is safe for concurrent use.
type underWay struct {
	mu     sync.Mutex
	runs   int
	closed bool
	end    chan struct{} // closed when the runs are to end
	none   chan struct{} // closed when none is left of those that were to end
}

// begin counts a run and returns what tells it to end; false after close.
func (u *underWay) begin() (<-chan struct{}, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, false
	}
	u.channels()
	u.runs++
	return u.end, true
}

// done takes a run off.
func (u *underWay) done() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.runs--; u.closed && u.runs == 0 {
		close(u.none)
	}
}

// close tells the runs to end, lets none begin, and waits until none is left, as
// long as within. It returns how many are left.
func (u *underWay) close(within time.Duration) int {
	u.mu.Lock()
	u.channels()
	if !u.closed {
		u.closed = true
		close(u.end)
		if u.runs == 0 {
			close(u.none)
		}
	}
	u.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-u.none:
	case <-timer.C:
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.runs
}

// channels makes them, once; the lock is held.
func (u *underWay) channels() {
	if u.end == nil {
		u.end, u.none = make(chan struct{}), make(chan struct{})
	}
}
