package purge_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestSync_TakesOverWhatTheSourceSaysInWhateverOrder(t *testing.T) {
	now := time.Now()
	rows := []purge.SourceRow{
		on("acme", ""), on("acme-1", "acme"), offAt("acme-2", "acme", now.Add(time.Hour)), on("acme-1-1", "acme-1"),
		offAt("z", "", now.Add(-time.Hour)), offAt("y", "z", now.Add(48*time.Hour)), on("x", "y"), on("a", "x"),
	}
	for seed := range uint64(10) {
		s := newStore(t)
		d := &directory{}
		shuffled := slices.Clone(rows)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(rows), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		d.set(shuffled...)
		sy := newSyncer(t, s, d, floor(3))
		r := synced(t, sy, store.SyncGood)
		if c := r.Counts; c != (store.SyncCounts{Rows: 8, New: 8, Disabled: 3, Due: 1}) {
			t.Errorf("counts %+v", c)
		}
		wantContents(t, s, rows...)
		unchanged(t, s, "the same again", func() {
			if c := synced(t, sy, store.SyncGood).Counts; c != (store.SyncCounts{Rows: 8, Kept: 8, Unchanged: 8}) {
				t.Errorf("counts %+v", c)
			}
		})
	}
}

func TestSync_FollowsEveryChangeOfATenant(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d, floor(10))
	name, host := "Acme", "acme.example"
	named := on("named", "")
	named.Tenant.Name, named.Tenant.Hostname = &name, &host
	now := time.Now()
	date := func(days int) time.Time { return now.Add(time.Duration(days) * 24 * time.Hour) }
	d.set(named, on("off", ""), offAt("back", "", date(5)), offAt("later", "", date(5)), offAt("sooner", "", date(5)), on("gone", ""), on("same", ""))
	synced(t, sy, store.SyncGood)
	other := "Other"
	silent := on("named", "") // says nothing of the host
	silent.Tenant.Name = &other
	want := []purge.SourceRow{silent, offAt("off", "", date(7)), on("back", ""), offAt("later", "", date(6)), offAt("sooner", "", date(-1)), on("same", "")}
	d.set(want...)
	r := synced(t, sy, store.SyncGood)
	if c := r.Counts; c != (store.SyncCounts{Rows: 6, Kept: 7, Changed: 1, Disabled: 1, Reactivated: 1, Later: 1, Sooner: 1, Due: 1, Vanished: 1, Unchanged: 1}) {
		t.Errorf("counts %+v", c)
	}
	wantContents(t, s, append(want, on("gone", ""))...)
	if v, err := s.Tenant(context.Background(), "named"); err != nil || v.Name != other || v.Hostname != host {
		t.Errorf("named is %q at %q, %v", v.Name, v.Hostname, err)
	}
	if v, err := s.Tenant(context.Background(), "off"); err != nil || v.DisabledBy.ID != "source:crm" {
		t.Errorf("off was disabled by %+v, %v", v.DisabledBy, err)
	}
}

func TestSync_G1_ADateIsRoundedUpAndOneThatIsMissingNeverTaken(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d, floor(20))
	at := store.Trim(time.Now())
	row := func(id string, days int, purgeAt time.Time, disabledAt time.Time) purge.SourceRow {
		return purge.SourceRow{Tenant: purge.SourceTenant{ID: id, Status: store.StatusDisabled, DisabledAt: disabledAt, PurgeAfterDays: days, PurgeAt: purgeAt}}
	}
	day := 24 * time.Hour
	d.set(row("default", 0, time.Time{}, at), row("exact", 0, at.Add(20*day), at), row("up", 0, at.Add(20*day+time.Millisecond), at),
		row("edge", 10, time.Time{}, at), row("max", 90, time.Time{}, at),
		row("both", 20, at.Add(20*day), at), row("nodate", 20, time.Time{}, time.Time{}), row("short", 9, time.Time{}, at), row("long", 91, time.Time{}, at),
		row("negative", -1, time.Time{}, at), row("before", 0, at.Add(-time.Second), at), row("soon", 0, at.Add(9*day), at),
		row("epoch", 20, time.Time{}, time.Unix(0, 0)), row("far", 20, time.Time{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)),
		on("some", ""), on("more", ""), on("that", ""), on("are", ""), on("fine", ""))
	r := synced(t, sy, store.SyncGood)
	if r.Counts.New != 10 || r.Counts.Rejected != 9 {
		t.Errorf("counts %+v", r.Counts)
	}
	for id, days := range map[string]int{"default": 30, "exact": 20, "up": 21, "edge": 10, "max": 90} {
		if v, err := s.Tenant(context.Background(), id); err != nil || v.PurgeAfterDays != days || !v.EstimatedPurgeDate.Equal(at.Add(time.Duration(days)*day)) {
			t.Errorf("%s: %d days, %s, %v; want %d", id, v.PurgeAfterDays, v.EstimatedPurgeDate, err, days)
		}
	}
}

