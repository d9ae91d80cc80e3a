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

// leftOut is the place of a row that was left out for want of room.
const leftOut = -1

// add takes a row, in place of one that said that the tenant is to be retried.
// tenants is how many tenants were purged with it.
func (r *rows) add(row Row, tenants int64) {
	r.takeBack(row.ID)
	t := &r.totals
	n := &t.Retrying
	switch row.Outcome {
	case OutcomeDeleted:
		n = &t.Deleted
		t.Counts = t.Counts.Plus(row.ResourcesDeleted)
		t.Tenants += tenants
	case OutcomeBlocked:
		n = &t.Blocked
	case OutcomeFailed:
		n = &t.Failed
	case OutcomeRetrying:
	}
	place := leftOut
	if *n++; *n > MaxRows {
		r.omitted++
	} else {
		place = len(r.list)
		r.list = append(r.list, row)
	}
	if row.Outcome != OutcomeRetrying {
		return
	}
	if r.retrying == nil {
		r.retrying = map[string]int{}
	}
	r.retrying[row.ID] = place
}

// takeBack takes away the row that says that a tenant is to be retried, if there is
// one. The last row gets its place.
func (r *rows) takeBack(id string) {
	place, ok := r.retrying[id]
	if !ok {
		return
	}
	delete(r.retrying, id)
	r.totals.Retrying--
	if place == leftOut {
		r.omitted--
		return
	}
	last := len(r.list) - 1
	if moved := r.list[last]; place != last {
		r.list[place] = moved
		if moved.Outcome == OutcomeRetrying {
			r.retrying[moved.ID] = place
		}
	}
	r.list = r.list[:last]
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
