package purge

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// wait waits for d. over says that it has passed, and not that changed, which may
// be nil, was closed before; ok is false when ctx or a stop ended first.
func wait(ctx context.Context, d time.Duration, changed <-chan struct{}) (over, ok bool) {
	if d <= 0 {
		return true, true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, true
	case <-changed:
		return false, true
	case <-ctx.Done():
	case <-stopOf(ctx):
	}
	return false, false
}

// stopKey is the key of the channel that ends waits, but not calls.
type stopKey struct{}

// stoppedBy returns ctx with a channel that ends the waits of a [GuardedTarget]
// and leaves its calls alone.
func stoppedBy(ctx context.Context, stop <-chan struct{}) context.Context {
	return context.WithValue(ctx, stopKey{}, stop)
}

// stopOf returns that channel; nil, which is never closed, without one.
func stopOf(ctx context.Context) <-chan struct{} {
	stop, _ := ctx.Value(stopKey{}).(<-chan struct{})
	return stop
}

// Every wait between attempts grows by growth and is spread by jitter to either
// side.
const (
	growth = 2
	jitter = 0.25
)

// delay returns how long to wait after the n-th failed attempt, n from 1.
func (s *settings) delay(n int) time.Duration { return nthWait(n, s.BackoffInitial, s.BackoffMax) }

// nthWait returns the n-th wait, n from 1, of those that begin with initial and grow
// no further than most.
func nthWait(n int, initial, most time.Duration) time.Duration {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = initial, most
	b.Multiplier, b.RandomizationFactor = growth, jitter
	d := b.NextBackOff()
	for range n - 1 {
		d = b.NextBackOff()
	}
	return d
}
