package purge

import (
	"fmt"
	"testing"
)

// A row that was left out for want of room is counted where its tenant ends.
func TestRows_OmittedRetryThatEndsIsNotCountedTwice(t *testing.T) {
	var r rows
	for i := range MaxRows + 1 {
		r.add(Row{ID: fmt.Sprint("t", i), Outcome: OutcomeRetrying}, 0)
	}
	for i := range MaxRows + 1 {
		r.add(Row{ID: fmt.Sprint("t", i), Outcome: OutcomeDeleted}, 1)
	}
	if r.totals.Retrying != 0 || r.totals.Deleted != MaxRows+1 || r.omitted != 1 || len(r.list) != MaxRows {
		t.Errorf("totals %+v, %d omitted, %d rows", r.totals, r.omitted, len(r.list))
	}
}
