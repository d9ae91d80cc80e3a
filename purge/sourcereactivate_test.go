package purge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
	"github.com/tenantpurge/purger/store/ndjson"
)

// reactivate has a person reactivate tenants.
func reactivate(t testing.TB, s store.Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if _, err := s.Update(context.Background(), id, store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Reactivate()}); err != nil {
			t.Fatal(err)
		}
	}
}

// wantStanding fails the test unless the reactivation of the tenant stands, or
// nothing of it is left.
func wantStanding(t testing.TB, s store.Store, id string, want bool) {
	t.Helper()
	v, err := s.Tenant(context.Background(), id)
	if err != nil || v.Status != store.StatusActive || v.ReactivatedAt.IsZero() == want {
		t.Errorf("%s is %s, reactivated at %s, %v; want it active, and that to stand: %t", id, v.Status, v.ReactivatedAt, err, want)
	}
}

// disabledAt is the row of a tenant that was disabled then.
func disabledAt(id, parent string, at time.Time) purge.SourceRow {
	return offAt(id, parent, at.Add(graceDays*24*time.Hour))
}

// TestSync_G2_AReactivationStandsUntilTheSourceSaysSomethingNewer goes the whole
// way, with a restart between any two steps.
func TestSync_G2_AReactivationStandsUntilTheSourceSaysSomethingNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var s *boltstore.Store
		d := &directory{}
		sync := func(want store.SyncCounts) {
			t.Helper()
			if s != nil {
				if err := errors.Join(s.Check(context.Background()), s.Close()); err != nil {
					t.Fatal(err)
				}
			}
			s = openStore(t, dir)
			time.Sleep(time.Hour)
			if c := synced(t, newSyncer(t, s, d, floor(5)), store.SyncGood).Counts; c != want {
				t.Errorf("counts %+v; want %+v", c, want)
			}
		}
		first := disabledAt("acme", "", time.Now().Add(-10*24*time.Hour))
		d.set(first, on("globex", ""))
		sync(store.SyncCounts{Rows: 2, New: 2, Disabled: 1})
		wantContents(t, s, first, on("globex", ""))

		time.Sleep(time.Hour)
		reactivate(t, s, "acme")
		for range 3 {
			sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2, Overruled: 1})
			wantStanding(t, s, "acme", true)
		}
		time.Sleep(60 * 24 * time.Hour) // when it would long have been purged
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2, Overruled: 1})
		wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{})
		wantStanding(t, s, "acme", true)

		anew := disabledAt("acme", "", time.Now())
		d.set(anew, on("globex", ""))
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 1, Disabled: 1})
		wantContents(t, s, anew, on("globex", ""))

		time.Sleep(time.Hour)
		reactivate(t, s, "acme")
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2, Overruled: 1})
		wantStanding(t, s, "acme", true)
		d.set(on("acme", ""), on("globex", "")) // there, too, by now
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 1, Changed: 1})
		wantStanding(t, s, "acme", false)
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2})
		d.set(anew, on("globex", "")) // it was active in between, so that this is new whatever its date
		sync(store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 1, Disabled: 1})
		wantContents(t, s, anew, on("globex", ""))
	})
}

func TestSync_G2_WhatIsOverruledIsNotNewlyDueAndIsTold(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	d.set(many(20, dueRow)...)
	synced(t, newSyncer(t, s, d, floor(20)), store.SyncGood)
	d.set(many(20, on)...)
	nothing := synced(t, newSyncer(t, s, d, floor(20)), store.SyncGood).Digest
	d.set(many(20, dueRow)...)
	synced(t, newSyncer(t, s, d, floor(40)), store.SyncGood) // with those of before
	for i := range 20 {
		reactivate(t, s, fmt.Sprintf("t%03d", i))
	}
	core, logs := observer.New(zapcore.InfoLevel)
	meter, read := measured(t)
	var measuring purge.Options
	meter(&measuring)
	strict := newSyncer(t, s, d, func(o *purge.SyncOptions) {
		o.Settings.Floor, o.Settings.MaxChange, o.Settings.Protected = 0, 0, []string{"t003"} // which is no dead letter
		o.Metrics, o.Logger = measuring.Metrics, zap.New(core)
	})
	unchanged(t, s, "what is overruled", func() {
		r := synced(t, strict, store.SyncGood)
		if want := (store.SyncCounts{Rows: 20, Kept: 20, Unchanged: 20, Overruled: 20}); r.Counts != want || r.Digest != nothing {
			t.Errorf("counts %+v, digest %s; want %+v, and that of nothing dangerous", r.Counts, r.Digest, want)
		}
	})
	if all := logs.TakeAll(); len(all) != 1 || all[0].ContextMap()["overruled"] != int64(20) {
		t.Errorf("log %+v; want one line with the count", all)
	}
	want(t, read, "purger_source_rows{outcome=overruled}", 20)
}