func TestSync_WhatVanishedIsMarkedOnceAndMayComeBack(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(many(20, on)...)
	synced(t, sy, store.SyncGood)
	for left := 16; left >= 4; left -= 4 { // 16 in a day
		sy2 := newSyncer(t, s, d, floor(16))
		d.set(many(left, on)...)
		if c := synced(t, sy2, store.SyncGood).Counts; c.Vanished != 4 || int(c.Kept) != left+4 {
			t.Errorf("%d left: %+v", left, c)
		}
		if n := sourceState(t, sy).Vanished; int(n) != 20-left {
			t.Errorf("%d left: %d have vanished", left, n)
		}
	}
	if n := len(contents(t, s)); n != 20 {
		t.Errorf("%d are kept; want all 20", n)
	}
	marks, err := s.SourceMarks(context.Background(), store.MarkVanished, "", 0)
	if err != nil || len(marks) != 16 || marks[0].ID != "t004" || time.Since(marks[0].At.Time) > time.Minute {
		t.Errorf("marks %v, %v", marks, err)
	}
	d.set(many(20, on)...)
	if c := synced(t, sy, store.SyncGood).Counts; c.Unchanged != 20 {
		t.Errorf("counts %+v", c)
	}
	if n := sourceState(t, sy).Vanished; n != 0 {
		t.Errorf("%d have vanished still", n)
	}
}

