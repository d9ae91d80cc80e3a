package purge

import (
	"context"
	"iter"
	"slices"

	"github.com/tenantpurge/purger/store"
)

// GroupTarget is a target that answers for many tenants in one call, at less
// than the price of a call for each. It is that itself or under a
// [GuardedTarget]; in another wrapper it is called as any target.
type GroupTarget interface {
	Target
	// GroupSize returns how many tenants a call about the kind may be about, at
	// least 1. It is constant.
	GroupSize(kind store.Kind) int
	// CountGroup returns how many resources of the kind the tenants have
	// together: the sum of what Count says of each. The ids are different.
	CountGroup(ctx context.Context, tenantIDs []string, kind store.Kind) (int64, error)
	// PurgeGroup is Purge for several tenants: it removes up to r.Limit resources
	// of all of them together, and says More while any may have more. The ids
	// are different, deepest first; r.TenantID is not used.
	PurgeGroup(ctx context.Context, tenantIDs []string, r Request) (Removed, error)
}

// groupOf returns t, or what a guard around it guards, as a GroupTarget; nil
// when it is none.
func groupOf(t Target) GroupTarget {
	if g, ok := t.(*GuardedTarget); ok {
		t = g.Target
	}
	group, _ := t.(GroupTarget)
	return group
}

// groups cuts tenants into those that one call may be about.
func (t *target) groups(kind store.Kind, tenants []string) iter.Seq[[]string] {
	size := 1
	if t.group != nil {
		size = max(t.group.GroupSize(kind), 1)
	}
	return slices.Chunk(tenants, size)
}

// countOf asks the target for one group of tenants.
func (t *target) countOf(ctx context.Context, tenants []string, kind store.Kind) (int64, error) {
	switch {
	case t.group == nil:
		return t.Count(ctx, tenants[0], kind)
	case t.guard == nil:
		return t.group.CountGroup(ctx, tenants, kind)
	}
	return answerOf(ctx, t.guard, opCount, tenants[len(tenants)-1], func(ctx context.Context) (int64, error) {
		return t.group.CountGroup(ctx, tenants, kind)
	})
}

// purgeOf has the target take one step in a group of tenants.
func (t *target) purgeOf(ctx context.Context, tenants []string, r Request) (Removed, error) {
	switch {
	case t.group == nil:
		r.TenantID = tenants[0]
		return t.Purge(ctx, r)
	case t.guard == nil:
		return t.group.PurgeGroup(ctx, tenants, r)
	}
	return t.guard.purge(ctx, tenants[len(tenants)-1], r, func(ctx context.Context, r Request) (Removed, error) {
		return t.group.PurgeGroup(ctx, tenants, r)
	})
}
