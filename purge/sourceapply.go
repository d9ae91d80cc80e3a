package purge

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/store"
)

const (
	// syncTogether is how many changes of tenants wait for the store at a time,
	// which writes those together that it finds waiting. People's changes queue
	// with them.
	syncTogether = 32
	// syncBatch is how many tenants or marks one transaction takes.
	syncBatch = 500
	// syncRounds bounds how often the new tenants are gone through in search of
	// those whose parents are there by now. What is nested deeper than that is
	// left to the next sync.
	syncRounds = 64
)

// apply carries out a comparison. Each transaction is of use by itself: after a
// crash, or an error, the next sync finds what is left.
func (d *diff) apply(ctx context.Context, accepted *store.Acceptance) error {
	if accepted != nil && !accepted.Begun {
		if err := d.begin(ctx); err != nil {
			return err
		}
	}
	if err := d.create(ctx); err != nil {
		return err
	}
	if err := d.markUnread(ctx, false); err != nil {
		return err
	}
	if err := d.update(ctx, stepMild); err != nil {
		return err
	}
	if err := d.markVanished(ctx); err != nil {
		return err
	}
	for _, step := range []syncStep{stepSooner, stepDue} {
		if err := d.update(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// begin writes down what a person accepted, so that the rest of it is still
// accepted when the sync is interrupted.
func (d *diff) begin(ctx context.Context) error {
	if err := d.s.forgetAllowed(ctx, d.now); err != nil { // of another one
		return err
	}
	err := d.setMarks(ctx, store.MarkAllowed, func(r *spooled) (store.SourceMark, bool) {
		m := store.SourceMark{ID: r.t.ID}
		if r.danger && r.step != stepVanish {
			a, err := r.t.adoption(d.settings.Grace)
			if err != nil {
				return m, false
			}
			m.At.Time = a.Date()
		}
		return m, r.danger
	})
	if err != nil {
		return err
	}
	_, err = d.s.change(ctx, d.now, store.SourceChange{
		Action: store.ActionSourceBegin,
		Apply: func(st *store.SourceState, _ store.Origin) (map[string]string, error) {
			if st.Accepted == nil || st.Accepted.Digest != d.sum() {
				return nil, store.Errorf(store.Conflict, "the sync is not accepted any more")
			}
			a := *st.Accepted
			a.Begun = true
			st.Accepted = &a
			return map[string]string{"digest": a.Digest, "acceptedBy": a.By}, nil
		},
	})
	return err
}

// markVanished marks the tenants that have vanished, and takes the marks away of those
// that are back.
func (d *diff) markVanished(ctx context.Context) error {
	at := store.Timestamp{Time: store.Trim(d.now)}
	err := d.setMarks(ctx, store.MarkVanished, func(r *spooled) (store.SourceMark, bool) {
		return store.SourceMark{ID: r.t.ID, At: at}, r.step == stepVanish
	})
	if err != nil {
		return err
	}
	return inBatches(d.changes, func(r *spooled) (string, bool) { return r.t.ID, r.step == stepBack }, func(ids []string) error {
		_, err := d.s.change(ctx, d.now, store.SourceChange{Kind: store.MarkVanished, Unmark: ids})
		return err
	})
}

// setMarks sets the marks that pick returns of the changes.
func (d *diff) setMarks(ctx context.Context, kind store.MarkKind, pick func(*spooled) (store.SourceMark, bool)) error {
	return inBatches(d.changes, pick, func(list []store.SourceMark) error {
		_, err := d.s.change(ctx, d.now, store.SourceChange{Kind: kind, Mark: list})
		return err
	})
}

// inBatches has take take what pick returns of the records, up to syncBatch at a
// time. The slice is not valid after the call.
func inBatches[T any](s *spool, pick func(*spooled) (T, bool), take func([]T) error) error {
	var batch []T
	err := s.each(func(r *spooled) error {
		v, ok := pick(r)
		if !ok {
			return nil
		}
		if batch = append(batch, v); len(batch) < syncBatch {
			return nil
		}
		err := take(batch)
		batch = batch[:0]
		return err
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return take(batch)
}

// create imports the new tenants, all as active ones. Their parents come first,
// wherever in the snapshot they are.
func (d *diff) create(ctx context.Context) error {
	waiting, own := d.changes, false
	for round := 0; ; round++ {
		orphans, err := newSpool(d.s.tempDir)
		if err != nil {
			return err
		}
		created, err := d.createRound(ctx, waiting, orphans)
		if own {
			waiting.close()
		}
		waiting, own = orphans, true
		if err == nil && orphans.n > 0 && created > 0 && round < syncRounds {
			continue
		}
		if err == nil {
			err = orphans.each(func(r *spooled) error {
				d.counts.New--
				return d.reject(r, "parentId "+r.t.ParentID+": there is no such tenant, or none that can be taken over yet")
			})
		}
		orphans.close()
		return err
	}
}

// createRound imports those whose parents are there, and notes the others.
func (d *diff) createRound(ctx context.Context, waiting, orphans *spool) (created int64, err error) {
	err = inBatches(waiting, func(r *spooled) (*spooled, bool) { return r, r.step == stepCreate }, func(batch []*spooled) error {
		n, err := d.createBatch(ctx, batch, orphans)
		created += n
		return err
	})
	return created, err
}

// createBatch imports what can be of a batch, in one transaction.
func (d *diff) createBatch(ctx context.Context, batch []*spooled, orphans *spool) (int64, error) {
	var all, fit store.Batch
	for _, r := range batch {
		t := store.Tenant{ID: r.t.ID, ParentID: r.t.ParentID, Status: store.StatusActive}
		if r.t.Name != nil {
			t.Name = *r.t.Name
		}
		if r.t.Hostname != nil {
			t.Hostname = *r.t.Hostname
		}
		all.Tenants = append(all.Tenants, t)
	}
	would, err := d.s.importer.Compare(ctx, all)
	if err != nil {
		return 0, err
	}
	var fits []*spooled
	for i, o := range would.Tenants {
		if o == store.OutcomeNew {
			fit.Tenants, fits = append(fit.Tenants, all.Tenants[i]), append(fits, batch[i])
		} else if err := d.unfit(ctx, batch[i], o, orphans); err != nil {
			return 0, err
		}
	}
	if len(fits) == 0 {
		return 0, nil
	}
	_, err = d.s.importer.ImportBatch(ctx, fit, d.s.origin(d.now))
	if store.CodeOf(err) != store.Invalid {
		return int64(len(fits)), err
	}
	for _, r := range fits { // a parent went meanwhile
		if err := orphans.add(r); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// unfit takes a tenant that cannot be created now, and what a comparison says of it.
func (d *diff) unfit(ctx context.Context, r *spooled, o store.Outcome, orphans *spool) error {
	switch o {
	case store.OutcomeUnknown:
		return orphans.add(r)
	case store.OutcomePurged: // it, or the parent
		return d.lost(ctx, r)
	case store.OutcomeConflict: // somebody was faster
		return d.waits(r.t.ParentID, r.t.ID)
	case store.OutcomeNew, store.OutcomeUnchanged:
	}
	return nil
}

// lost takes a tenant that cannot be created, since it was purged meanwhile, or
// its parent was.
func (d *diff) lost(ctx context.Context, r *spooled) error {
	d.counts.New--
	purged, err := d.purged(ctx, r.t.ID)
	if err != nil {
		return err
	}
	if purged {
		d.counts.Purged++
		return nil
	}
	return d.reject(r, "parentId "+r.t.ParentID+": it was purged, or is being purged; what this tenant has is left to people")
}

// update makes the tenants of one step what the source says of them.
func (d *diff) update(ctx context.Context, step syncStep) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(syncTogether)
	err := d.changes.each(func(r *spooled) error {
		if r.step != step {
			return nil
		}
		a, err := r.t.adoption(d.settings.Grace)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		g.Go(func() error { return d.s.adopt(ctx, r.t.ID, a, d.s.origin(d.now)) })
		return nil
	})
	if failed := g.Wait(); failed != nil {
		return failed
	}
	return err
}

// adopt makes one tenant what the source says. One that is not there, or past the
// point of return, is left alone.
func (s *Syncer) adopt(ctx context.Context, id string, a store.Adoption, o store.Origin) error {
	_, err := s.store.Update(ctx, id, store.Update{Origin: o, Change: store.Adopt(a)})
	if slices.Contains([]store.Code{store.NotFound, store.Gone, store.Precondition}, store.CodeOf(err)) {
		return nil
	}
	return err
}

// forgetAllowed takes away the marks of what was accepted.
func (s *Syncer) forgetAllowed(ctx context.Context, now time.Time) error {
	for {
		page, err := s.keeper.SourceMarks(ctx, store.MarkAllowed, "", syncBatch)
		if err != nil || len(page) == 0 {
			return err
		}
		var ids []string
		for _, m := range page {
			ids = append(ids, m.ID)
		}
		if _, err := s.change(ctx, now, store.SourceChange{Kind: store.MarkAllowed, Unmark: ids}); err != nil {
			return err
		}
	}
}
