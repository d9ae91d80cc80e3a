package purge_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestGuard_TimeoutIsOfACallAndNotOfItsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 10 * time.Second
		for took, lost := range map[time.Duration]bool{timeout - time.Nanosecond: false, timeout + time.Nanosecond: true} {
			s := &script{name: "crm", answer: func(ctx context.Context, _ int, _ call) (purge.Removed, error) {
				select {
				case <-time.After(took):
					return purge.Removed{Deleted: 1}, nil
				case <-ctx.Done():
					return purge.Removed{}, ctx.Err()
				}
			}}
			p := plain()
			p.Timeout, p.Concurrency, p.Rate = timeout, 1, 0.01
			g := guarded(t, s, p)
			var wg sync.WaitGroup
			for range 3 { // the last waits 200 s for the rate
				wg.Go(func() {
					if _, err := step(g, "a"); errors.Is(err, context.DeadlineExceeded) != lost {
						t.Errorf("a call of %s with a time-out of %s: %v", took, timeout, err)
					}
				})
			}
			wg.Wait()
		}
	})
}

func TestGuard_ADeafOrPanickingTargetIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: func(_ context.Context, n int, _ call) (purge.Removed, error) {
			if n == 1 {
				panic("boom")
			}
			time.Sleep(time.Hour)
			return purge.Removed{}, nil
		}}
		core, logs := observer.New(zapcore.ErrorLevel)
		p := plain()
		g := guarded(t, s, p, purge.GuardOptions{Logger: zap.New(core)})
		if _, err := step(g, "a"); store.CodeOf(err) != store.Internal || !strings.Contains(err.Error(), "boom") {
			t.Errorf("panic: %v", err)
		}
		if logs.FilterMessage("a target panicked").Len() != 1 {
			t.Error("the panic is not in the log")
		}
		// A call that is left behind is not made again beside itself.
		p.Retries = 5
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err := step(g, "a")
		if took, want := time.Since(began), p.Timeout+5*time.Second; took != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deaf: %v after %s, want the time-out and 5 s, %s", err, took, want)
		}
		if n := len(s.at()); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
		time.Sleep(time.Hour)
	})
}

func TestGuard_RetriesWithinAStepWithBackoffAndJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spread := map[time.Duration]bool{}
		for range 20 {
			s := &script{name: "crm", answer: failingWith(errDown)}
			p := plain()
			p.Retries, p.BackoffInitial, p.BackoffMax = 5, time.Second, 4*time.Second
			o := &seen{}
			_, err := step(guarded(t, s, p, purge.GuardOptions{Observer: o}), "a")
			if !errors.Is(err, errDown) {
				t.Fatalf("got %v", err)
			}
			at := s.at()
			if len(at) != 6 {
				t.Fatalf("%d calls, want 1 and 5 retries", len(at))
			}
			for i, want := range []time.Duration{1, 2, 4, 4, 4} {
				want *= time.Second
				d := at[i+1].Sub(at[i])
				if d < want*3/4 || d > want*5/4 {
					t.Errorf("wait %d is %s, want %s and up to a quarter more or less", i, d, want)
				}
				spread[d-want] = true
			}
			o.wantOf(t, "retried", slices.Repeat([]string{"retried crm"}, 5)...)
			o.wantOf(t, "request", slices.Repeat([]string{"request crm purge 0s"}, 6)...)
			o.wantOf(t, "up", slices.Repeat([]string{"up crm false"}, 6)...)
		}
		if len(spread) < 50 {
			t.Errorf("only %d different waits of 100", len(spread))
		}
	})
}

func TestGuard_RetriesOnlyWhatAMomentMayCure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			err   error
			calls int
		}{
			{errDown, 3}, {errors.New("plain"), 3}, {context.DeadlineExceeded, 3}, {store.Errorf(store.Exhausted, "429"), 3}, {askedToWait{time.Second}, 3},
			{purge.Permanent(errDown), 1}, {store.Errorf(store.Forbidden, "no"), 1}, {store.Errorf(store.Unauthenticated, "who"), 1},
			{store.Errorf(store.Invalid, "what"), 1}, {store.Errorf(store.Precondition, "not now"), 1},
		} {
			s := &script{name: "crm", answer: failingWith(c.err)}
			p := plain()
			p.Retries = 2
			if _, err := step(guarded(t, s, p), "a"); !errors.Is(err, c.err) || len(s.at()) != c.calls {
				t.Errorf("%v: %d calls and %v, want %d and the error", c.err, len(s.at()), err, c.calls)
			}
		}
	})
}

