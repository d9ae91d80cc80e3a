package purge

import (
	"context"
	"io"
	"time"
)

// What a target can do beside [Target] it says with more interfaces: [Checker],
// [Doctor], [Initializer], [SubscriptionCounter] and [Closer] here, and [Accountant]
// and [Witness], which are found with [As] within whatever wraps it; and
// [GroupTarget], which is found within a [GuardedTarget] alone.

// Checker is a target that can say whether it is usable.
type Checker interface {
	// Check reaches the system with the configured credentials and changes
	// nothing. nil means that a count would be answered now.
	Check(ctx context.Context) error
}

// Doctor is a target, or a source, that can look for what would make a purge, or a
// sync, slow, wrong or impossible.
type Doctor interface {
	// Diagnose returns what it found, the worst first, and changes nothing. The
	// error says that it could not look; what it found until then is returned
	// all the same.
	Diagnose(ctx context.Context) ([]Finding, error)
}

// Initializer is a target that needs something of its own in the system, such
// as a table.
type Initializer interface {
	// Init creates what is missing. To call it again changes nothing.
	Init(ctx context.Context) error
}

// SubscriptionCounter is a target that knows what a tenant still pays for. It may
// hold no kinds: then it is asked about subscriptions and nothing else.
type SubscriptionCounter interface {
	// CountsSubscriptions reports whether the target is set up to know. It is
	// constant.
	CountsSubscriptions() bool
	// ActiveSubscriptions returns how many subscriptions of the tenant itself
	// are active, its sub-tenants not counted. It is asked right before a tenant,
	// or one above it, is claimed; one with a subscription is not purged. No
	// answer is an error, not 0: then it is not purged either.
	ActiveSubscriptions(ctx context.Context, tenantID string) (int64, error)
}

// Closer is a target that holds connections or processes. Close releases them;
// no call is under way then, and none follows.
type Closer = io.Closer

// Severity says how bad a [Finding] is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // a purge would fail or do harm
	SeverityWarning Severity = "warning" // a purge would be slow, or has rights that it does not need
	SeverityInfo    Severity = "info"
)

// Finding is one thing that a [Doctor] found.
type Finding struct {
	Severity Severity `json:"severity"`
	// Subject is what it is about, such as a table or an endpoint.
	Subject string `json:"subject"`
	// Text is one sentence for a person, without secrets.
	Text string `json:"text"`
	// Fix is what would mend it, such as a statement; "" where nothing needs to
	// be done.
	Fix string `json:"fix,omitempty"`
}

// Wrapper is a target around another one, such as a [GuardedTarget].
type Wrapper interface {
	// Inner returns the target within; never nil.
	Inner() Target
}

// As returns t, or the first target within it, that is a T.
func As[T any](t Target) (T, bool) {
	for {
		if v, ok := t.(T); ok {
			return v, true
		}
		w, ok := t.(Wrapper)
		if !ok {
			var none T
			return none, false
		}
		t = w.Inner()
	}
}

// Outage is an error of a system that said that it is not there. It counts as one
// that is [store.Unavailable], for the breaker as well, even where its code is that
// of a lost answer. It is found with [errors.As].
type Outage interface {
	error
	// Outage reports whether it is one.
	Outage() bool
}

// RetryAfter is an error of a system that said how long to wait before the next
// attempt. It is found with [errors.As].
type RetryAfter interface {
	error
	// RetryAfter is the wait from when the error was returned; 0 or less means
	// that the system did not say.
	RetryAfter() time.Duration
}
