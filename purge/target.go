package purge

import (
	"context"
	"errors"

	"github.com/tenantpurge/purger/store"
)

// Target is a system outside the store that holds resources of tenants. It is
// safe for concurrent use. Package targettest has the suite that every target
// passes.
//
// Ids are opaque: a target escapes them as its system needs, and compares them
// byte by byte. Absence is never consent: a target returns an error, not zero,
// when it did not get an answer that it understands.
//
// A call that makes several requests waits in [Pace] before each.
//
// A call heeds its context. One that does not return soon after its context has
// ended is left behind as lost, and a later attempt may then run beside it.
//
// An error says whether it makes sense to try again, see [Permanent], and
// whether the answer was lost. It was when the error is that of a context, has
// the code [store.Internal] or none at all: then more may have been removed than
// Removed says. With another code the system either was not reached or refused.
type Target interface {
	// Name identifies the target in receipts, log lines and metrics. It is
	// constant, unique among the targets of an engine, matches the alphabet of
	// [store.CheckID], and is not "store".
	Name() string
	// Kinds returns the kinds that the target holds. It is constant.
	Kinds() []store.Kind
	// Count returns how many resources of the kind the tenant itself has, its
	// sub-tenants not counted, as the system knows it now. It must not derive
	// it from what Purge did: it is the verification. A tenant that the system
	// does not know has 0.
	Count(ctx context.Context, tenantID string, kind store.Kind) (int64, error)
	// Purge removes up to r.Limit resources of one kind from the tenant itself,
	// for good. A resource that is gone already, or a tenant that the system
	// does not know, is a success. With an error, Removed tells what is known to
	// be removed all the same.
	Purge(ctx context.Context, r Request) (Removed, error)
}

// Request is one bounded step.
type Request struct {
	TenantID string
	// Subtree has all tenants of the purge, in no order that is to be relied on; nil in
	// a trial. It is shared: nobody changes it.
	Subtree []string
	// PurgeID names the purge that the step belongs to, across all targets and
	// attempts; it is also on the receipt. "" is none, as in a trial.
	PurgeID string
	Kind    store.Kind
	// OnAccount says that an [Accountant] keeps an account of the purge. Where it
	// cannot at the moment it must remove nothing, and return an error that is
	// not permanent: what is not on account would be counted wrong.
	OnAccount bool
	// Limit is the largest number of resources to remove, at least 1.
	Limit int
	// Resumed says that an earlier attempt may have sent the same request and
	// not seen the answer: it crashed, or the call timed out.
	Resumed bool
}

// Removed is what one step did.
type Removed struct {
	// Deleted counts what this step removed; what was gone already does not
	// count.
	Deleted int64
	// Gone counts what the step was about to remove and the system said to be gone.
	// It explains why fewer are removed than were counted; see [Witness].
	Gone int64
	// More says that there may be more: call again.
	More bool
	// Inexact says that the step removed more than Deleted, perhaps: an answer
	// within it was lost, and what was done about that succeeded.
	Inexact bool
}

// permanent marks an error that no further attempt would cure.
type permanent struct{ error }

// Unwrap returns the marked error.
func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as one that is not to be retried: the purge is failed at
// once and waits for a person. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether any error in err's chain was marked by
// [Permanent].
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}
