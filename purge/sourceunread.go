package purge

import (
	"context"
	"crypto/sha256"

	"github.com/tenantpurge/purger/store"
)

// A row of which nothing can be taken over may be of a tenant that is not kept.
// Whoever purges the tenant above it takes the way to it away: what it holds is
// left for ever. So the tenant above waits, and with it everything further up,
// until a sync understands the row, or finds it gone.

// unreadParent stands for a parent that cannot be read. It is no id.
const unreadParent = "?"

// aboveRejected returns the parent of a row that is not understood, or
// unreadParent. A row that is understood so far, but for its meaning, is believed
// that it has no parent.
func aboveRejected(r *SourceRow) string {
	parent := r.Tenant.ParentID
	if parent == "" && r.Err == nil || store.CheckID("parentId", parent) == nil {
		return parent
	}
	return unreadParent
}

// waits notes that a tenant has to wait for the row of another one, whose id may
// be "".
func (d *diff) waits(parent, child string) error {
	if parent == "" || parent == unreadParent {
		return nil
	}
	return d.unread.add(&spooled{t: SourceTenant{ID: parent, ParentID: child}})
}

// newcomer notes a tenant that is to be created.
func (d *diff) newcomer(r *spooled) error {
	if err := d.newcomers.add(&spooled{t: SourceTenant{ID: r.t.ID}}); err != nil || r.t.ParentID == "" {
		return err
	}
	return d.newcomers.add(&spooled{t: SourceTenant{ID: r.t.ParentID, ParentID: r.t.ID}})
}

// place looks for the parents of the new tenants, and counts those that have none.
func (d *diff) place(ctx context.Context) error {
	listed, below, ids := false, int64(0), sha256.New()
	return d.newcomers.eachID(func(r *spooled) error {
		if r.t.ParentID == "" {
			listed = true
			return ctx.Err()
		}
		below++
		_, _ = ids.Write([]byte(r.t.ParentID + "\x00"))
		return ctx.Err()
	}, func(above string) error {
		if !listed && below > 0 {
			can, err := d.takes(ctx, above)
			if err != nil {
				return err
			}
			if !can {
				d.orphans += below
				d.noteRejected(above + "\x00" + string(ids.Sum(nil)))
			}
		}
		listed, below = false, 0
		ids.Reset()
		return nil
	})
}

// takes reports whether a tenant is kept and may still be changed.
func (d *diff) takes(ctx context.Context, id string) (bool, error) {
	t, err := d.s.store.Tenant(ctx, id)
	switch store.CodeOf(err) {
	case "":
		return !t.Status.Irrevocable(), nil
	case store.NotFound, store.Gone:
		return false, nil
	}
	return false, err
}

// markUnread marks the tenants that have to wait. A refused sync leaves new ones
// out too, and takes no mark away.
func (d *diff) markUnread(ctx context.Context, refused bool) error {
	if refused {
		if err := d.newcomers.each(func(r *spooled) error {
			if r.t.ParentID == "" {
				return nil
			}
			return d.waits(r.t.ID, r.t.ParentID)
		}); err != nil {
			return err
		}
	}
	m := d.marker(ctx, store.MarkUnread, !refused)
	var by string
	if err := d.unread.eachID(func(r *spooled) error {
		if id := r.t.ParentID; id != "" && (by == "" || id < by) {
			by = id
		}
		return nil
	}, func(id string) error {
		w := store.SourceMark{ID: id, By: by}
		by = ""
		can, err := d.takes(ctx, id)
		if err != nil || !can {
			return err
		}
		return m.want(ctx, w)
	}); err != nil {
		return err
	}
	return m.end(ctx)
}
