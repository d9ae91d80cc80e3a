package purge_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// mortalSyncStore is a store in a process that may be killed between any two
// transactions of a sync.
type mortalSyncStore struct {
	*boltstore.Store
	life *life
}

func (s mortalSyncStore) Update(ctx context.Context, id string, up store.Update) (t store.Tenant, err error) {
	err = s.life.step(func() (err error) { t, err = s.Store.Update(ctx, id, up); return err })
	return t, err
}

func (s mortalSyncStore) ImportBatch(ctx context.Context, b store.Batch, o store.Origin) (i store.Imported, err error) {
	err = s.life.step(func() (err error) { i, err = s.Store.ImportBatch(ctx, b, o); return err })
	return i, err
}

func (s mortalSyncStore) ChangeSource(ctx context.Context, c store.SourceChange, o store.Origin) (st store.SourceState, err error) {
	err = s.life.step(func() (err error) { st, err = s.Store.ChangeSource(ctx, c, o); return err })
	return st, err
}

// lifeOf makes a sync in a process that ends as l says.
func lifeOf(t testing.TB, s *boltstore.Store, d *directory, l *life) store.Sync {
	t.Helper()
	r, err := newSyncer(t, mortalSyncStore{s, l}, d).Sync(context.Background())
	if err != nil && (!l.over() || !errors.Is(err, errKilled)) {
		t.Fatalf("step %d: %v", l.at, err)
	}
	return r
}

func TestSync_KilledAtEveryStepIsCompletedByTheNext(t *testing.T) {
	now := time.Now()
	offOn := func(id, parent string, days int) purge.SourceRow {
		return offAt(id, parent, now.Add(time.Duration(days)*24*time.Hour))
	}
	before := []purge.SourceRow{on("a", ""), offOn("b", "", 5), on("c", "b"), on("d", ""), on("v", ""), on("w", ""), on("z", "")}
	after := []purge.SourceRow{offOn("a", "", -1), offOn("b", "", -1), offOn("c", "b", 9), on("d", ""), offOn("n", "", -2), offOn("m", "n", 9), on("k", "m"), on("z", "")}
	for _, behind := range []bool{false, true} {
		k := 1
		for ; ; k++ {
			s := newStore(t)
			d := &directory{}
			d.set(before...)
			synced(t, newSyncer(t, s, d), store.SyncGood)
			d.set(append(slices.Clone(before), on("gone", ""))...)
			synced(t, newSyncer(t, s, d), store.SyncGood)
			d.set(before...)
			synced(t, newSyncer(t, s, d), store.SyncGood) // one has vanished
			d.set(append(slices.Clone(after), on("gone", ""))...)
			refused := synced(t, newSyncer(t, s, d), store.SyncRefused)
			if _, err := s.ChangeSource(context.Background(), store.AcceptSync(refused.Digest), store.Origin{Actor: operator, At: now}); err != nil {
				t.Fatal(err)
			}
			l := &life{at: k, after: behind}
			lifeOf(t, s, d, l)
			// Whatever was done so far: nobody is due before those below are what
			// the source says.
			list, err := s.Tenants(context.Background(), store.Filter{DueBy: now})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range list {
				for child, parent := range map[string]string{"c": "b", "m": "n"} {
					if c, err := s.Tenant(context.Background(), child); v.ID == parent && (err != nil || c.Status != store.StatusDisabled) {
						t.Errorf("step %d: %s is due, and %s is %s, %v", k, parent, child, c.Status, err)
					}
				}
			}
			if !l.over() {
				break
			}
			// The rest is still accepted, also when the population has gone on.
			next := append(slices.Clone(after), on("gone", ""), on("newcomer", ""))
			d.set(next...)
			r, err := newSyncer(t, s, d).Sync(context.Background())
			if err != nil || r.Result != store.SyncGood {
				t.Fatalf("killed at step %d, behind it %t: the next is %s: %s, %v", k, behind, r.Result, r.Why, err)
			}
			wantContents(t, s, append(next, on("v", ""), on("w", ""))...)
			st, err := s.Source(context.Background())
			if err != nil || st.Accepted != nil || st.Vanished != 2 {
				t.Errorf("on record %+v, %v", st, err)
			}
			if marks, err := s.SourceMarks(context.Background(), store.MarkAllowed, "", 0); err != nil || len(marks) != 0 {
				t.Errorf("killed at step %d: marks %v are left, %v", k, marks, err)
			}
			if t.Failed() {
				t.Fatalf("killed at step %d, behind it %t", k, behind)
			}
		}
		if k < 12 {
			t.Errorf("only %d steps", k-1)
		}
	}
}