func TestGuard_G5_RetriesAddUpAndALostAnswerIsInexact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("connection reset")
		for name, c := range map[string]struct {
			answers []purge.Removed
			errs    []error
			want    purge.Removed
			err     error
			resumed bool
		}{
			"refused": {[]purge.Removed{{}, {Deleted: 7, More: true}}, []error{errDown, nil}, purge.Removed{Deleted: 7, More: true}, nil, false},
			"partly":  {[]purge.Removed{{Deleted: 30}, {Deleted: 5}}, []error{errDown, nil}, purge.Removed{Deleted: 35}, nil, false},
			"lost":    {[]purge.Removed{{}, {Deleted: 5}}, []error{lost, nil}, purge.Removed{Deleted: 5, Inexact: true}, nil, true},
			"lost and then refused": {[]purge.Removed{{}, {}, {}}, []error{lost, errDown, errDown},
				purge.Removed{Inexact: true}, errDown, true},
			"full":    {[]purge.Removed{{Deleted: 100}, {Deleted: 1}}, []error{errDown, nil}, purge.Removed{Deleted: 100, More: true}, nil, false},
			"inexact": {[]purge.Removed{{Deleted: 1, Inexact: true}}, []error{nil}, purge.Removed{Deleted: 1, Inexact: true}, nil, false},
		} {
			s := &script{name: "crm"}
			s.answer = func(_ context.Context, n int, _ call) (purge.Removed, error) { return c.answers[n-1], c.errs[n-1] }
			p := plain()
			p.Retries = 2
			got, err := step(guarded(t, s, p), "a")
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: %+v, %v; want %+v, %v", name, got, err, c.want, c.err)
			}
			sum := int64(0)
			for i, r := range s.requests {
				if int64(r.Limit) != 100-sum || i > 0 && r.Resumed != c.resumed {
					t.Errorf("%s: request %d is %+v after %d", name, i, r, sum)
				}
				sum += c.answers[i].Deleted
			}
		}
		s := &script{name: "crm", answer: func(context.Context, int, call) (purge.Removed, error) { return purge.Removed{Deleted: -1}, nil }}
		if did, err := step(guarded(t, s, plain()), "a"); did.Deleted != 0 || store.CodeOf(err) != store.Internal {
			t.Errorf("a negative number: %+v, %v", did, err)
		}
	})
}

func TestGuard_RetryAfter_ShortIsWaitedForByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: func(_ context.Context, n int, _ call) (purge.Removed, error) {
			if n == 1 {
				return purge.Removed{}, askedToWait{8 * time.Second}
			}
			return purge.Removed{Deleted: 1}, nil
		}}
		p := plain()
		p.Retries, p.BackoffInitial, p.BackoffMax = 1, time.Millisecond, 8*time.Second
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for _, id := range []string{"a", "b"} {
			wg.Go(func() {
				if _, err := step(g, id); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // the second comes while the first waits
		}
		time.Sleep(8*time.Second - time.Nanosecond)
		synctest.Wait()
		if n := len(s.at()); n != 1 {
			t.Errorf("%d calls before the wait was over", n)
		}
		wg.Wait()
		if n, took := len(s.at()), time.Since(began); n != 3 || took != 8*time.Second {
			t.Errorf("%d calls after %s, want 3 after 8s", n, took)
		}
	})
}

func TestGuard_RetryAfter_LongPutsTheOthersOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: failingWith(askedToWait{time.Minute}, nil)}
		p := plain()
		p.Retries = 3
		o := &seen{}
		g := guarded(t, s, p, purge.GuardOptions{Observer: o})
		began := time.Now()
		if _, err := step(g, "a"); !errors.As(err, new(askedToWait)) {
			t.Errorf("the one that asked got %v", err)
		}
		took := time.Since(began)
		wantPostponed(t, g, "b", purge.PostponeRetryAfter, began.Add(time.Minute))
		o.wantOf(t, "postponed", "postponed crm retry_after")
		time.Sleep(time.Minute - took - p.BackoffMax - time.Nanosecond)
		wantPostponed(t, g, "b", purge.PostponeRetryAfter, began.Add(time.Minute))
		time.Sleep(time.Nanosecond)
		if _, err := step(g, "b"); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %s, want nil after 1m", err, time.Since(began))
		}
		// Nobody is asked to wait for ever.
		s.answer = failingWith(askedToWait{1 << 62})
		_, _ = step(g, "a")
		wantPostponed(t, g, "b", purge.PostponeRetryAfter, time.Now().Add(24*time.Hour))
	})
}
