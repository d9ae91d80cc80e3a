package resttarget

import (
	"context"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// recounts is how often a list that changes is gone through before it is given up.
const recounts = 5

// countListed goes through a list. One that goes on by numbers may move up between
// two pages, when somebody removes what was read: then an item is never seen, and
// nothing is taken for empty (G6). Such a list is gone through until two times had
// the same items.
func (t *Target) countListed(ctx context.Context, l *list, tenantID, what string) (int64, error) {
	done, err := l.still.walking(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	var before *walk
	patience := &httpcall.Patience{}
	for range recounts {
		w := t.walk(l, tenantID, patience)
		var n int64
		for !w.done {
			ids, err := w.step(ctx)
			if err != nil {
				return 0, err
			}
			n += int64(len(ids))
		}
		if w.rested(before) {
			t.noteSkipped(w, what)
			return n, nil
		}
		before = w
	}
	return 0, l.restless()
}

// restless returns the error of a list that changed each time.
func (l *list) restless() error {
	return store.Errorf(store.Conflict, "%s: the list changed each of %d times that it was gone through; "+
		"want one that names the {tenant}, or one that goes on by a cursor or a link", l.op, recounts)
}

// rested reports whether nothing escaped a walk to the end of its list: nothing can
// have moved, or nothing did since the one before it, nil being none.
func (w *walk) rested(before *walk) bool {
	return !w.mayMove() || before != nil && before.received == w.received && before.sum == w.sum
}

// mayMove reports whether something may have moved up on the way, to where it was
// not read. What one tenant has moves little, and a total that stays says so. In a
// list of everybody's, others come and go all the time.
func (w *walk) mayMove() bool {
	if !w.l.Paging.numbered() || w.asked < 2 {
		return false
	}
	return !w.l.filtered || w.l.Paging.Total == "" || w.moved || w.received != w.total
}
