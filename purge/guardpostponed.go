package purge

import (
	"errors"
	"time"

	"github.com/tenantpurge/purger/store"
)

// PostponeReason says why a target is not called now.
type PostponeReason string

// The reasons.
const (
	PostponeWindow     PostponeReason = "window"      // its maintenance window is closed
	PostponeBreaker    PostponeReason = "breaker"     // too many calls failed in a row
	PostponeRetryAfter PostponeReason = "retry_after" // the system asked to wait
)

// PostponeReasons returns every reason.
func PostponeReasons() []PostponeReason {
	return []PostponeReason{PostponeWindow, PostponeBreaker, PostponeRetryAfter}
}

// PostponedError says that a target was not called, and when to come again. It
// has the code [store.Unavailable]. A purge that only such errors keep from its
// end goes on at Until, and no attempt of it is counted.
type PostponedError struct {
	Target string
	Reason PostponeReason
	Until  time.Time

	// The policy of which guard that was; nil when it was nobody's policy.
	guard *GuardedTarget
	under *Policy
}

// renewed returns Until as the policy that is in force at now has it.
func (e *PostponedError) renewed(now time.Time) time.Time {
	if e.guard == nil {
		return e.Until
	}
	p := e.guard.policy.Load()
	if p == e.under {
		return e.Until
	}
	return e.guard.opens(now, p, e.Reason)
}

// Error implements error.
func (e *PostponedError) Error() string { return e.Unwrap().Error() }

// Unwrap returns an error with the code.
func (e *PostponedError) Unwrap() error {
	why := "its maintenance window is closed"
	switch e.Reason {
	case PostponeBreaker:
		why = "too many calls failed in a row"
	case PostponeRetryAfter:
		why = "it asked to wait"
	}
	return store.Errorf(store.Unavailable, "%s is not called before %s: %s", e.Target, store.FormatTime(e.Until), why)
}

// notSent says that the caller stopped while a call waited for its turn: nothing
// was sent. Unlike the error of a context it is no lost answer.
type notSent struct{ target string }

func (e *notSent) Error() string { return e.Unwrap().Error() }

func (e *notSent) Unwrap() error {
	return store.Errorf(store.Unavailable, "%s was not called: stopped while waiting for its turn", e.target)
}

func isPostponed(err error) bool {
	var put *PostponedError
	return errors.As(err, &put)
}

// cutShort reports whether a call ended because it was told to by [Pace], and not
// because of anything that the system did.
func cutShort(err error) bool {
	var unsent *notSent
	return errors.As(err, &unsent) || isPostponed(err)
}
