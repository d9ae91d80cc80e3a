package purge

import (
	"context"
	"iter"
	"time"

	"github.com/tenantpurge/purger/store"
)

// candidate is a tenant that a pass looks at.
type candidate struct {
	store.Candidate
	resume bool // it was claimed before
}

// candidates yields what there is to do at now: first what was claimed and is
// to be resumed, then, unless due is false, what is due, oldest first. A pass
// and a plan both walk it.
func (e *Engine) candidates(ctx context.Context, now time.Time, due bool) iter.Seq2[candidate, error] {
	return func(yield func(candidate, error) bool) {
		if !pages(ctx, now, e.store.Resumable, func(c store.Candidate, err error) bool {
			return yield(candidate{c, true}, err)
		}) || !due {
			return
		}
		pages(ctx, now, e.store.Due, func(c store.Candidate, err error) bool {
			return yield(candidate{c, false}, err)
		})
	}
}

// pages yields all that list returns, page by page. It reports whether to go on.
func pages(ctx context.Context, now time.Time, list func(context.Context, time.Time, store.Cursor, int) ([]store.Candidate, error),
	yield func(store.Candidate, error) bool) bool {
	var after store.Cursor
	for {
		page, err := list(ctx, now, after, store.MaxPage)
		if err != nil {
			yield(store.Candidate{}, err)
			return false
		}
		for _, c := range page {
			if !yield(c, nil) {
				return false
			}
			after = c.Cursor
		}
		if len(page) < store.MaxPage {
			return true
		}
	}
}
