package purge

import (
	"cmp"
	"slices"
	"strings"
)

// rows gathers the rows of a report.
type rows struct {
	list    []Row
	totals  Totals
	omitted int64
	// retrying has the places in list of tenants that are to be retried: a pass
	// that lasts may see them again.
	retrying map[string]int
}

// add takes a row, in place of one that said that the tenant is to be retried.
// tenants is how many tenants were purged with it.
func (r *rows) add(row Row, tenants int64) {
	t := &r.totals
	if i, again := r.retrying[row.ID]; again {
		delete(r.retrying, row.ID)
		t.Retrying--
		if i < 0 { // its row was left out
			r.omitted--
			i = len(r.list)
		}
		last := len(r.list) - 1
		if i <= last {
			r.list[i] = r.list[last]
			if moved := r.list[i]; moved.Outcome == OutcomeRetrying && i != last {
				r.retrying[moved.ID] = i
			}
			r.list = r.list[:last]
		}
	}
	var n *int64
	switch row.Outcome {
	case OutcomeDeleted:
		n = &t.Deleted
		t.Counts = t.Counts.Plus(row.ResourcesDeleted)
		t.Tenants += tenants
	case OutcomeBlocked:
		n = &t.Blocked
	case OutcomeFailed:
		n = &t.Failed
	default:
		n = &t.Retrying
	}
	*n++
	place := len(r.list)
	if *n > MaxRows {
		place = -1
	}
	if row.Outcome == OutcomeRetrying {
		if r.retrying == nil {
			r.retrying = map[string]int{}
		}
		r.retrying[row.ID] = place
	}
	if place < 0 {
		r.omitted++
		return
	}
	r.list = append(r.list, row)
}

// sorted returns the rows by date, then id.
func (r *rows) sorted() []Row {
	if r.list == nil {
		return []Row{}
	}
	slices.SortFunc(r.list, func(a, b Row) int {
		return cmp.Or(a.EstimatedPurgeDate.Compare(b.EstimatedPurgeDate.Time), strings.Compare(a.ID, b.ID))
	})
	return r.list
}