func TestSync_AMarkGoesWithItsTenant(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(on("a", ""), dueRow("b", ""), on("c", ""))
	synced(t, sy, store.SyncGood)
	d.set(on("a", ""), on("c", ""))
	synced(t, sy, store.SyncGood)
	if n := sourceState(t, sy).Vanished; n != 1 {
		t.Fatalf("%d have vanished", n)
	}
	e := newEngine(t, s) // one without a source, as if a person deleted it
	wantOutcomes(t, mustRun(t, e), map[string]string{"b": "deleted"})
	synced(t, sy, store.SyncGood)
	if n := sourceState(t, sy).Vanished; n != 0 {
		t.Errorf("%d have vanished; the one is purged", n)
	}
	d.set(on("a", ""), on("b", ""), on("c", "")) // an id is never given again
	if c := synced(t, sy, store.SyncGood).Counts; c.Purged != 1 || c.New != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestSync_AnAbortedStreamChangesNothing(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(many(5, on)...)
	synced(t, sy, store.SyncGood)
	good := sourceState(t, sy)
	d.set(append(many(2, dueRow), many(8, on)[2:]...)...)
	for at := range 9 {
		d.list = func(n int) error {
			if n == at {
				return store.Errorf(store.Unavailable, "connection lost")
			}
			return nil
		}
		unchanged(t, s, fmt.Sprintf("a stream that ends behind %d rows", at), func() {
			r, err := sy.Sync(context.Background())
			if store.CodeOf(err) != store.Unavailable || r.Result != store.SyncFailed {
				t.Errorf("%+v, %v", r, err)
			}
		})
		st := sourceState(t, sy)
		if st.LastFailed == nil || !strings.Contains(st.LastFailed.Why, "connection lost") || !cmp.Equal(st.LastGood, good.LastGood) {
			t.Errorf("on record %+v", st)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.list = func(n int) error {
		if n == 3 {
			cancel()
		}
		return nil
	}
	unchanged(t, s, "a stop", func() {
		if _, err := sy.Sync(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped: %v", err)
		}
	})
	d.list = nil
	synced(t, sy, store.SyncGood)
	if st := sourceState(t, sy); st.LastFailed != nil {
		t.Errorf("the failure outlived a good sync: %+v", st.LastFailed)
	}
}

func TestSync_RowsThatCannotBeUnderstoodHoldUpNoOther(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d, floor(10), func(o *purge.SyncOptions) { o.Settings.Protected = []string{"vip"} })
	d.set(on("a", ""), on("b", ""), on("twice", ""), on("moved", "a"), on("vip", ""))
	synced(t, sy, store.SyncGood)
	text := func(r purge.SourceRow, name string) purge.SourceRow { r.Tenant.Name = &name; return r }
	odd := on("odd", "")
	odd.Tenant.Status = "archived"
	d.set(append([]purge.SourceRow{
		{Tenant: purge.SourceTenant{ID: "a"}, Err: errors.New("disabled_at: no time")},
		on("b", "b"), on("moved", "b"), dueRow("vip", ""), dueRow("twice", ""), on("twice", ""), dueRow("twice", ""),
		on("", ""), on("../etc", ""), text(on("bidi", ""), "a\u202eb"), odd, on("orphan", "nobody"), on("loop1", "loop2"), on("loop2", "loop1"),
		on("fine", ""), text(on("same", ""), "x"), text(on("same", ""), "x"),
	}, many(8, on)...)...)
	r := synced(t, sy, store.SyncGood)
	if c := r.Counts; c.Rows != 25 || c.Rejected != 12 || c.New != 10 || c.Vanished != 0 || c.Unplaced != 2 {
		t.Errorf("counts %+v", c)
	}
	wantContents(t, s, append(many(8, on), on("a", ""), on("b", ""), on("twice", ""), on("moved", "a"), on("vip", ""), on("fine", ""), on("same", ""))...)
	letters := map[string]string{}
	for _, l := range sourceState(t, sy).DeadLetters {
		letters[fmt.Sprintf("%d %s", l.Row, l.ID)] = l.Reason
	}
	for at, want := range map[string]string{
		"1 a": "no time", "2 b": "own parent", "3 moved": `kept below "a"`, "4 vip": "tenants.protected", "5 twice": "row 6 says something else",
		"8 ": "id", "9 ../etc": "id", "10 bidi": "control character", "11 odd": `status "archived"`, "12 orphan": "no such tenant",
		"13 loop1": "no such tenant", "14 loop2": "no such tenant",
	} {
		if !strings.Contains(letters[at], want) {
			t.Errorf("dead letter %s: %q; want %q in it", at, letters[at], want)
		}
	}
	if len(letters) != 12 {
		t.Errorf("dead letters %v", letters)
	}
}

func TestSync_DeadLettersAreBounded(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	rows := many(500, func(id, _ string) purge.SourceRow { return on(id, id) })
	for i := range 500 {
		rows = append(rows, purge.SourceRow{Err: errors.New(strings.Repeat("long\n", 1000))}, on(fmt.Sprintf("f%d", i), ""), on(fmt.Sprintf("g%d", i), ""))
	}
	d.set(rows...)
	if c := synced(t, sy, store.SyncGood).Counts; c.Rejected != 1000 || c.New != 1000 || c.Unplaced != 500 {
		t.Errorf("counts %+v", c)
	}
	st := sourceState(t, sy)
	if len(st.DeadLetters) != store.MaxDeadLetters {
		t.Errorf("%d dead letters", len(st.DeadLetters))
	}
	for _, l := range st.DeadLetters {
		if len(l.Reason) > 1024 || strings.Contains(l.Reason, "\n") {
			t.Errorf("dead letter %q", l.Reason)
		}
	}
}

func TestSync_OneAtATimeAndNotDuringAnImport(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(many(2, on)...)
	d.list = func(int) error {
		if _, err := sy.Sync(context.Background()); store.CodeOf(err) != store.Conflict {
			t.Errorf("a sync within a sync: %v", err)
		}
		return nil
	}
	synced(t, sy, store.SyncGood)
	d.list = nil
	if err := s.BeginImport(context.Background(), store.Import{Digest: "x"}, store.Origin{Actor: operator, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	d.set(many(3, on)...)
	unchanged(t, s, "a sync during an import", func() { synced(t, sy, store.SyncFailed) })
}

func TestNewSyncer_RefusesWhatCannotWork(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	for field, change := range map[string]func(*purge.SyncOptions){
		"":                      func(o *purge.SyncOptions) { o.Source = nil },
		"source.maxChange":      func(o *purge.SyncOptions) { o.Settings.MaxChange = 1.1 },
		"source.maxChangeFloor": func(o *purge.SyncOptions) { o.Settings.Floor = -1 },
		"tenants.protected":     func(o *purge.SyncOptions) { o.Settings.Protected = []string{"a/b"} },
		"purgeAfterDays":        func(o *purge.SyncOptions) { o.Settings.Grace.Default = 500 },
	} {
		o := purge.SyncOptions{Store: s, Source: d, Settings: purge.DefaultSyncSettings()}
		change(&o)
		_, err := purge.NewSyncer(o)
		var coded *store.Error
		if !errors.As(err, &coded) || coded.Code != store.Invalid || coded.Field != field {
			t.Errorf("%q: %v", field, err)
		}
	}
	if _, err := purge.NewSyncer(purge.SyncOptions{Store: struct{ store.Store }{s}, Source: d, Settings: purge.DefaultSyncSettings()}); store.CodeOf(err) != store.Invalid {
		t.Errorf("a store that keeps nothing of a source: %v", err)
	}
}
