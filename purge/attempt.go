package purge

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// abandonAfter is how long a call may go on after its context has ended before
// it is given up.
const abandonAfter = 5 * time.Second

// errLeftBehind marks a call that did not return: another one may run beside it.
var errLeftBehind = errors.New("left behind")

// caller is who calls a target, for the log.
type caller struct {
	name string
	log  *zap.Logger
	// within bounds the time of the call; nil is [context.WithTimeout].
	within func(context.Context, time.Duration) (context.Context, context.CancelFunc)
}

// attempt makes one call of a target, no longer than timeout. It never brings
// the process down: a panic is an error, and a call that does not heed its
// context is left behind.
func attempt[T any](ctx context.Context, c caller, op string, timeout time.Duration, fn func(context.Context) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	within := c.within
	if within == nil {
		within = context.WithTimeout
	}
	ctx, cancel := within(ctx, timeout)
	defer cancel()
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: store.Errorf(store.Internal, "target %s ended the goroutine of a call", c.name)}
		defer func() {
			if r := recover(); r != nil {
				a.err = store.Errorf(store.Internal, "target %s panicked: %v", c.name, r)
				c.log.Error("a target panicked", zap.String("target", c.name), zap.String("operation", op),
					zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			}
			answers <- a
		}()
		v, err := fn(ctx)
		a = answer{v, err}
	}()
	a := answer{}
	select {
	case a = <-answers:
	case <-ctx.Done():
		abandon := time.NewTimer(abandonAfter)
		defer abandon.Stop()
		select {
		case a = <-answers:
		case <-abandon.C:
			a.err = store.Errorf(store.Unavailable, "target %s did not return after its time-out of %s: %w: %w", c.name, timeout, errLeftBehind, ctx.Err())
		}
	}
	return a.v, a.err
}

// answered reports whether a call that ended with err was answered.
func answered(err error) bool {
	return err == nil || !ended(err) && !absent(err)
}

// absent reports whether err says that the system is not there.
func absent(err error) bool {
	var said Outage
	return store.CodeOf(err) == store.Unavailable || errors.As(err, &said) && said.Outage()
}
