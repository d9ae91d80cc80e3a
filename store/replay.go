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
	// MaxAnswer is the largest size of an answer that is kept, in bytes.
	MaxAnswer = 64 << 10
)

// ErrUnderway is wrapped by the error of [Replayer.BeginReplay] for a call that
// has not ended: trying again in a moment may get its answer.
var ErrUnderway = errors.New("the first call has not ended yet")

// Attempt is a call that its caller may repeat, to be made only once.
type Attempt struct {
	// Key identifies who calls what, with which key of the caller's; Digest what
	// was sent. Both are digests, so that nothing of a caller is kept.
	Key, Digest [sha256.Size]byte
	// At is when the call began.
	At time.Time
}

// Answer is what a call was answered with.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// Size returns the size of the answer in bytes.
func (a *Answer) Size() int {
	n := len(a.Body)
	for k, v := range a.Header {
		n += len(k) + len(v)
	}
	return n
}

// Replayer is implemented by a store that keeps the answers of calls, so that a
// call that is repeated is answered and not made again.
//
// A call is: BeginReplay, then the call itself, then KeepReplay or DropReplay,
// whatever became of who made it. Nothing of a tenant that is in an answer is kept
// for longer than ReplayLife, purged or not.
type Replayer interface {
	// BeginReplay returns the kept answer of the attempt, or nil: then it is to be
	// made. Errors: Conflict when the key was used for another digest, when the
	// first call has not ended (wrapping [ErrUnderway]), and when the store was
	// closed before it ended, so that its outcome is not known; Exhausted when too
	// much is kept.
	BeginReplay(ctx context.Context, a Attempt) (*Answer, error)
	// KeepReplay keeps the answer of a call that BeginReplay let begin. Errors:
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
