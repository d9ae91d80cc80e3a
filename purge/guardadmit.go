package purge

import (
	"context"
	"errors"
	"time"
)

// admit waits until a call may be made, and takes a slot for it. probe says that
// it decides for the breaker.
func (g *GuardedTarget) admit(ctx context.Context, op string) (probe bool, err error) {
	done, stop := ctx.Done(), stopOf(ctx)
	for {
		// Whoever must not call now does not wait in the line for it either.
		if _, err := g.gate(ctx, op, false); err != nil {
			return false, err
		}
		if ctx.Err() != nil || !g.slots.acquire(done, stop) {
			return false, &notSent{g.name}
		}
		if err := g.token(ctx, op); err != nil {
			g.slots.release()
			return false, err
		}
		probe, err := g.gate(ctx, op, true)
		if errors.Is(err, errAgain) {
			g.slots.release()
			continue
		}
		if err != nil {
			g.slots.release()
		}
		return probe, err
	}
}

// closed returns a failure when nothing may be removed at an instant because of
// the window; nil otherwise.
func (g *GuardedTarget) closed(at time.Time) error {
	if put := g.outside(at, g.policy.Load()); put != nil {
		return &failure{target: g.name, err: put}
	}
	return nil
}

// outside returns when the window opens that is closed; nil when it is open.
func (g *GuardedTarget) outside(now time.Time, p *Policy) *PostponedError {
	if p.Window.Open(now) {
		return nil
	}
	until := p.Window.Next(now)
	if until.IsZero() {
		until = now.Add(wholeDay)
	}
	return &PostponedError{Target: g.name, Reason: PostponeWindow, Until: until, guard: g, under: p}
}

// opens returns when what puts calls off for a reason lets them through, by a
// policy; now when it does.
func (g *GuardedTarget) opens(now time.Time, p *Policy, reason PostponeReason) time.Time {
	switch reason {
	case PostponeWindow:
		if put := g.outside(now, p); put != nil {
			return put.Until
		}
	case PostponeBreaker:
		if ok, _, until := g.brk.ask(now, p, false); !ok {
			return until
		}
	case PostponeRetryAfter: // is the system's, and no policy's
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.notBefore.After(now) {
			return g.notBefore
		}
	}
	return now
}

// errAgain says that the system asked for a wait while a call was in the line.
var errAgain = errors.New("wait again")

// gate returns why a call must not be made now. A wait that the system asked for
// is waited for when it is short, unless take says that the call has its slot.
func (g *GuardedTarget) gate(ctx context.Context, op string, take bool) (probe bool, err error) {
	for {
		p, changed := g.current()
		now := time.Now()
		if op == opPurge {
			if put := g.outside(now, p); put != nil {
				return false, put
			}
		}
		g.mu.Lock()
		asked := g.notBefore.Sub(now)
		g.mu.Unlock()
		if asked > p.BackoffMax {
			return false, &PostponedError{Target: g.name, Reason: PostponeRetryAfter, Until: now.Add(asked)}
		}
		if asked > 0 && take {
			return false, errAgain
		}
		if asked > 0 {
			if _, ok := wait(ctx, asked, changed); !ok {
				return false, &notSent{g.name}
			}
			continue
		}
		ok, probe, until := g.brk.ask(now, p, take)
		if !ok {
			return false, &PostponedError{Target: g.name, Reason: PostponeBreaker, Until: until, guard: g, under: p}
		}
		return probe, nil
	}
}

// token waits until the rate allows one more call. Only the first in the line
// waits for time to pass, so that a new rate is in force at once. For a call that
// must not be made any more nobody waits.
func (g *GuardedTarget) token(ctx context.Context, op string) error {
	if !g.head.acquire(ctx.Done(), stopOf(ctx)) {
		return &notSent{g.name}
	}
	defer g.head.release()
	for {
		p, changed := g.current()
		if op == opPurge {
			if put := g.outside(time.Now(), p); put != nil {
				return put
			}
		}
		r := g.rate.Reserve()
		over, ok := wait(ctx, r.Delay(), changed)
		if over {
			return nil
		}
		r.Cancel()
		if !ok {
			return &notSent{g.name}
		}
	}
}
