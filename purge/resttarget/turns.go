package resttarget

import (
	"context"
	"hash/maphash"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// turns has the steps on one tenant go one after the other. Where a delete has
// to be repeated, two steps at once could not tell whose delete it was.
type turns struct {
	seed  maphash.Seed
	taken [64]chan struct{} // by a hash of the tenant: now and then two share one
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.taken {
		t.taken[i] = make(chan struct{}, 1)
	}
	return t
}

// wait waits for the turn of a tenant. The caller ends it with done.
func (t *turns) wait(ctx context.Context, tenantID string) (done func(), err error) {
	c := t.taken[maphash.String(t.seed, tenantID)%uint64(len(t.taken))]
	arrived := purge.Idle(ctx)
	defer arrived()
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, store.Errorf(store.Unavailable, "another step on this tenant is under way: %v", ctx.Err())
	}
}
