package purge_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// TestSync_WhoWentWithTheParentIsNotTooLate: active sub-tenants of a tenant that was
// disabled, which stay active in the source, while it is purged and for ever after.
func TestSync_WhoWentWithTheParentIsNotTooLate(t *testing.T) {
	family := func(id string, top func(id, parent string) purge.SourceRow) []purge.SourceRow {
		// One id is before that of the top, and depth is two.
		return []purge.SourceRow{top(id, ""), on("a-"+id, id), on(id+"-1", id), on(id+"-2", id+"-1"), dueRow(id+"-off", id)}
	}
	rows := func(top func(id, parent string) purge.SourceRow) []purge.SourceRow {
		return append(append(family("gone", top), family("purging", top)...), many(8, on)...)
	}
	s, d := newStore(t), &directory{}
	d.set(rows(dueRow)...)
	y := newSyncer(t, s, d, floor(5))
	synced(t, y, store.SyncGood)
	if _, err := s.Claim(context.Background(), "purging", store.ClaimRequest{Origin: store.Origin{Actor: operator, At: time.Now()}, Owner: "x", Lease: time.Hour, Trigger: "test"}); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{"gone": "deleted"})
	if c := synced(t, y, store.SyncGood).Counts; c.TooLate != 0 || c.Purged != 5 || c.Purging != 5 {
		t.Errorf("counts %+v; want nobody to be too late", c)
	}
	if got := marksOf(t, s, store.MarkTooLate); got != "" {
		t.Errorf("marks %q", got)
	}
	// The source takes it back, but not of those that have left there themselves.
	d.set(rows(on)...)
	if c := synced(t, y, store.SyncGood).Counts; c.TooLate != 8 {
		t.Errorf("counts %+v; want both tops to be too late, and who went with them", c)
	}
	if got, want := marksOf(t, s, store.MarkTooLate), "a-gone a-purging gone gone-1 gone-2 purging purging-1 purging-2"; got != want {
		t.Errorf("marks %q; want %q", got, want)
	}
	d.set(rows(dueRow)...)
	if c := synced(t, y, store.SyncGood).Counts; c.TooLate != 0 || marksOf(t, s, store.MarkTooLate) != "" {
		t.Errorf("counts %+v, marks %q", c, marksOf(t, s, store.MarkTooLate))
	}
	// A sub-tenant that was disabled itself is too late by itself.
	now := rows(dueRow)
	for i := range now {
		if id := now[i].Tenant.ID; id == "gone-off" || id == "purging-off" {
			now[i] = on(id, now[i].Tenant.ParentID)
		}
	}
	d.set(now...)
	synced(t, y, store.SyncGood)
	if got := marksOf(t, s, store.MarkTooLate); got != "gone-off purging-off" {
		t.Errorf("marks %q", got)
	}
}
