package resttarget

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// everyone is more than will ever go through a list at a time.
const everyone = 1 << 20

// still has nobody delete from a list of everybody's that goes on by numbers while
// another goes through it: each deletion moves up what comes after it. It is nil, and
// does nothing, for other lists. That somebody else deletes is seen by [walk.rested].
type still struct{ places *semaphore.Weighted }

func newStill(l *list) *still {
	if l.filtered || !l.Paging.numbered() {
		return nil
	}
	return &still{semaphore.NewWeighted(everyone)}
}

// walking waits until nobody deletes; done ends the walk.
func (s *still) walking(ctx context.Context) (done func(), err error) { return s.take(ctx, 1) }

// deleting waits until nobody walks or deletes; done ends the deletion.
func (s *still) deleting(ctx context.Context) (done func(), err error) { return s.take(ctx, everyone) }

func (s *still) take(ctx context.Context, n int64) (done func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	arrived := purge.Idle(ctx)
	defer arrived()
	if err := s.places.Acquire(ctx, n); err != nil {
		return nil, store.Errorf(store.Unavailable, "another step on the same list is under way: %v", err)
	}
	return func() { s.places.Release(n) }, nil
}
