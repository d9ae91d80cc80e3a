package purge

import (
	"errors"
	"math"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Policy is how a target may be called. A zero field is not a default: begin
// with [DefaultPolicy].
type Policy struct {
	// Concurrency is how many calls may be under way, 1 to 1,024. A target may make
	// several requests at a time in one.
	Concurrency int
	// Rate bounds the requests that are made in a second, retries included; 0 is no
	// bound. Those of a target that does not [Pace] them are its calls. Burst is how
	// many may be made at once after a rest, 1 to 10,000.
	Rate  float64
	Burst int
	// Timeout bounds one call, its waits not counted, 100 ms to 1 h.
	Timeout time.Duration
	// Retries is how often a call that failed is made again within a step, 0
	// to 100. What fails beyond that is an attempt of the purge.
	Retries int
	// BackoffInitial is the wait before the first retry; it doubles up to
	// BackoffMax, and up to a quarter is added or taken off by chance. A system
	// that asks for a longer wait gets it: up to BackoffMax the step waits,
	// beyond it the target is not called until then.
	BackoffInitial, BackoffMax time.Duration
	// BreakerFailures is how many calls have to fail in a row, of several tenants or
	// all for want of an answer, for the target not to be called for
	// BreakerCooldown; 0 is never. After that one call goes through, and its end
	// decides for the others.
	BreakerFailures int
	BreakerCooldown time.Duration
	// Window is when resources may be removed. To count is allowed at any time.
	Window Window
}

// DefaultPolicy returns a policy that suits a service on the network.
func DefaultPolicy() Policy {
	return Policy{
		Concurrency: 8, Burst: 1, Timeout: 30 * time.Second,
		Retries: 2, BackoffInitial: 500 * time.Millisecond, BackoffMax: 10 * time.Second,
		BreakerFailures: 5, BreakerCooldown: time.Minute,
	}
}

// Validate returns all that is wrong, joined, or nil. Each error is
// [store.Invalid] and has in its field the key, behind at, such as
// "targets[0].", as the configuration names it.
func (p Policy) Validate(at string) error {
	var errs []error
	check := func(ok bool, key string, value any, want string) {
		if !ok {
			errs = append(errs, store.Errorf(store.Invalid, "%s%s %v: want %s", at, key, value, want).At(at+key))
		}
	}
	check(p.Concurrency >= 1 && p.Concurrency <= 1024, "concurrency", p.Concurrency, "1 to 1024")
	check(p.Rate == 0 || p.Rate >= 0.001 && p.Rate <= 1e6 && !math.IsNaN(p.Rate), "rate", p.Rate, "0 (no limit) or 0.001 to 1000000 (requests a second)")
	check(p.Burst >= 1 && p.Burst <= 10_000, "burst", p.Burst, "1 to 10000")
	check(p.Timeout >= 100*time.Millisecond && p.Timeout <= time.Hour, "timeout", p.Timeout, "100ms to 1h")
	check(p.Retries >= 0 && p.Retries <= 100, "retries", p.Retries, "0 to 100")
	check(p.BackoffInitial >= time.Millisecond && p.BackoffInitial <= time.Hour, "backoffInitial", p.BackoffInitial, "1ms to 1h")
	check(p.BackoffMax >= p.BackoffInitial && p.BackoffMax <= time.Hour, "backoffMax", p.BackoffMax, "backoffInitial to 1h")
	check(p.BreakerFailures >= 0 && p.BreakerFailures <= 1_000_000, "breakerFailures", p.BreakerFailures, "0 (no breaker) to 1000000")
	check(p.BreakerFailures == 0 || p.BreakerCooldown >= time.Second && p.BreakerCooldown <= 24*time.Hour,
		"breakerCooldown", p.BreakerCooldown, "1s to 24h")
	return errors.Join(errs...)
}
