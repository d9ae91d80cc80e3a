package scheduler

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// flaky is a target that holds nothing and does not answer for a while.
type flaky struct {
	mu    sync.Mutex
	fails int // so many attempts more
	calls []time.Time
}

func (*flaky) Name() string        { return "crm" }
func (*flaky) Kinds() []store.Kind { return []store.Kind{store.KindUser} }

func (*flaky) Count(context.Context, string, store.Kind) (int64, error) { return 0, nil }

func (f *flaky) Purge(context.Context, purge.Request) (purge.Removed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, time.Now().UTC())
	if f.fails > 0 {
		f.fails--
		return purge.Removed{}, errors.New("503")
	}
	return purge.Removed{}, nil
}

// seen returns when the target was called.
func (f *flaky) seen() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// works is an engine with a flaky target on a real store, under a scheduler
// with a rare schedule, in a bubble.
type works struct {
	*Scheduler
	t      *testing.T
	st     *boltstore.Store
	target *flaky
	runs   *recorder
}

// inBubble runs test on works. Tenants "first", due at the beginning, and
// "second", due a second later, are there when Run begins.
func inBubble(t *testing.T, fails int, set func(*purge.Settings), test func(w *works)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		w := &works{t: t, st: st, target: &flaky{fails: fails}, runs: &recorder{}}
		for id, date := range map[string]time.Time{"first": bubbleStart, "second": bubbleStart.Add(time.Second)} {
			o := store.Origin{Actor: store.Actor{ID: "test"}, At: date.AddDate(0, 0, -10)}
			if _, err := st.Create(t.Context(), store.Tenant{ID: id}, o); err != nil {
				t.Fatal(err)
			}
			w.update(id, o.At, store.Deactivate(10, store.DefaultGrace(), nil))
		}
		settings := purge.DefaultSettings()
		if set != nil {
			set(&settings)
		}
		engine, err := purge.New(purge.Options{Store: st, Settings: settings, Targets: []purge.Target{w.target}})
		if err != nil {
			t.Fatal(err)
		}
		runner := runnerFunc(func(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
			w.runs.note(trigger)
			return engine.Run(ctx, trigger)
		})
		s, stop := start(t, Options{Runner: runner, Store: st, Schedule: mustParse(t, rare)})
		w.Scheduler = s
		test(w)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := errors.Join(st.Check(t.Context()), st.Close()); err != nil {
			t.Error(err)
		}
	})
}

func (w *works) update(id string, at time.Time, c store.Change) {
	w.t.Helper()
	o := store.Origin{Actor: store.Actor{ID: "test"}, At: at}
	if _, err := w.st.Update(w.t.Context(), id, store.Update{Origin: o, Change: c}); err != nil {
		w.t.Fatal(err)
	}
}

// want compares the status of both tenants.
func (w *works) want(first, second store.Status) {
	w.t.Helper()
	for id, want := range map[string]store.Status{"first": first, "second": second} {
		got := store.StatusDeleted
		tenant, err := w.st.Tenant(w.t.Context(), id)
		if err == nil {
			got = tenant.Status
		} else if store.CodeOf(err) != store.Gone {
			w.t.Fatal(err)
		}
		if got != want {
			w.t.Errorf("at %v: %s is %s; want %s", time.Now().UTC(), id, got, want)
		}
	}
}

// next returns the next attempt on a tenant.
func (w *works) next(id string) time.Time {
	w.t.Helper()
	tenant, err := w.st.Tenant(w.t.Context(), id)
	if err != nil || tenant.Purge == nil {
		w.t.Fatalf("%s: %+v, %v", id, tenant, err)
	}
	return tenant.Purge.NextAttempt.Time
}

