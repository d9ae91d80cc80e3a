package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// Bounds of kept answers.
const (
	// ReplayLife is how long after its call began an answer is kept.
	ReplayLife = 24 * time.Hour
	// MaxReplays is how many are kept at a time, and MaxReplayBytes about how many
	// bytes of them. Calls under way count.
	MaxReplays     = 100_000
	MaxReplayBytes = 64 << 20
	// OwnerShare is the part of both that one caller may use up: one in so many.
	OwnerShare = 10
	// MaxAnswer is the largest size of an answer that is kept, in bytes.
	MaxAnswer = 64 << 10
)

// ErrUnderway is wrapped by the error of [Replayer.BeginReplay] for a call that
// has not ended: trying again in a moment may get its answer.
var ErrUnderway = errors.New("the first call has not ended yet")

// Attempt is a call that its caller may repeat, to be made only once.
type Attempt struct {
	// Owner identifies who calls; Key who calls what, with which key of the
	// caller's; Digest what was sent. They are digests, so that nothing of a caller
	// is kept.
	Owner, Key, Digest [sha256.Size]byte
	// At is when the call began.
	At time.Time
}

// Answer is what a call was answered with.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
	// TenantID is the tenant that Header and Body may tell of; "" is none.
	TenantID string
	// Forgotten says that there was a Body, and that the tenant was purged since.
	Forgotten bool
}

// Size returns the size of the answer in bytes.
func (a *Answer) Size() int {
	n := len(a.Body) + len(a.TenantID)
	for k, v := range a.Header {
		n += len(k) + len(v)
	}
	return n
}

// Replayer is implemented by a store that keeps the answers of calls, so that a
// call that is repeated is answered and not made again.
//
// A call is: BeginReplay, then the call itself, then KeepReplay or DropReplay,
// whatever became of who made it. An answer is kept for no longer than ReplayLife,
// and its body for no longer than the tenant that it tells of: the transaction that
// purges the tenant drops it.
type Replayer interface {
	// BeginReplay returns the kept answer of the attempt, or nil: then it is to be
	// made. Errors: Conflict when the key was used for another digest, when the
	// first call has not ended (wrapping [ErrUnderway]), and when the store was
	// closed before it ended, so that its outcome is not known; Exhausted when too
	// much is kept, in all or of this owner.
	BeginReplay(ctx context.Context, a Attempt) (*Answer, error)
	// KeepReplay keeps the answer of a call that BeginReplay let begin, without its
	// body when the tenant that it tells of is purged by now. Errors:
	// Invalid for one larger than MaxAnswer; NotFound when it is not known (any
	// more), which after ReplayLife it is not.
	KeepReplay(ctx context.Context, a Attempt, answer Answer, now time.Time) error
	// DropReplay makes it as if the call had never begun: the key is free. One that
	// is not known is dropped already.
	DropReplay(ctx context.Context, a Attempt, now time.Time) error
}

// Forgetter is implemented by a store that keeps what expires: approvals and
// answers. Each change forgets a part of what has expired, and Forget all of it.
type Forgetter interface {
	Forget(ctx context.Context, now time.Time) error
}
