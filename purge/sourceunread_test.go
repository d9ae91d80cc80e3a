package purge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// unread makes a row one that cannot be read, live one whose status nobody knows.
func unread(r purge.SourceRow) purge.SourceRow { r.Err = errors.New("odd"); return r }

func live(r purge.SourceRow) purge.SourceRow { r.Tenant.Status = "live"; return r }

// among adds so many rows that are understood that a sync is good.
func among(rows ...purge.SourceRow) []purge.SourceRow {
	for i := range 90 {
		rows = append(rows, on(fmt.Sprintf("z%d", i), ""))
	}
	return rows
}

// chain returns n tenants, each below the one before, whose id is greater.
func chain(n int, above string) []purge.SourceRow {
	var rows []purge.SourceRow
	for i := range n {
		id := fmt.Sprintf("c%03d", 999-i)
		rows, above = append(rows, on(id, above)), id
	}
	return rows
}

// marksOf returns the tenants with a mark, and whom each is for.
func marksOf(t testing.TB, s store.SourceKeeper, kind store.MarkKind) string {
	t.Helper()
	marks, err := s.SourceMarks(context.Background(), kind, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range marks {
		if m.At.IsZero() {
			t.Errorf("the mark %+v has no instant", m)
		}
		list = append(list, strings.TrimSuffix(m.ID+"<"+m.By, "<"))
	}
	return strings.Join(list, " ")
}

func TestRun_G4_NothingIsPurgedAboveARowThatWasNotTakenOver(t *testing.T) {
	type rows = []purge.SourceRow
	for name, c := range map[string]struct {
		rows     rows   // besides tenant 3, which is due
		by       string // for whom it waits, "" for nobody
		unplaced int64
	}{
		"whose status is unknown":        {rows{live(on("11", "3"))}, "11", 0},
		"that cannot be read":            {rows{unread(on("11", "3"))}, "11", 0},
		"without an id":                  {rows{unread(on("", "3"))}, "3", 0},
		"whose id is none":               {rows{live(on("1/1", "3"))}, "3", 0},
		"one of several":                 {rows{unread(on("", "3")), live(on("12", "3")), live(on("11", "3"))}, "11", 0},
		"below a rejected one":           {rows{live(on("11", "3")), on("111", "11"), live(on("112", "11"))}, "11", 0},
		"further down":                   {rows{on("11", "3"), on("111", "11"), live(on("x", "111"))}, "x", 0},
		"said twice, below two":          {rows{on("11", ""), on("11", "3")}, "11", 0},
		"said twice, below two, again":   {rows{on("11", "3"), on("11", "")}, "11", 0},
		"said twice, once well":          {rows{on("11", ""), live(on("11", "3"))}, "11", 0},
		"said three times":               {rows{live(on("11", "")), on("11", ""), on("11", "3")}, "11", 0},
		"kept elsewhere":                 {rows{on("moved", "3")}, "moved", 0},
		"protected, and disabled":        {rows{dueRow("vip", "3")}, "vip", 0},
		"nested too deep for one sync":   {chain(70, "3"), "c934", 0},
		"elsewhere":                      {rows{live(on("11", "other"))}, "", 0},
		"a root":                         {rows{live(on("11", ""))}, "", 0},
		"below nobody":                   {rows{live(on("11", "nobody"))}, "", 0},
		"without an id and a parent":     {rows{unread(on("", "")), live(on("", ""))}, "", 2},
		"without a parent that is one":   {rows{unread(on("11", "a/b")), unread(on("12", ""))}, "", 2},
		"of one that was purged already": {rows{live(on("gone", "3")), unread(on("gone", ""))}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openStore(t, dir)
			d := &directory{}
			protect := func(o *purge.SyncOptions) { o.Settings.Protected = []string{"vip"} }
			before := among(on("other", ""), on("moved", "other"))
			d.set(append(before, on("3", ""), dueRow("gone", "3"))...)
			synced(t, newSyncer(t, s, d, protect), store.SyncGood)
			wantOutcomes(t, mustRun(t, newEngine(t, s)), map[string]string{"gone": "deleted"})
			if c.rows[0].Tenant.ID == "moved" {
				before[1] = c.rows[0]
				c.rows = nil
			}
			d.set(append(append(before, dueRow("3", ""), dueRow("stranger", "")), c.rows...)...)
			if got := synced(t, newSyncer(t, s, d, protect), store.SyncGood).Counts; got.Unplaced != c.unplaced {
				t.Errorf("counts %+v", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, dir) // it outlives the process
			e := newEngine(t, s, source(d))
			want := map[string]string{"3": "deleted", "stranger": "deleted"}
			if c.by != "" {
				want["3"] = "blocked: source by " + c.by
			}
			r, err := e.Plan(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			wantOutcomes(t, r, want)
			wantOutcomes(t, mustRun(t, e), want)
			if err := s.Check(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRun_G4_WhoWaitsForARowGoesOnOnceASyncUnderstandsItOrFindsItGone(t *testing.T) {
	for name, c := range map[string]struct {
		rows []purge.SourceRow
		subs int64
	}{
		"understood": {[]purge.SourceRow{on("11", "3")}, 1},
		"gone":       {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			d := &directory{}
			sy := newSyncer(t, s, d)
			e := newEngine(t, s, source(d))
			d.set(among(dueRow("3", ""), live(on("11", "3")))...)
			synced(t, sy, store.SyncGood)
			first := sourceState(t, sy)
			if got := marksOf(t, s, store.MarkUnread); got != "3<11" || first.Unread != 1 {
				t.Errorf("marks %q, %d of them", got, first.Unread)
			}
			waits := map[string]string{"3": "blocked: source by 11"}
			wantOutcomes(t, mustRun(t, e), waits)
			d.set(among(append(c.rows, dueRow("3", ""))...)...)
			wantOutcomes(t, mustRun(t, e), waits) // nobody has read the source since
			d.list = func(n int) error {
				if n > 80 {
					return errSourceDown
				}
				return nil
			}
			synced(t, sy, store.SyncFailed)
			wantOutcomes(t, mustRun(t, e), waits)
			d.list = nil
			synced(t, sy, store.SyncGood)
			if st := sourceState(t, sy); st.Unread != 0 || marksOf(t, s, store.MarkUnread) != "" {
				t.Errorf("%d still wait", st.Unread)
			}
			wantOutcomes(t, mustRun(t, e), map[string]string{"3": "deleted"})
			if r := receipt(t, s, "3"); r.Deleted.SubTenants != c.subs {
				t.Errorf("receipt %+v; want %d sub-tenants", r, c.subs)
			}
		})
	}
}

func TestSync_G4_ARefusedOneKeepsWhatItDidNotTakeOverFromBeingLost(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(dueRow("3", ""), dueRow("4", ""), live(on("41", "4")), on("5", ""), on("6", ""), on("7", ""), on("8", ""))
	synced(t, sy, store.SyncGood)
	d.set(dueRow("3", ""), dueRow("4", ""), on("31", "3"), on("40", "4"), live(on("51", "5")), on("61", "62"), on("62", "6")) // 5 to 8 have vanished
	synced(t, sy, store.SyncRefused)
	if got := marksOf(t, s, store.MarkUnread); got != "3<31 4<41 5<51 6<62" {
		t.Errorf("marks %q", got)
	}
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{"3": "blocked: source by 31", "4": "blocked: source by 41"})
}

func TestDelete_G4_NotEvenByAPersonAboveARowThatWasNotTakenOver(t *testing.T) {
	for _, top := range []purge.SourceRow{on("3", ""), off("3", "", time.Hour)} {
		s := newStore(t)
		d := &directory{}
		d.set(top, on("1", ""), on("2", "3"), live(on("11", "2")))
		synced(t, newSyncer(t, s, d), store.SyncGood)
		e := newEngine(t, s, source(d), policy(purge.DeleteAny))
		_, err := e.Delete(context.Background(), purge.Deletion{ID: "3", Actor: operator})
		var blocked *store.BlockedError
		if !errors.As(err, &blocked) || blocked.Block != (store.Block{Reason: store.BlockSource, By: "11"}) {
			t.Errorf("%s: %v", top.Tenant.Status, err)
		}
	}
}

func TestSync_G9_OneThatUnderstandsLessThanItRejectsIsRefusedWhateverTheFloor(t *testing.T) {
	type rows = []purge.SourceRow
	for name, c := range map[string]struct {
		good, bad rows
		ok        bool
	}{
		"as many":             {many(3, on), rows{live(on("a", "")), unread(on("", "")), on("b", "b")}, true},
		"one more":            {many(2, on), rows{live(on("a", "")), unread(on("", "")), on("b", "b")}, false},
		"below nobody":        {many(2, on), rows{on("a", "x"), on("b", "x"), on("c", "y")}, false},
		"as many, some below": {many(2, on), rows{on("a", "x"), on("a1", "t000"), on("b", "x"), on("a2", "a1")}, true},
		"without ids":         {many(2, on), rows{unread(on("", "t000")), unread(on("", "")), unread(on("", ""))}, false},
		"the same row twice":  {many(2, on), rows{live(on("a", "")), live(on("a", "")), live(on("b", ""))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			d := &directory{}
			d.set(append(c.good, c.bad...)...)
			sy := newSyncer(t, s, d, floor(1000))
			if c.ok {
				synced(t, sy, store.SyncGood)
				return
			}
			first := synced(t, sy, store.SyncRefused)
			if st := sourceState(t, sy); !strings.Contains(first.Why, "rejected") || st.LastRefused == nil || len(contents(t, s)) != 0 {
				t.Errorf("%+v; %d are kept", first, len(contents(t, s)))
			}
			if again := synced(t, sy, store.SyncRefused); again.Digest != first.Digest {
				t.Errorf("the same has the digests %s and %s", first.Digest, again.Digest)
			}
			accept := func(digest string) {
				t.Helper()
				if _, err := sy.Accept(context.Background(), digest, store.Origin{Actor: operator, At: time.Now()}); err != nil {
					t.Fatal(err)
				}
			}
			accept(first.Digest)
			digests := map[string]bool{first.Digest: true}
			for _, more := range []purge.SourceRow{unread(on("", "")), live(on("other", "")), on("other", "nobody"), on("other", "none")} {
				d.set(append(append(c.good, c.bad...), more)...)
				second := synced(t, sy, store.SyncRefused)
				if digests[second.Digest] {
					t.Errorf("%+v is rejected too, and the digest is one that was there", more)
				}
				digests[second.Digest] = true
				accept(second.Digest)
			}
			synced(t, sy, store.SyncGood)
			if n := len(contents(t, s)); n != len(c.good) {
				t.Errorf("%d are kept", n)
			}
			synced(t, sy, store.SyncRefused) // it was accepted once
		})
	}
}

func TestSync_ManyNewTenantsBelowOneThatIsKeptAreUnderstood(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(on("3", ""))
	synced(t, sy, store.SyncGood)
	d.set(on("3", ""), on("31", "3"), on("32", "3"), on("33", "3"))
	synced(t, sy, store.SyncGood)
}

// hasty is a store in which somebody is faster than a sync.
type hasty struct {
	*boltstore.Store
	conflict bool // with a tenant that was created meanwhile, or else with its parent
}

func (s hasty) Compare(ctx context.Context, b store.Batch) (store.Imported, error) {
	o, err := s.Store.Compare(ctx, b)
	for i := range b.Tenants {
		if s.conflict && b.Tenants[i].ID == "31" {
			o.Tenants[i] = store.OutcomeConflict
		}
	}
	return o, err
}

func (s hasty) ImportBatch(ctx context.Context, b store.Batch, o store.Origin) (store.Imported, error) {
	if !s.conflict {
		return store.Imported{}, store.Errorf(store.Invalid, "no such parent")
	}
	return s.Store.ImportBatch(ctx, b, o)
}

func TestSync_G4_WhatCannotBeCreatedSinceSomebodyWasFasterKeepsItsParentWaiting(t *testing.T) {
	for _, conflict := range []bool{false, true} {
		s := newStore(t)
		d := &directory{}
		d.set(among(dueRow("3", ""))...)
		synced(t, newSyncer(t, s, d), store.SyncGood)
		d.set(among(dueRow("3", ""), on("31", "3"))...)
		synced(t, newSyncer(t, hasty{s, conflict}, d), store.SyncGood)
		if got := marksOf(t, s, store.MarkUnread); got != "3<31" {
			t.Errorf("conflict %t: marks %q", conflict, got)
		}
	}
}

func TestSync_ANewTenantBelowAPurgedOneIsRejectedAndNotCountedAsPurged(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(among(dueRow("3", ""))...)
	synced(t, sy, store.SyncGood)
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{"3": "deleted"})
	d.set(among(on("11", "3"))...)
	c := synced(t, sy, store.SyncGood).Counts
	if letters := sourceState(t, sy).DeadLetters; c.Rejected != 1 || c.Purged != 0 || c.New != 0 || len(letters) != 1 || !strings.Contains(letters[0].Reason, "it was purged") {
		t.Errorf("counts %+v, dead letters %+v", c, letters)
	}
}

func TestSync_SaysOnceOfATenantThatItIsActiveAndTooLate(t *testing.T) {
	s := newStore(t)
	core, logs := observer.New(zapcore.WarnLevel)
	d := &directory{}
	logged := func(o *purge.SyncOptions) { o.Logger = zap.New(core) }
	warned := func() []string {
		var ids []string
		for _, l := range logs.TakeAll() {
			if strings.Contains(l.Message, "cannot be taken back") {
				ids = append(ids, fmt.Sprint(l.ContextMap()["tenant"]))
			}
		}
		return ids
	}
	d.set(among(dueRow("gone", ""), dueRow("purging", ""), dueRow("off", ""))...)
	synced(t, newSyncer(t, s, d, floor(5)), store.SyncGood)
	for _, id := range []string{"purging", "off"} {
		if _, err := s.Claim(context.Background(), id, store.ClaimRequest{Origin: store.Origin{Actor: operator, At: time.Now()}, Owner: "x", Lease: time.Hour, Trigger: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{"gone": "deleted"})
	check := func(want ...string) {
		t.Helper()
		if got := warned(); !slices.Equal(got, want) {
			t.Errorf("warned of %v; want %v", got, want)
		}
	}
	synced(t, newSyncer(t, s, d, logged), store.SyncGood)
	check()
	d.set(among(on("gone", ""), on("purging", ""), dueRow("off", ""))...)
	for i := range 3 { // also by another process
		c := synced(t, newSyncer(t, s, d, logged), store.SyncGood).Counts
		if c.TooLate != 2 || c.Purging != 2 || c.Purged != 1 {
			t.Errorf("counts %+v", c)
		}
		if i == 0 {
			check("gone", "purging")
		}
	}
	check()
	if got := marksOf(t, s, store.MarkTooLate); got != "gone purging" {
		t.Errorf("marks %q", got)
	}
	d.set(append(many(3, on), on("gone", ""), on("off", ""))...) // too much has vanished
	if c := synced(t, newSyncer(t, s, d, logged), store.SyncRefused).Counts; c.TooLate != 2 {
		t.Errorf("counts %+v", c)
	}
	check("off")
	if got := marksOf(t, s, store.MarkTooLate); got != "gone off purging" {
		t.Errorf("marks %q", got)
	}
	d.set(among(on("off", ""))...)
	synced(t, newSyncer(t, s, d, logged), store.SyncGood)
	if got := marksOf(t, s, store.MarkTooLate); got != "off" {
		t.Errorf("marks %q", got)
	}
}
