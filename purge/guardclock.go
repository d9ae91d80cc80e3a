package purge

import (
	"context"
	"sync"
	"time"
)

// callClock is the context of a call whose time-out can be made to stand still.
// Only its end by the time-out, or by the parent, is told by Err: what is derived
// from it ends in the same way.
type callClock struct {
	value  func(key any) any
	parent time.Time // its deadline; zero for none
	leave  func() bool
	done   chan struct{}

	mu    sync.Mutex
	err   error
	waits int           // how many keep it from running
	since time.Time     // it runs, or stands, since then
	left  time.Duration // until the time-out, at that time
	idle  time.Duration // for which it stood before
	timer *time.Timer
}

// newCallClock returns a clock that runs. It has to be ended.
func newCallClock(parent context.Context, timeout time.Duration) *callClock {
	c := &callClock{value: parent.Value, done: make(chan struct{}), since: time.Now(), left: timeout}
	c.parent, _ = parent.Deadline()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(timeout, func() { c.end(context.DeadlineExceeded) })
	c.leave = context.AfterFunc(parent, func() { c.end(parent.Err()) })
	return c
}

// Deadline implements context.Context. While the clock stands, it moves on.
func (c *callClock) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.since
	if c.waits > 0 {
		at = time.Now()
	}
	at = at.Add(c.left)
	if !c.parent.IsZero() && c.parent.Before(at) {
		at = c.parent
	}
	return at, true
}

// Done implements context.Context.
func (c *callClock) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *callClock) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context.
func (c *callClock) Value(key any) any { return c.value(key) }

// end ends the context, unless it has ended.
func (c *callClock) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	c.timer.Stop()
	c.leave()
}

// pause stops the clock until resume is called; it runs again when all have.
func (c *callClock) pause() (resume func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits == 0 {
		c.timer.Stop()
		now := time.Now()
		c.left = max(c.left-now.Sub(c.since), 0)
		c.since = now
	}
	c.waits++
	return c.resume
}

func (c *callClock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits--; c.waits > 0 {
		return
	}
	now := time.Now()
	c.idle += now.Sub(c.since)
	c.since = now
	if c.err == nil {
		c.timer.Reset(c.left)
	}
}

// stood returns for how long the clock stood still.
func (c *callClock) stood() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits > 0 {
		return c.idle + time.Since(c.since)
	}
	return c.idle
}
