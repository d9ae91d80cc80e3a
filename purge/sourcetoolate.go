package purge

import (
	"context"
	"strings"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// maxTops is how many tenants are remembered with the one at the top of their claim.
const maxTops = 10_000

// mayBeLate takes what the source says of a tenant that is past the point of return,
// with the one at the top of its claim, and whether it was disabled then itself. One
// that was not is active in the source for ever, since it never left there: it went
// with the tenants above it, and it is too late only if the source takes that back,
// too.
func (d *diff) mayBeLate(id string, a *store.Adoption, top string, itself bool) error {
	switch {
	case a.Disabled:
		return nil
	case itself || top == id:
		return d.late.add(&spooled{t: SourceTenant{ID: id}})
	}
	return d.late.add(&spooled{t: SourceTenant{ID: top + alongWith, ParentID: id}})
}

// alongWith makes the key of those that went with a tenant, of which the parent is
// their id, from its own: right after that, and no id.
const alongWith = "\x00"

// mayBeLatePurging is mayBeLate for a tenant that is being purged.
func (d *diff) mayBeLatePurging(ctx context.Context, kept *store.Tenant, a *store.Adoption) error {
	if a.Disabled || !kept.DisabledAt.IsZero() {
		return d.mayBeLate(kept.ID, a, kept.ID, true)
	}
	top, err := d.topOf(ctx, kept)
	if err != nil {
		return err
	}
	return d.mayBeLate(kept.ID, a, top, false)
}

// topOf returns the tenant at the top of the claim of one that is being purged. It
// remembers some of those on the way, since depth is data.
func (d *diff) topOf(ctx context.Context, t *store.Tenant) (string, error) {
	var way []string
	at := *t
	for at.Purge == nil && at.ParentID != "" {
		if top, ok := d.tops[at.ID]; ok {
			at.ID = top
			break
		}
		way = append(way, at.ID)
		above, err := d.s.store.Tenant(ctx, at.ParentID)
		switch store.CodeOf(err) {
		case "":
			at = above
		case store.NotFound, store.Gone: // it ended meanwhile, and so did those below
			return t.ID, nil
		default:
			return "", err
		}
	}
	if d.tops == nil || len(d.tops)+len(way) > maxTops {
		d.tops = map[string]string{}
	}
	for _, id := range way[:min(len(way), maxTops)] {
		d.tops[id] = at.ID
	}
	return at.ID, nil
}

// findTooLate finds who is too late: by themselves, or with one that is.
func (d *diff) findTooLate() error {
	var last string // of those that are by themselves
	return d.late.each(func(r *spooled) error {
		id := r.t.ID
		switch top, along := strings.CutSuffix(id, alongWith); {
		case !along:
			last = id
		case top != last:
			return nil
		default:
			id = r.t.ParentID
		}
		d.counts.TooLate++
		return d.tooLate.add(&spooled{t: SourceTenant{ID: id}})
	})
}

// tombstone returns that of a tenant that is not kept; nil when it was not purged.
func (d *diff) tombstone(ctx context.Context, id string) (*store.Tombstone, error) {
	switch t, err := d.s.store.Tombstone(ctx, id); store.CodeOf(err) {
	case "":
		return &t, nil
	case store.NotFound, store.Precondition: // the latter was created meanwhile
		return nil, nil
	default:
		return nil, err
	}
}

// purged reports whether a tenant that is not kept was.
func (d *diff) purged(ctx context.Context, id string) (bool, error) {
	t, err := d.tombstone(ctx, id)
	return t != nil, err
}

// markTooLate marks the tenants that are active in the source and cannot be saved
// any more, and says so once of each.
func (d *diff) markTooLate(ctx context.Context, refused bool) error {
	m := d.marker(ctx, store.MarkTooLate, !refused)
	m.found = func(id string) {
		d.s.log.Warn("a tenant is active in the source, and is being purged or was purged; that cannot be taken back",
			zap.String("tenant", id), zap.String("source", d.s.source.Name()))
	}
	if err := d.tooLate.each(func(r *spooled) error { return m.want(ctx, store.SourceMark{ID: r.t.ID}) }); err != nil {
		return err
	}
	return m.end(ctx)
}
