package purge

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tenantpurge/purger/store"
)

func TestRows_OmitsBeyondTheBoundAndCountsAll(t *testing.T) {
	var r rows
	for i := range MaxRows + 5 {
		r.add(Row{ID: fmt.Sprint("b", i), Outcome: OutcomeBlocked}, 0)
	}
	r.add(Row{ID: "d", Outcome: OutcomeDeleted, ResourcesDeleted: store.Counts{Users: 3}}, 2)
	if len(r.sorted()) != MaxRows+1 || r.omitted != 5 || r.totals.Blocked != MaxRows+5 {
		t.Errorf("%d rows, %d omitted, totals %+v", len(r.list), r.omitted, r.totals)
	}
	if want := (Totals{Counts: store.Counts{Users: 3}, Tenants: 2, Deleted: 1, Blocked: MaxRows + 5}); r.totals != want {
		t.Errorf("totals %+v, want %+v", r.totals, want)
	}
}

func TestRows_LaterOutcomeTakesThePlaceOfARetry(t *testing.T) {
	var r rows
	last := map[string]Outcome{}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		id := fmt.Sprint("t", rng.IntN(40))
		if last[id] != "" && last[id] != OutcomeRetrying {
			continue // it has ended
		}
		last[id] = []Outcome{OutcomeRetrying, OutcomeRetrying, OutcomeRetrying, OutcomeDeleted, OutcomeFailed}[rng.IntN(5)]
		r.add(Row{ID: id, Outcome: last[id]}, 1)
		got := map[string]Outcome{}
		for _, row := range r.list {
			got[row.ID] = row.Outcome
		}
		if len(got) != len(r.list) || len(got) != len(last) {
			t.Fatalf("%d rows for %d of %d tenants", len(r.list), len(got), len(last))
		}
		var want Totals
		for id, o := range last {
			if got[id] != o {
				t.Fatalf("%s is %q, want %q", id, got[id], o)
			}
			switch o {
			case OutcomeDeleted:
				want.Deleted++
				want.Tenants++
			case OutcomeFailed:
				want.Failed++
			default:
				want.Retrying++
			}
		}
		if r.totals != want {
			t.Fatalf("totals %+v, want %+v", r.totals, want)
		}
	}
}
