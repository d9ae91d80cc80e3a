package purge

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/tenantpurge/purger/store"
)

// syncStep is what is done with a record of a sync, in the order in which it is
// done: no tenant becomes due before its sub-tenants have the dates that keep it
// from being purged.
type syncStep byte

const (
	stepCreate syncStep = iota // as an active tenant
	stepMild                   // names, a reactivation, a later date
	stepVanish                 // mark
	stepBack                   // take the mark away
	stepSooner                 // a date that is to come
	stepDue                    // one that has come
)

// diff compares a snapshot with what is kept. It reads both in the order of the
// ids, and holds neither in memory.
type diff struct {
	s         *Syncer
	accepted  bool // notice is taken of what was accepted
	now       time.Time
	settings  *syncSettings
	kept      pager[store.Tenant]
	vanished  pager[store.SourceMark]
	allowed   pager[store.SourceMark]
	digest    hash.Hash
	counts    store.SyncCounts
	letters   []store.DeadLetter
	changes   *spool            // what is to be done, see syncStep
	newcomers *spool            // the new tenants, and the parents of each
	unread    *spool            // who has to wait for the row of whom
	late      *spool            // who may be too late, see mayBeLate
	tooLate   *spool            // who is
	tops      map[string]string // of those that are being purged, a few of them
	rejected  hash.Hash         // of who is rejected
	nameless  int64             // rows
	ids       int64             // that are listed
	orphans   int64             // new tenants whose parents are nowhere
	parsed    int64
	sooner    int64 // dangerous and not allowed
	vanishing int64 // likewise
	back      int64 // that had vanished
	lately    lately
}

// close forgets the comparison.
func (d *diff) close() {
	for _, s := range []*spool{d.changes, d.newcomers, d.unread, d.late, d.tooLate} {
		if s != nil {
			s.close()
		}
	}
}

// newDiff returns a comparison, which takes notice of what was accepted only
// when that is asked for. The caller closes it.
func (s *Syncer) newDiff(ctx context.Context, now time.Time, before []store.SourceHour, accepted bool) (*diff, error) {
	d := &diff{
		s: s, accepted: accepted, lately: sumLately(before, now), now: now, settings: s.settings.Load(), digest: sha256.New(), rejected: sha256.New(),
		kept: pager[store.Tenant]{
			id: func(t *store.Tenant) string { return t.ID },
			fetch: func(after string) ([]store.Tenant, error) {
				return s.store.Tenants(ctx, store.Filter{After: after, Limit: store.MaxPage})
			},
		},
		vanished: s.marksOf(ctx, store.MarkVanished), allowed: s.marksOf(ctx, store.MarkAllowed),
	}
	d.allowed.done = !accepted
	for _, to := range []**spool{&d.changes, &d.newcomers, &d.unread, &d.late, &d.tooLate} {
		var err error
		if *to, err = newSpool(s.tempDir); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

// compare goes through the snapshot and what is kept, side by side.
func (d *diff) compare(ctx context.Context, snapshot *spool) error {
	var one *spooled // what the rows of one id say together
	err := snapshot.eachID(func(r *spooled) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case r.t.ID == "":
			return d.waits(r.t.ParentID, "")
		case one == nil:
			one = r
		default:
			one = agree(one, r)
		}
		return nil
	}, func(id string) error {
		if id == "" {
			return nil
		}
		said := one
		one = nil
		return d.listed(ctx, said)
	})
	if err != nil {
		return err
	}
	if _, err := d.keptAs(""); err != nil { // those behind the last row
		return err
	}
	if _, err := d.marked(&d.vanished, "\xff"); err != nil { // the marks behind the last tenant
		return err
	}
	if err := d.place(ctx); err != nil {
		return err
	}
	return d.findTooLate()
}

