package purge

import (
	"context"
	"time"

	"github.com/tenantpurge/purger/store"
)

// ration bounds what a target may say to have removed of one kind until it is
// counted again. A system that only marks what is deleted, and lists it as before,
// would else be deleted from for ever, with counts that grow (G5).
type ration struct {
	w    *cascade
	t    *target
	kind store.Kind
	rest int64 // may be removed
	took int64 // since it was counted
	left int64 // by the last count of this attempt; -1: none
}

// rationOf returns the ration that follows from the first count. What was not
// counted is at the first step.
func (w *cascade) rationOf(t *target, kind store.Kind) *ration {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.tallyOf(t.name)
	n := v.counted.Of(kind)
	return &ration{w: w, t: t, kind: kind, rest: n - v.removed.Of(kind) + excess(n), left: -1}
}

// take takes from the ration what a step removed that will be followed by another. A
// ration that is spent is renewed by a count; its error says that there are no fewer
// than at the count before, though so many were removed.
//
// The count that the purge began with is not compared with: it may have missed some
// that a step then found.
func (r *ration) take(ctx context.Context, n int64) error {
	r.rest, r.took = r.rest-n, r.took+n
	if r.rest >= 0 {
		return nil
	}
	w := r.w
	left, err := w.e.countKind(ctx, w.s, r.t, r.kind, w.claim.Tenants, func() error { return w.next(ctx) })
	if err != nil {
		return err
	}
	r.t.track.atLeast(w.top(), left)
	if r.left >= 0 && left >= r.left {
		return r.fail(ctx, left)
	}
	r.rest, r.took, r.left = left+excess(left), 0, left
	return nil
}

// fail puts on record that the counts are too high, and returns the failure.
func (r *ration) fail(ctx context.Context, left int64) error {
	w := r.w
	w.mu.Lock()
	v := *w.tallyOf(r.t.name)
	w.mu.Unlock()
	counted, removed := v.counted.Of(r.kind), v.removed.Of(r.kind)
	u := store.Unaccounted{At: store.Timestamp{Time: time.Now()}}
	if v.before != nil {
		u = *v.before
	}
	u.Counts.Add(r.kind, counted-removed-u.Counts.Of(r.kind))
	if err := w.record(ctx, store.Advance{Target: r.t.name, Unaccounted: &u}); err != nil {
		return err
	}
	if left == 0 {
		return &failure{r.t.name, r.kind, store.Errorf(store.Precondition,
			"the target says that it removed %d of %d and that there are more, and counts none: does it count what it removes?", removed, counted)}
	}
	return &failure{r.t.name, r.kind, store.Errorf(store.Precondition,
		"the target says that it removed %d of %d and still lists %d, no fewer than %d removals ago: a soft delete?", removed, counted, left, r.took)}
}