func TestSync_G2_AReactivationIsOfOneTenantAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		d := &directory{}
		sy := newSyncer(t, s, d, floor(9))
		old := time.Now().Add(-24 * time.Hour)
		rows := []purge.SourceRow{disabledAt("acme", "", old), disabledAt("acme-1", "acme", old), disabledAt("acme-2", "acme", old), on("acme-3", "acme")}
		d.set(rows...)
		synced(t, sy, store.SyncGood)
		time.Sleep(time.Minute)
		reactivate(t, s, "acme", "acme-2")
		name := "Renamed"
		rows[2].Tenant.Name = &name
		d.set(rows...)
		if c := synced(t, sy, store.SyncGood).Counts; c != (store.SyncCounts{Rows: 4, Kept: 4, Unchanged: 3, Changed: 1, Overruled: 2}) {
			t.Errorf("counts %+v", c)
		}
		wantContents(t, s, on("acme", ""), rows[1], on("acme-2", "acme"), on("acme-3", "acme"))
		if v, err := s.Tenant(context.Background(), "acme-2"); err != nil || v.Name != name {
			t.Errorf("acme-2 is called %q, %v", v.Name, err)
		}
		anew := disabledAt("acme", "", time.Now().Add(time.Minute))
		d.set(append([]purge.SourceRow{anew}, rows[1:]...)...)
		synced(t, sy, store.SyncGood)
		wantContents(t, s, anew, rows[1], on("acme-2", "acme"), on("acme-3", "acme"))
	})
}

// A pass asks the source once more right before a claim.
func TestRun_G2_AReactivationWhileTheSourceIsAskedStands(t *testing.T) {
	old := time.Now().Add(-40 * 24 * time.Hour)
	for name, answer := range map[string]purge.SourceRow{
		"which confirms":            disabledAt("acme", "", old),
		"which says a later date":   disabledAt("acme", "", old.Add(20*24*time.Hour)),
		"which says that it is off": on("acme", ""),
	} {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, many at once: %t", name, batch), func(t *testing.T) {
				s := newStore(t)
				d := &directory{}
				var src purge.Source = d
				if batch {
					src = &batched{d}
				}
				d.set(disabledAt("acme", "", old), disabledAt("below", "acme", old))
				synced(t, newSyncer(t, s, d, floor(9)), store.SyncGood)
				d.set(answer, disabledAt("below", "acme", old))
				asked := false
				d.ask = func(_ context.Context, id string) error {
					if id == "acme" && !asked {
						asked = true
						reactivate(t, s, "acme")
					}
					return nil
				}
				r := mustRun(t, newEngine(t, s, func(o *purge.Options) { o.Source = src }))
				if !asked || r.Totals.Deleted != 0 && r.Tenants[0].ID == "acme" {
					t.Errorf("asked %t, report %+v", asked, r)
				}
				wantStanding(t, s, "acme", true)
				d.set(disabledAt("acme", "", old))
				for range 3 {
					synced(t, newSyncer(t, s, d, floor(9)), store.SyncGood)
					wantStanding(t, s, "acme", true)
				}
			})
		}
	}
}

// What a snapshot says may be older than what a person did while it was read.
func TestSync_G2_AnAnswerThatIsOlderThanTheReactivationEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		d := &directory{}
		sy := newSyncer(t, s, d, floor(9))
		d.set(disabledAt("acme", "", time.Now()))
		synced(t, sy, store.SyncGood)
		time.Sleep(time.Hour)
		d.set(on("acme", ""))
		var between time.Time
		d.list = func(n int) error {
			if n == 1 {
				time.Sleep(time.Second)
				between = time.Now() // it is disabled there anew
				time.Sleep(time.Second)
				reactivate(t, s, "acme")
			}
			return nil
		}
		synced(t, sy, store.SyncGood)
		wantStanding(t, s, "acme", true)
		d.list = nil
		d.set(disabledAt("acme", "", between))
		synced(t, sy, store.SyncGood)
		wantStanding(t, s, "acme", true)
	})
}

func TestDelete_G2_ARefusedDeletionLeavesAReactivationStanding(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(dueRow("acme", ""))
	synced(t, sy, store.SyncGood)
	reactivate(t, s, "acme")
	hold := store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.SetHold("legal", time.Time{})}
	if _, err := s.Update(context.Background(), "acme", hold); err != nil {
		t.Fatal(err)
	}
	var blocked *store.BlockedError
	_, err := newEngine(t, s, policy(purge.DeleteAny), source(d)).Delete(context.Background(), purge.Deletion{ID: "acme", Actor: operator})
	if v, err2 := s.Tenant(context.Background(), "acme"); !errors.As(err, &blocked) || err2 != nil || v.Version != 6 {
		t.Fatalf("%v, %v, version %d; want it deactivated, refused, and that taken back", err, err2, v.Version)
	}
	synced(t, sy, store.SyncGood)
	wantStanding(t, s, "acme", true)
}

func TestSync_G2_AReactivationStandsAfterAnImportOfTheExport(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	d.set(dueRow("acme", ""), dueRow("globex", ""))
	synced(t, newSyncer(t, s, d), store.SyncGood)
	reactivate(t, s, "acme")
	var lines bytes.Buffer
	if _, err := ndjson.Export(context.Background(), s, &lines, ndjson.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	other := newStore(t)
	text := lines.String()
	if sum, err := ndjson.Import(context.Background(), ndjson.ImportOptions{Store: other, Input: &lines, Now: time.Now()}); err != nil || !sum.Complete {
		t.Fatalf("%+v, %v: %s", sum, err, text)
	}
	if c := synced(t, newSyncer(t, other, d), store.SyncGood).Counts; c != (store.SyncCounts{Rows: 2, Kept: 2, Unchanged: 2, Overruled: 1}) {
		t.Errorf("counts %+v: %s", c, text)
	}
	wantStanding(t, other, "acme", true)
}
