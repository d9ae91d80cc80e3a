package resttarget

import (
	"context"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// search looks for what a step is to delete.
type search struct {
	t      *Target
	l      *list
	tenant string
	limit  int // how many to find at a time
	step   *httpcall.Step

	patience httpcall.Patience // of the call

	w      *walk
	before *walk // the walk before it, when nothing was deleted in between
	walks  int
	page   []string // what is left to look at of the page
	stale  string   // one that is listed, and was said to be removed
}

// anew begins at the first page, now that things may have moved.
func (f *search) anew() {
	f.before, f.w, f.page, f.walks = nil, f.t.walk(f.l, f.tenant, &f.patience), nil, 0
}

// next returns the next ids to delete. over says that there are none: the list was
// gone through to its end, and nothing escaped (see [walk.rested]). Without ids, and
// not over, nothing is listed but what was said to be removed.
func (f *search) next(ctx context.Context) (ids []string, over bool, err error) {
	done, err := f.l.still.walking(ctx)
	if err != nil {
		return nil, false, err
	}
	defer done()
	for {
		if ids, err = f.find(ctx); err != nil || len(ids) > 0 || f.step.Listed() > 0 {
			return ids, false, err
		}
		if f.w.rested(f.before) {
			return nil, true, nil
		}
		if f.walks++; f.walks == recounts {
			return nil, false, f.l.restless()
		}
		f.before, f.w = f.w, f.t.walk(f.l, f.tenant, &f.patience)
	}
}

// find goes on until it has enough, or is at the end.
func (f *search) find(ctx context.Context) (ids []string, err error) {
	for len(ids) < f.limit && !f.exhausted() && !f.step.Full() {
		if len(f.page) == 0 {
			if f.page, err = f.w.step(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if id := f.page[0]; f.step.Settled(id) {
			f.stale = id
		} else {
			ids = append(ids, id)
		}
		f.page = f.page[1:]
	}
	return ids, nil
}

// exhausted reports whether the walk is at its end.
func (f *search) exhausted() bool { return f.w.done && len(f.page) == 0 }

// more reports whether there may be more when something was deleted. While it went
// from page to page others may have deleted, and made it skip.
func (f *search) more() bool {
	return !f.exhausted() || f.w.cut || f.w.pages > 1 || !f.l.filtered && f.w.mayMove() || f.step.Listed() > 0
}

// catchUp deals with a list that shows nothing but what was said to be removed. When the
// API says of one of them that it is gone, so are the others. Else the list is waited
// for, and it is an error when that takes too long.
func (f *search) catchUp(ctx context.Context, d *remove) error {
	again, err := f.t.delete(ctx, d, f.tenant, f.stale)
	switch {
	case err != nil:
		return err
	case !again:
		f.step.Trust()
		return nil
	}
	if err := f.step.Wait(ctx); err != nil {
		return store.Errorf(store.CodeOf(err), "%s: %w", f.l.op, err)
	}
	f.anew()
	return nil
}
