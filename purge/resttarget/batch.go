package resttarget

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// tolerance is how many resources may be refused in one step before it ends: one
// that cannot be deleted does not keep the others.
const tolerance = 8

// batch is what the workers of one step share.
type batch struct {
	ids    []string
	enough func(removed int64) bool

	mu      sync.Mutex
	next    int
	did     purge.Removed
	refused int
	left    bool // some are left for the next step
	stop    bool
	worst   error
}

// deleteAll deletes resources side by side, takes note of it in s, and returns what
// it did and whether it left some for the next step. What is under way ends even when
// another fails: its answer is not thrown away. It is over when it took long
// enough; began is when the first of them was looked for.
func (t *Target) deleteAll(ctx context.Context, d *remove, tenantID string, ids []string, s *httpcall.Step, began time.Time) (did purge.Removed, left bool, err error) {
	b := &batch{ids: ids, enough: purge.Enough(ctx, began)}
	var workers sync.WaitGroup
	for range min(t.parallel, len(ids)) {
		workers.Go(func() {
			for id, ok := b.take(ctx); ok; id, ok = b.take(ctx) {
				did, err := t.delete(ctx, d, tenantID, id)
				b.note(did && s.Removed(id), !did && err == nil && s.Gone(id), err)
			}
		})
	}
	workers.Wait()
	b.did.Inexact = s.Again()
	return b.did, b.left, b.worst
}

// take returns the next resource to delete, if one is to be.
func (b *batch) take(ctx context.Context) (id string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stop || b.next == len(b.ids):
		return "", false
	case ctx.Err() != nil:
		// Not in the chain: of this one nothing was sent.
		b.worst = httpcall.Graver(b.worst, store.Errorf(store.Unavailable, "stopped between two deletes: %v", ctx.Err()))
		b.stop = true
		return "", false
	case b.next > 0 && b.enough(b.did.Deleted):
		b.left, b.stop = true, true
		return "", false
	}
	b.next++
	return b.ids[b.next-1], true
}

// note takes the outcome of a delete.
func (b *batch) note(did, gone bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if did {
		b.did.Deleted++
	}
	if gone {
		b.did.Gone++
	}
	if err != nil {
		b.worst = httpcall.Graver(b.worst, err)
		b.refused++
		b.stop = b.stop || b.refused > tolerance || hopeless(err)
	}
}

// hopeless reports an error that the next resource would meet as well.
func hopeless(err error) bool {
	switch store.CodeOf(err) {
	case store.Unauthenticated, store.Exhausted, store.Unavailable:
		return true
	case store.Forbidden, store.Internal:
		// Without a status it is about the host, or the way to it.
		var e *httpcall.Error
		return !errors.As(err, &e) || e.Status == 0 || e.Outage()
	}
	return false
}
