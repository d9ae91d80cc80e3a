package purge_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestSync_G9_OneThatChangesTooMuchIsRefusedAsAWhole(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []purge.SourceRow
		ok            bool
	}{
		"vanished, at the limit":     {many(20, on), many(16, on), true},
		"vanished, one more":         {many(20, on), many(15, on), false},
		"vanished, at the floor":     {many(4, on), many(2, on), true},
		"vanished, above the floor":  {many(4, on), many(1, on), false},
		"due, at the limit":          {many(20, on), append(many(4, dueRow), many(20, on)[4:]...), true},
		"due, one more":              {many(20, on), append(many(5, dueRow), many(20, on)[5:]...), false},
		"disabled, due in a second":  {many(20, on), append(many(5, func(id, p string) purge.SourceRow { return off(id, p, time.Second) }), many(20, on)[5:]...), false},
		"new and due":                {many(2, on), many(5, dueRow)[1:], false},
		"new":                        {many(2, on), many(20, on), true},
		"reactivated":                {many(2, dueRow), many(20, on), true},
		"an empty answer":            {many(2, on), nil, false},
		"nothing that can be read":   {many(2, on), []purge.SourceRow{{Err: errors.New("bad")}, {Err: errors.New("bad")}}, false},
		"all ids are other ones":     {many(20, on), many(40, on)[20:], false},
		"empty, and nothing is kept": {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			d := &directory{}
			sy := newSyncer(t, s, d)
			if c.before != nil {
				d.set(c.before...)
				synced(t, sy, store.SyncGood)
			}
			d.set(append(c.after, on("x", ""))[:len(c.after)]...)
			if c.ok {
				synced(t, sy, store.SyncGood)
				return
			}
			good := sourceState(t, sy).LastGood
			unchanged(t, s, "a refused sync", func() {
				for range 2 {
					r := synced(t, sy, store.SyncRefused)
					st := sourceState(t, sy)
					if r.Why == "" || len(r.Digest) != 64 || st.LastRefused == nil || st.LastRefused.Digest != r.Digest || st.Vanished != 0 {
						t.Errorf("refused %+v; on record %+v", r, st)
					}
					if diff := cmp.Diff(good, st.LastGood); diff != "" {
						t.Errorf("the last good one is another: %s", diff)
					}
				}
			})
			refusals := 0
			entries, err := s.Audit(context.Background(), 1, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Action == store.ActionSourceRefuse {
					refusals++
				}
			}
			if refusals != 1 {
				t.Errorf("%d entries of a refusal; want one for the same", refusals)
			}
		})
	}
}

func TestSync_G9_APersonAcceptsExactlyOne(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	sy := newSyncer(t, s, d)
	d.set(many(20, on)...)
	synced(t, sy, store.SyncGood)
	date := time.Now().Add(-time.Hour)
	purged := func(id, p string) purge.SourceRow { return offAt(id, p, date) }
	five := append(many(5, purged), many(20, on)[5:]...)
	d.set(five...)
	first := synced(t, sy, store.SyncRefused)
	six := append(many(6, purged), many(20, on)[6:]...)
	d.set(six...)
	accept := func(digest string) {
		t.Helper()
		if _, err := sy.Accept(context.Background(), digest, store.Origin{Actor: operator, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	accept(first.Digest)
	second := synced(t, sy, store.SyncRefused) // it is another one
	if second.Digest == first.Digest || sourceState(t, sy).Accepted != nil {
		t.Errorf("digest %s again, or the acceptance outlived it: %+v", second.Digest, sourceState(t, sy).Accepted)
	}
	d.set(five...)
	synced(t, sy, store.SyncRefused) // the acceptance was used up
	d.set(six...)
	if again := synced(t, sy, store.SyncRefused); again.Digest != second.Digest {
		t.Errorf("the same has the digests %s and %s", second.Digest, again.Digest)
	}
	accept(second.Digest[:12])
	harmless := append(slices.Clone(six), on("newcomer", "")) // is not what was looked at
	slices.Reverse(harmless)
	d.set(harmless...)
	synced(t, sy, store.SyncGood)
	wantContents(t, s, harmless...)
	st := sourceState(t, sy)
	if st.Accepted != nil || st.LastRefused != nil {
		t.Errorf("on record %+v", st)
	}
	if marks, err := s.SourceMarks(context.Background(), store.MarkAllowed, "", 0); err != nil || len(marks) != 0 {
		t.Errorf("marks %v are left, %v", marks, err)
	}
	// What was accepted once is not accepted for ever.
	d.set(append(many(20, on), on("newcomer", ""))...)
	synced(t, sy, store.SyncGood)
	d.set(harmless...)
	synced(t, sy, store.SyncRefused)
}

func TestSync_G9_AnAcceptanceIsOfWhoAndWhen(t *testing.T) {
	date := time.Now().Add(-time.Hour)
	offs := func(ids []int, date time.Time) []purge.SourceRow {
		rows := many(20, on)
		for _, i := range ids {
			rows[i] = offAt(rows[i].Tenant.ID, "", date)
		}
		return rows
	}
	six := []int{0, 1, 2, 3, 4, 5}
	for name, c := range map[string][2][]purge.SourceRow{
		"another date":             {offs(six, date), offs(six, date.Add(time.Millisecond))},
		"other tenants":            {offs(six, date), offs([]int{0, 1, 2, 3, 4, 6}, date)},
		"others vanished":          {many(20, on)[:10], many(20, on)[10:]},
		"vanished, not a new date": {many(20, on)[6:], offs(six, date)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			d := &directory{}
			sy := newSyncer(t, s, d)
			d.set(many(20, on)...)
			synced(t, sy, store.SyncGood)
			d.set(c[0]...)
			first := synced(t, sy, store.SyncRefused)
			if _, err := sy.Accept(context.Background(), first.Digest, store.Origin{Actor: operator, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			d.set(c[1]...)
			if second := synced(t, sy, store.SyncRefused); second.Digest == first.Digest {
				t.Error("both have the same digest")
			}
		})
	}
}
