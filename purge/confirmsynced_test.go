package purge_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

func maxAge(d time.Duration) func(*purge.Options) {
	return setting(func(s *purge.Settings) { s.SourceMaxAge = d })
}

// TestRun_NobodyIsPurgedWithoutAGoodSyncLately: what the source got since is not known
// here, such as a sub-tenant, which nobody would ever purge.
func TestRun_NobodyIsPurgedWithoutAGoodSyncLately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newStore(t), &directory{}
		acme := dueRow("acme", "")
		d.set(acme)
		e := newEngine(t, s, source(d), maxAge(time.Hour))
		y := newSyncer(t, s, d)
		synced(t, y, store.SyncGood)
		d.set(acme, on("acme-new", "acme"))
		d.list = func(int) error { return errSourceDown }
		time.Sleep(time.Hour + time.Millisecond)
		synced(t, y, store.SyncFailed)
		blocked := map[string]string{"acme": "blocked: source_down by acme"}
		wantOutcomes(t, mustRun(t, e), blocked)
		if r, err := e.Plan(t.Context()); err != nil {
			t.Error(err)
		} else {
			wantOutcomes(t, r, blocked)
		}
		d.list = nil
		synced(t, y, store.SyncGood)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		wantStatus(t, s, store.StatusDeleted, "acme", "acme-new")
	})
}

// TestRun_AGoodSyncCountsForAsLongAsIsConfigured, to the last instant.
func TestRun_AGoodSyncCountsForAsLongAsIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newStore(t), &directory{}
		d.set(dueRow("acme", ""))
		synced(t, newSyncer(t, s, d), store.SyncGood)
		time.Sleep(time.Hour)
		wantOutcomes(t, mustRun(t, newEngine(t, s, source(d), maxAge(time.Hour))), map[string]string{"acme": "deleted"})
	})
}

// TestRun_NobodyIsPurgedWithoutAnySync has a source that was never read.
func TestRun_NobodyIsPurgedWithoutAnySync(t *testing.T) {
	s, d := newStore(t), &directory{}
	r := dueRow("acme", "")
	fill(t, s, []store.Tenant{kept(r)}, nil)
	d.set(r)
	e := newEngine(t, s, source(d), maxAge(time.Hour))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "blocked: source_down by acme"})
	// A person does not wait for a sync.
	if _, err := e.Delete(t.Context(), purge.Deletion{ID: "acme", Actor: operator}); err != nil {
		t.Error(err)
	}
	wantStatus(t, s, store.StatusDeleted, "acme")
}

// TestRun_ASyncWithAnotherSourceIsNone: nobody knows what this one has.
func TestRun_ASyncWithAnotherSourceIsNone(t *testing.T) {
	s, d := newStore(t), &directory{}
	d.set(dueRow("acme", ""))
	synced(t, newSyncer(t, s, d), store.SyncGood)
	e := newEngine(t, s, source(renamed{d}), maxAge(time.Hour))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "blocked: source_down by acme"})
	told := time.Now()
	y := newSyncer(t, s, renamed{d}, func(o *purge.SyncOptions) { o.Good = func(before time.Time) { told = before } })
	synced(t, y, store.SyncGood)
	if !told.IsZero() {
		t.Errorf("the good sync before was at %s; want none of this source", told)
	}
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
}

// TestRun_AFailedSyncWithAnotherSourceMakesThatOfTheOneBeforeNoBetter.
func TestRun_AFailedSyncWithAnotherSourceMakesThatOfTheOneBeforeNoBetter(t *testing.T) {
	s, d := newStore(t), &directory{}
	d.set(dueRow("acme", ""))
	synced(t, newSyncer(t, s, d), store.SyncGood)
	d.list = func(int) error { return errSourceDown }
	synced(t, newSyncer(t, s, renamed{d}), store.SyncFailed)
	e := newEngine(t, s, source(renamed{d}), maxAge(time.Hour))
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "blocked: source_down by acme"})
}

// records counts how often what is on record of the source is read.
type records struct {
	*boltstore.Store
	read atomic.Int64
}

func (r *records) Source(ctx context.Context) (store.SourceState, error) {
	r.read.Add(1)
	return r.Store.Source(ctx)
}

// TestRun_WhatIsOnRecordOfTheSourceIsNotReadForEachTenant while its last sync is good
// for all of them.
func TestRun_WhatIsOnRecordOfTheSourceIsNotReadForEachTenant(t *testing.T) {
	s, d := &records{Store: newStore(t)}, &directory{}
	d.set(many(20, dueRow)...)
	synced(t, newSyncer(t, s.Store, d, floor(100)), store.SyncGood)
	e := newEngine(t, s, source(d), maxAge(time.Hour), setting(func(s *purge.Settings) { s.Concurrency = 1 }))
	if r := mustRun(t, e); r.Totals.Deleted != 20 {
		t.Errorf("%d tenants deleted; want 20", r.Totals.Deleted)
	}
	if n := s.read.Load(); n != 1 {
		t.Errorf("read %d times; want once", n)
	}
}

// renamed is a directory under another name.
type renamed struct{ *directory }

func (renamed) Name() string { return "crm-2" }

// TestSync_TellsAfterAGoodOneWhenTheOneBeforeWas is for whoever makes a pass then.
func TestSync_TellsAfterAGoodOneWhenTheOneBeforeWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newStore(t), &directory{}
		d.set(on("acme", ""))
		var told []time.Time
		y := newSyncer(t, s, d, func(o *purge.SyncOptions) { o.Good = func(before time.Time) { told = append(told, before) } })
		first := synced(t, y, store.SyncGood)
		d.list = func(int) error { return errSourceDown }
		synced(t, y, store.SyncFailed)
		d.list = nil
		time.Sleep(time.Hour)
		synced(t, y, store.SyncGood)
		if len(told) != 2 || !told[0].IsZero() || !told[1].Equal(first.FinishedAt.Time) {
			t.Errorf("told %v; want none, and %v", told, first.FinishedAt)
		}
	})
}
