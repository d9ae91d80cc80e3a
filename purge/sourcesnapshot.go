package purge

import (
	"cmp"
	"context"

	"github.com/tenantpurge/purger/store"
)

// nameless are the rows without an id that a tenant could have.
type nameless struct {
	n, unplaced int64 // the latter without a parent that a tenant could have
	letters     []store.DeadLetter
}

// read takes the snapshot of the source.
func (s *Syncer) read(ctx context.Context, snapshot *spool, r *store.Sync) (nameless, error) {
	var lost nameless
	grace, limit := s.settings.Load().Grace, s.settings.Load().Timeout
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.source.Tenants(bounded, func(row SourceRow) error {
		if err := bounded.Err(); err != nil {
			return err
		}
		r.Counts.Rows++
		rec := &spooled{row: r.Counts.Rows, t: row.Tenant}
		err := row.Err
		if err == nil {
			_, err = rec.t.adoption(grace)
		}
		if err == nil {
			return snapshot.add(rec)
		}
		id, parent := rec.t.ID, aboveRejected(&row)
		if named := store.CheckID("id", id) == nil; !named {
			lost.n++
			lost.letters = appendLetter(lost.letters, rec.row, id, err.Error())
			if parent == "" || parent == unreadParent { // what is not known to be a tenant may be below any other
				lost.unplaced++
				return nil
			}
			id = ""
		}
		rec.t, rec.bad = SourceTenant{ID: id, ParentID: parent}, printable(err)
		return snapshot.add(rec)
	})
	switch {
	case ctx.Err() != nil:
		err = cmp.Or(err, ctx.Err())
	case bounded.Err() != nil: // what came last is no better than the rest
		err = store.Errorf(store.Unavailable, "the source was not read to its end within %s (source.syncTimeout)", limit)
	}
	return lost, err
}