// agree makes one row of two with one id. Rows that contradict each other are
// worth nothing, except that the parents in all of them are remembered.
func agree(a, b *spooled) *spooled {
	parents := a.parents
	for _, id := range []string{a.t.ParentID, b.t.ParentID} {
		if !slices.Contains(parents, id) {
			parents = append(parents, id)
		}
	}
	switch {
	case a.bad != "":
	case b.bad != "":
		a = b
	case !sameRow(&a.t, &b.t):
		a.bad = fmt.Sprintf("row %d says something else of the same tenant", b.row)
	}
	a.parents = parents
	return a
}

func sameRow(a, b *SourceTenant) bool {
	text := func(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
	return a.ParentID == b.ParentID && a.Status == b.Status && text(a.Name, b.Name) && text(a.Hostname, b.Hostname) &&
		a.DisabledAt.Equal(b.DisabledAt) && a.PurgeAfterDays == b.PurgeAfterDays && a.PurgeAt.Equal(b.PurgeAt)
}

// listed takes a tenant that is in the snapshot.
func (d *diff) listed(ctx context.Context, r *spooled) error {
	kept, err := d.keptAs(r.t.ID)
	if err != nil {
		return err
	}
	mark, err := d.marked(&d.vanished, r.t.ID)
	if err != nil {
		return err
	}
	if mark != nil {
		d.back++
		if err := d.change(stepBack, &spooled{t: SourceTenant{ID: r.t.ID}}); err != nil {
			return err
		}
	}
	irrevocable := kept != nil && kept.Status.Irrevocable()
	if kept != nil && !irrevocable && mark == nil {
		d.counts.Kept++
	}
	d.ids++
	if r.bad != "" {
		return d.odd(ctx, r, kept)
	}
	a, err := r.t.adoption(d.settings.Grace)
	if err != nil { // it was checked when it came in
		return d.reject(r, printable(err))
	}
	d.parsed++
	switch {
	case irrevocable:
		d.counts.Purging++
		return d.mayBeLatePurging(ctx, kept, &a)
	case kept != nil && kept.ParentID != r.t.ParentID:
		return d.reject(r, fmt.Sprintf("parentId %q: it is kept below %q, and a parent never changes", r.t.ParentID, kept.ParentID))
	case a.Disabled && d.settings.isProtected(r.t.ID) && (kept == nil || !sameGrace(&a, kept)):
		return d.reject(r, "it is protected by the configuration (tenants.protected), and disabled")
	case kept == nil:
		return d.fresh(ctx, r, &a)
	}
	return d.known(r, &a, kept)
}

// keptAs returns the tenant that is kept with an id, nil for none. Ids are asked for in
// order, at last "" for the end: those that are kept before it are not listed.
func (d *diff) keptAs(id string) (*store.Tenant, error) {
	for {
		t, err := d.kept.peek()
		if err != nil || t == nil || id != "" && t.ID > id {
			return nil, err
		}
		d.kept.advance()
		if t.ID == id {
			return t, nil
		}
		if err := d.gone(t); err != nil {
			return nil, err
		}
	}
}

// fresh takes a tenant that is not kept.
func (d *diff) fresh(ctx context.Context, r *spooled, a *store.Adoption) error {
	tombstone, err := d.tombstone(ctx, r.t.ID)
	if err != nil {
		return err
	}
	if tombstone != nil {
		d.counts.Purged++
		return d.mayBeLate(r.t.ID, a, tombstone.PurgedWith, !tombstone.DisabledAt.IsZero())
	}
	d.counts.New++
	if err := d.newcomer(r); err != nil {
		return err
	}
	if err := d.change(stepCreate, r); err != nil || !a.Disabled {
		return err
	}
	d.counts.Disabled++
	return d.due(r, a)
}

// odd takes a row that is not understood.
func (d *diff) odd(ctx context.Context, r *spooled, kept *store.Tenant) error {
	if kept == nil {
		purged, err := d.purged(ctx, r.t.ID)
		if err != nil {
			return err
		}
		if purged { // it is all the same what it says
			d.counts.Purged++
			return nil
		}
		if r.t.ParentID == unreadParent {
			d.counts.Unplaced++
		}
	}
	return d.reject(r, r.bad)
}

// known takes a tenant that is kept.
func (d *diff) known(r *spooled, a *store.Adoption, kept *store.Tenant) error {
	if a.Overruled(kept) {
		d.counts.Overruled++
	}
	switch {
	case says(a, kept, d.now):
		d.counts.Unchanged++
		return nil
	case sameGrace(a, kept):
		d.counts.Changed++
		return d.change(stepMild, r)
	case !a.Disabled:
		d.counts.Reactivated++
		return d.change(stepMild, r)
	case kept.Status != store.StatusDisabled:
		d.counts.Disabled++
		return d.due(r, a)
	case kept.CheckDate() == nil && !a.Date().Before(kept.EstimatedPurgeDate):
		d.counts.Later++
		return d.change(stepMild, r)
	}
	d.counts.Sooner++
	return d.due(r, a)
}

// due takes a tenant that gets a purge date, or an earlier one.
func (d *diff) due(r *spooled, a *store.Adoption) error {
	step, date := stepSooner, a.Date()
	if !d.now.Before(date) {
		d.counts.Due++
		step = stepDue
	}
	allowed, err := d.marked(&d.allowed, r.t.ID)
	if err != nil {
		return err
	}
	c := *r
	if c.danger = allowed == nil || !allowed.At.Equal(date); c.danger {
		d.sooner++
		d.note("sooner", r.t.ID, store.FormatTime(date))
	}
	return d.change(step, &c)
}

// gone takes a tenant that is kept and not in the snapshot.
func (d *diff) gone(t *store.Tenant) error {
	mark, err := d.marked(&d.vanished, t.ID)
	if err != nil || mark != nil || t.Status.Irrevocable() {
		return err
	}
	d.counts.Kept++
	d.counts.Vanished++
	allowed, err := d.marked(&d.allowed, t.ID)
	if err != nil {
		return err
	}
	c := spooled{t: SourceTenant{ID: t.ID}}
	if c.danger = allowed == nil || !allowed.At.IsZero(); c.danger {
		d.vanishing++
		d.note("vanished", t.ID, "")
	}
	return d.change(stepVanish, &c)
}

// marked returns the mark of a tenant, nil for none. Ids are asked for in order.
// It is given once. The marks of tenants that are neither kept nor listed are to
// be taken away.
func (d *diff) marked(p *pager[store.SourceMark], id string) (*store.SourceMark, error) {
	for {
		m, err := p.peek()
		if err != nil || m == nil || m.ID > id {
			return nil, err
		}
		p.advance()
		if m.ID == id {
			return m, nil
		}
		if p != &d.vanished {
			continue
		}
		if err := d.change(stepBack, &spooled{t: SourceTenant{ID: m.ID}}); err != nil {
			return nil, err
		}
	}
}

// change notes what is to be done.
func (d *diff) change(step syncStep, r *spooled) error {
	c := *r
	c.step = step
	return d.changes.add(&c)
}

// reject takes a row from which nothing is taken.
func (d *diff) reject(r *spooled, reason string) error {
	d.counts.Rejected++
	d.noteRejected(r.t.ID)
	d.letters = appendLetter(d.letters, r.row, r.t.ID, reason)
	for _, parent := range append([]string{r.t.ParentID}, r.parents...) {
		if err := d.waits(parent, r.t.ID); err != nil {
			return err
		}
	}
	return nil
}

func appendLetter(letters []store.DeadLetter, row int64, id, reason string) []store.DeadLetter {
	if len(letters) >= store.MaxDeadLetters {
		return letters
	}
	return append(letters, store.DeadLetter{Row: row, ID: printableText(store.Cut(id, store.MaxIDLength)), Reason: printableText(reason)})
}
