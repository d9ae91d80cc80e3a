package postgrestarget

import (
	"context"
	"sync"
)

// underway has what is to be cancelled when the target is closed. The zero value is
// ready. It is safe for concurrent use.
type underway struct {
	mu      sync.Mutex
	next    int
	cancels map[int]context.CancelFunc
	closed  bool
}

// add returns a context that ends with ctx, and with the target. The function that it
// returns is to be called once what has the context is over.
func (u *underway) add(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		cancel()
		return ctx, cancel
	}
	if u.cancels == nil {
		u.cancels = map[int]context.CancelFunc{}
	}
	id := u.next
	u.next++
	u.cancels[id] = cancel
	return ctx, func() {
		cancel()
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.cancels, id)
	}
}

// cancel ends all contexts, and those that are yet to come.
func (u *underway) cancel() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for _, cancel := range u.cancels {
		cancel()
	}
}
