package purge

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Pace waits until the [Policy] of a [GuardedTarget] allows one more request. A
// target that makes several requests in a call waits in it before each of them,
// those made again included; package httpcall does so by itself. ctx is that of
// the call, or derived from it. The first request of a call has been waited for
// when the call began. Without a guard, or a rate, there is nothing to wait for.
// It is safe for concurrent use.
//
// The time-out of the call stands still while one of its requests waits.
//
// An error says that the request must not be made: the call was told to stop, its
// time is over, or the window has closed. It has the code [store.Unavailable], and
// not the error of a context, since nothing was sent. The target begins nothing
// more, lets end what is under way, and returns the error in the chain of its own,
// beside what it did until then: that is no failure of the system.
func Pace(ctx context.Context) error {
	p := pacedBy(ctx)
	if p == nil || p.free || p.begun.CompareAndSwap(false, true) {
		return nil
	}
	resume := p.clock.pause()
	err := p.guard.token(ctx, p.op)
	resume()
	switch {
	case ctx.Err() != nil:
		return store.Errorf(store.Unavailable, "no time was left for one more request: %v", ctx.Err())
	case err != nil:
		return err
	case p.op == opPurge:
		if put := p.guard.outside(time.Now(), p.guard.policy.Load()); put != nil {
			return put
		}
	}
	return nil
}

// Idle has the time-out of a call stand still until done is called: while it
// waits for another call of the same target, which may itself wait in [Pace].
func Idle(ctx context.Context) (done func()) {
	if p := pacedBy(ctx); p != nil && !p.free {
		return p.clock.pause()
	}
	return func() {}
}

// Rest waits for d, for which a system wants to be left alone in the midst of a call,
// with the time-out of the call standing still, whether there is a rate or not. The
// error is as in [Pace]: the call was told to stop, or its time is over.
func Rest(ctx context.Context, d time.Duration) error {
	p := pacedBy(ctx)
	if p != nil {
		resume := p.clock.pause()
		defer resume()
	}
	over, _ := wait(ctx, d, nil)
	switch {
	case over:
		return nil
	case p != nil:
		return &notSent{p.guard.name}
	}
	return store.Errorf(store.Unavailable, "stopped in a wait of %s that the system asked for: %v", d, ctx.Err())
}

// The shortest time after which a step ends because it takes long, and how many
// times longer than its beginning it may take in any case.
const (
	longStep  = time.Minute
	listShare = 4
)

// Enough returns a function that reports whether a step of [Target.Purge] should
// begin nothing more and return [Removed.More], given how many resources it has
// removed so far. ctx is that of the call; began is when the step began to look
// for what it removes from now on.
//
// It is enough in the second half of the time that is left now until the
// time-out, so that a step that is slow is a short one, and not one that fails.
// It is also enough, once something was removed, after a minute or four times as
// long as it took to find it, whichever is longer: then what a low rate lets
// through goes on record now and then, and the search is a small part of it.
// The function is safe for concurrent use.
func Enough(ctx context.Context, began time.Time) func(removed int64) bool {
	now := time.Now()
	long := max(longStep, listShare*now.Sub(began))
	deadline, bounded := ctx.Deadline()
	half := deadline.Sub(now) / 2
	return func(removed int64) bool {
		at := time.Now()
		if removed > 0 && at.Sub(now) >= long {
			return true
		}
		if !bounded {
			return false
		}
		deadline, _ := ctx.Deadline() // waits have put it off
		return deadline.Sub(at) < half
	}
}

// pacedKey is the key of the *paced of a call.
type pacedKey struct{}

func pacedBy(ctx context.Context) *paced {
	p, _ := ctx.Value(pacedKey{}).(*paced)
	return p
}

// paced is a call under way, each request of which counts for the rate.
type paced struct {
	guard *GuardedTarget
	op    string
	free  bool        // there was no rate when it began
	begun atomic.Bool // the first request was made
	clock *callClock
}

// paced returns what a call by a policy is paced by; nil for a check, which goes past
// the rate and waits for nobody.
func (g *GuardedTarget) paced(p *Policy, op string) *paced {
	if op == opCheck {
		return nil
	}
	return &paced{guard: g, op: op, free: p.Rate == 0}
}

// within returns the context of the call; it has the signature of
// [context.WithTimeout].
func (p *paced) within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if p == nil {
		return context.WithTimeout(ctx, timeout)
	}
	ctx = context.WithValue(ctx, pacedKey{}, p)
	p.clock = newCallClock(ctx, timeout)
	ctx, cancel := context.WithCancel(p.clock)
	return ctx, func() {
		p.clock.end(context.Canceled)
		cancel()
	}
}

// waited returns how long the call waited for the rate.
func (p *paced) waited() time.Duration {
	if p == nil {
		return 0
	}
	return p.clock.stood()
}