// TestRetry_G11_ATenantThatFailedDoesNotWaitForARareSchedule has the real engine
// and the real store. What came due meanwhile does wait: the schedule decides.
func TestRetry_G11_ATenantThatFailedDoesNotWaitForARareSchedule(t *testing.T) {
	inBubble(t, 2, nil, func(w *works) {
		w.want(store.StatusPurging, store.StatusDisabled)
		for range 2 {
			next := w.next("first")
			if got := w.Status().NextRetry; !got.Equal(next) || !next.After(time.Now()) {
				w.t.Fatalf("next retry %v; the next attempt is at %v", got, next)
			}
			advance(time.Until(next) - 1)
			w.want(store.StatusPurging, store.StatusDisabled)
			calls := len(w.target.seen())
			advance(1)
			if got := w.target.seen(); len(got) != calls+1 || !got[calls].Equal(next) {
				w.t.Fatalf("called at %v; want one more at %v", got, next)
			}
		}
		w.want(store.StatusDeleted, store.StatusDisabled)
		advance(24 * time.Hour)
		w.want(store.StatusDeleted, store.StatusDisabled)
		runs, err := w.st.Runs(w.t.Context(), 10)
		if err != nil || len(runs) != 3 || runs[0].Trigger != "retry" || runs[0].Tenants != 1 || runs[2].Trigger != "startup" {
			w.t.Errorf("passes on record: %+v, %v", runs, err)
		}
		advance(time.Until(w.Status().NextRun))
		w.want(store.StatusDeleted, store.StatusDeleted)
	})
}

func TestRetry_G11_OneThatAlwaysFailsEndsAfterItsAttemptsAndWaitsForAPerson(t *testing.T) {
	attempts := 6
	inBubble(t, attempts, func(s *purge.Settings) {
		s.Attempts, s.BackoffInitial, s.BackoffMax = attempts, time.Second, time.Second
	}, func(w *works) {
		advance(48 * time.Hour)
		w.want(store.StatusFailed, store.StatusDisabled)
		if n := len(w.target.seen()); n != attempts {
			w.t.Errorf("%d attempts; want %d", n, attempts)
		}
		if n := len(w.runs.seen()); n != attempts {
			w.t.Errorf("%d passes; want %d: %v", n, attempts, w.runs.seen())
		}
		if !w.Status().NextRetry.IsZero() {
			w.t.Errorf("a failed tenant is to be retried: %+v", w.Status())
		}
		w.update("first", time.Now(), store.Retry())
		w.Wake()
		synctest.Wait()
		w.want(store.StatusDeleted, store.StatusDisabled)
	})
}

func TestRetry_G5_TheLeaseOfAnOwnerThatVanishedIsNotWaitedForLonger(t *testing.T) {
	inBubble(t, 0, nil, func(w *works) {
		advance(time.Second)
		lease := 7 * time.Minute
		if _, err := w.st.Claim(w.t.Context(), "second", store.ClaimRequest{
			Origin: store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}, Owner: "vanished", Lease: lease,
		}); err != nil {
			w.t.Fatal(err)
		}
		advance(lease - 1)
		w.want(store.StatusDeleted, store.StatusPurging)
		advance(1)
		w.want(store.StatusDeleted, store.StatusDeleted)
		if got := w.runs.seen(); len(got) != 2 || got[1] != (run{purge.TriggerRetry, bubbleStart.Add(time.Second + lease)}) {
			w.t.Errorf("passes %v", got)
		}
	})
}

// TestRetry_G11_UnderAPauseNothingIsTriedAndAfterItAtOnce lets the next attempt
// come while purging is paused, with a pause that has an end and with one that
// a person lifts.
func TestRetry_G11_UnderAPauseNothingIsTriedAndAfterItAtOnce(t *testing.T) {
	for _, withEnd := range []bool{true, false} {
		inBubble(t, 1, nil, func(w *works) {
			at := bubbleStart.Add(5 * time.Hour)
			o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}
			until := time.Time{}
			if withEnd {
				until = at
			}
			if _, err := w.st.ChangeGates(w.t.Context(), store.PausePurging("freeze", until), o); err != nil {
				w.t.Fatal(err)
			}
			advance(time.Until(at) - 1)
			w.want(store.StatusPurging, store.StatusDisabled)
			if n := len(w.runs.seen()); n != 1 {
				w.t.Errorf("%d passes while purging is paused; want only that of the start", n)
			}
			advance(1)
			if !withEnd {
				o.At = time.Now()
				if _, err := w.st.ChangeGates(w.t.Context(), store.ResumePurging("", 0), o); err != nil {
					w.t.Fatal(err)
				}
				w.Wake()
				synctest.Wait()
			}
			w.want(store.StatusDeleted, store.StatusDisabled)
		})
	}
}
