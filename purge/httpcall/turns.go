package httpcall

import (
	"context"
	"hash/maphash"

	"github.com/tenantpurge/purger/purge"
)

// Turns has those who are about the same thing go one after the other. It is made by
// [NewTurns], and safe for concurrent use.
type Turns struct {
	seed  maphash.Seed
	taken [64]chan struct{} // by a hash of the key: now and then two share one
}

// NewTurns returns turns that nobody has taken.
func NewTurns() *Turns {
	t := &Turns{seed: maphash.MakeSeed()}
	for i := range t.taken {
		t.taken[i] = make(chan struct{}, 1)
	}
	return t
}

// Wait waits in [purge.Idle] for the turn of a key, which the caller ends with done.
// The error is that of ctx. Whoever has a turn must not wait for another one.
func (t *Turns) Wait(ctx context.Context, key string) (done func(), err error) {
	turn := t.taken[maphash.String(t.seed, key)%uint64(len(t.taken))]
	arrived := purge.Idle(ctx)
	defer arrived()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
