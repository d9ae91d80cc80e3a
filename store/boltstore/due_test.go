package boltstore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// Candidates of one page share the lists of their due ancestors; no branch may
// see another one's.
func TestDue_AncestorsAreThoseOfEachBranch(t *testing.T) {
	f := newFixture(t)
	above := map[string][]string{}
	var b store.Batch
	add := func(id, parent string, due bool) {
		v := store.Tenant{ID: id, ParentID: parent, Status: store.StatusActive}
		if due {
			v.Status, v.DisabledAt, v.PurgeAfterDays, v.EstimatedPurgeDate = store.StatusDisabled, epoch, 10, dueAt
		}
		b.Tenants = append(b.Tenants, v)
		line := slices.Clone(above[parent])
		if i := slices.IndexFunc(b.Tenants, func(t store.Tenant) bool { return t.ID == parent }); i >= 0 && b.Tenants[i].Status == store.StatusDisabled {
			line = append(line, parent)
		}
		above[id] = line
	}
	add("n", "", true)
	ids := []string{"n"}
	for depth := range 5 {
		var next []string
		for _, parent := range ids {
			for child := range 2 {
				id := fmt.Sprintf("%s%d", parent, child)
				add(id, parent, (depth+child)%3 != 0)
				next = append(next, id)
			}
		}
		ids = next
	}
	_, err := f.ImportBatch(t.Context(), b, at(epoch))
	f.must(err)
	page, err := f.Due(t.Context(), dueAt, store.Cursor{}, store.MaxPage)
	f.must(err)
	if len(page) < 20 {
		t.Fatalf("only %d candidates", len(page))
	}
	for _, c := range page {
		if !slices.Equal(c.DueAbove, above[c.ID]) {
			t.Errorf("above %s: %v, want %v", c.ID, c.DueAbove, above[c.ID])
		}
	}
}

// A page over a chain must not take memory or time for each pair of tenants.
func BenchmarkDue_DeepChain(b *testing.B) {
	s := bench(b, b.TempDir())
	prev := ""
	for i := 0; i < 12000; {
		var batch store.Batch
		for range 2000 {
			id := fmt.Sprintf("t%06d", i)
			batch.Tenants = append(batch.Tenants, store.Tenant{
				ID: id, ParentID: prev, Status: store.StatusDisabled, DisabledAt: epoch, PurgeAfterDays: 10, EstimatedPurgeDate: dueAt,
			})
			prev = id
			i++
		}
		if _, err := s.ImportBatch(b.Context(), batch, at(epoch)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := s.Due(b.Context(), dueAt, store.Cursor{At: dueAt, ID: "t011000"}, store.MaxPage); err != nil {
			b.Fatal(err)
		}
	}
}