func TestSync_G4_KilledAtAnyStepNobodyIsDueBelowWhomARowWasRejected(t *testing.T) {
	for _, behind := range []bool{false, true} {
		for k, over := 1, true; over; k++ {
			s := newStore(t)
			d := &directory{}
			d.set(among(on("3", ""), off("4", "", time.Hour), on("5", ""))...)
			synced(t, newSyncer(t, s, d), store.SyncGood)
			d.set(among(dueRow("3", ""), dueRow("4", ""), live(on("31", "3")), on("41", "4"), live(on("411", "41")), on("5", ""))...)
			l := &life{at: k, after: behind}
			lifeOf(t, s, d, l)
			r := mustRun(t, newEngine(t, s, source(d)))
			if over = l.over(); !over && k < 6 {
				t.Errorf("only %d steps", k-1)
			}
			for _, row := range outcomes(r) {
				if row == "deleted" {
					t.Errorf("killed at step %d, behind it %t: %v", k, behind, outcomes(r))
				}
			}
			synced(t, newSyncer(t, s, d), store.SyncGood)
			wantOutcomes(t, mustRun(t, newEngine(t, s, source(d))), map[string]string{"3": "blocked: source by 31", "4": "blocked: source by 411"})
		}
	}
}

func TestSync_AnAcceptedOneThatWasInterruptedAcceptsNothingElse(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	d.set(many(20, on)...)
	synced(t, newSyncer(t, s, d), store.SyncGood)
	date := time.Now().Add(-time.Hour)
	disable := func(n int) []purge.SourceRow {
		return append(many(n, func(id, p string) purge.SourceRow { return offAt(id, p, date) }), many(20, on)[n:]...)
	}
	d.set(disable(12)...)
	refused := synced(t, newSyncer(t, s, d), store.SyncRefused)
	if _, err := s.ChangeSource(context.Background(), store.AcceptSync(refused.Digest), store.Origin{Actor: operator, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	lifeOf(t, s, d, &life{at: 5}) // what was accepted is written down, and some of it done
	if st, err := s.Source(context.Background()); err != nil || st.Accepted == nil || !st.Accepted.Begun {
		t.Fatalf("on record %+v, %v", st, err)
	}
	d.set(disable(18)...) // six more: too many
	unchanged(t, s, "more than was accepted", func() {
		again := synced(t, newSyncer(t, s, d), store.SyncRefused)
		// A person accepts the whole of it, and that is what is asked again.
		if r := synced(t, newSyncer(t, s, d), store.SyncRefused); r.Digest != again.Digest {
			t.Errorf("the same has the digests %s and %s", again.Digest, r.Digest)
		}
	})
	other := offAt("t000", "", date.Add(-time.Hour)) // another date than the accepted one
	lone := append([]purge.SourceRow{other}, disable(12)[1:]...)
	d.set(lone...)
	if r := synced(t, newSyncer(t, s, d), store.SyncRefused); r.Digest == refused.Digest {
		t.Error("another date has the same digest")
	}
}

func TestSync_G1_OfAnAcceptedTenantNothingElseIsAccepted(t *testing.T) {
	date := time.Now().Add(100 * time.Hour)
	for name, rows := range map[string][]purge.SourceRow{
		"another date, and due at once": many(20, func(id, p string) purge.SourceRow { return offAt(id, p, date.Add(-200*time.Hour)) }),
		"vanished":                      many(1, on),
	} {
		t.Run(name, func(t *testing.T) { acceptedIsNot(t, date, rows) })
	}
}

// acceptedIsNot accepts that all tenants get a date, and then the source says
// something else.
func acceptedIsNot(t *testing.T, date time.Time, rows []purge.SourceRow) {
	s := newStore(t)
	d := &directory{}
	d.set(many(20, on)...)
	synced(t, newSyncer(t, s, d), store.SyncGood)
	d.set(many(20, func(id, p string) purge.SourceRow { return offAt(id, p, date) })...)
	refused := synced(t, newSyncer(t, s, d), store.SyncRefused)
	if _, err := s.ChangeSource(context.Background(), store.AcceptSync(refused.Digest), store.Origin{Actor: operator, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	lifeOf(t, s, d, &life{at: 5})
	d.set(rows...)
	unchanged(t, s, "what was not accepted", func() { synced(t, newSyncer(t, s, d), store.SyncRefused) })
}
