package purge_test

import (
	"context"
	"errors"
	"fmt"
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

// script is a target whose calls are answered by a function, which gets the
// number of the call, from 1. It notes when each began.
type script struct {
	name   string
	answer func(ctx context.Context, n int, c call) (purge.Removed, error)

	mu       sync.Mutex
	began    []time.Time
	calls    []call
	requests []purge.Request
	now, top int // calls under way, and the most of them
}

func (s *script) Name() string      { return s.name }
func (*script) Kinds() []store.Kind { return store.Kinds() }
func (s *script) at() []time.Time   { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.began) }
func (s *script) most() int         { s.mu.Lock(); defer s.mu.Unlock(); return s.top }

func (s *script) call(ctx context.Context, c call) (purge.Removed, error) {
	s.mu.Lock()
	s.began, s.calls = append(s.began, time.Now()), append(s.calls, c)
	n := len(s.began)
	s.now++
	s.top = max(s.top, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}()
	return s.answer(ctx, n, c)
}

func (s *script) Count(ctx context.Context, id string, kind store.Kind) (int64, error) {
	did, err := s.call(ctx, call{s.name, "count", id, kind, false})
	return did.Deleted, err
}

func (s *script) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	return s.call(ctx, call{s.name, "purge", r.TenantID, r.Kind, r.Resumed})
}

// seen is an observer that keeps what it was told.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *seen) TargetRequest(target, op string, took time.Duration) {
	s.add("request %s %s %s", target, op, took)
}
func (s *seen) TargetUp(target string, up bool)       { s.add("up %s %t", target, up) }
func (s *seen) TargetRetried(target string)           { s.add("retried %s", target) }
func (s *seen) TargetPostponed(target, reason string) { s.add("postponed %s %s", target, reason) }
func (s *seen) wantOf(t *testing.T, prefix string, lines ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, l := range s.lines {
		if strings.HasPrefix(l, prefix) {
			got = append(got, l)
		}
	}
	if !slices.Equal(got, lines) {
		t.Errorf("the observer was told %q, want %q", got, lines)
	}
}

// plain is a policy without retries, breaker, or bounds that matter.
func plain() purge.Policy {
	p := purge.DefaultPolicy()
	p.Concurrency, p.Retries, p.BreakerFailures = 1024, 0, 0
	return p
}

func guarded(t testing.TB, target purge.Target, p purge.Policy, o ...purge.GuardOptions) *purge.GuardedTarget {
	t.Helper()
	g, err := purge.Guarded(target, p, append(o, purge.GuardOptions{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// step removes up to 100 users of a tenant.
func step(g purge.Target, tenant string) (purge.Removed, error) {
	return g.Purge(context.Background(), purge.Request{TenantID: tenant, Kind: store.KindUser, Limit: 100})
}

func fine(context.Context, int, call) (purge.Removed, error) { return purge.Removed{Deleted: 1}, nil }

// failingWith answers with errors, the last for ever.
func failingWith(errs ...error) func(context.Context, int, call) (purge.Removed, error) {
	return func(_ context.Context, n int, _ call) (purge.Removed, error) {
		return purge.Removed{}, errs[min(n, len(errs))-1]
	}
}

var errDown = store.Errorf(store.Unavailable, "connection refused")

// askedToWait is an error of a system that says how long.
type askedToWait struct{ d time.Duration }

func (askedToWait) Error() string               { return "too many requests" }
func (e askedToWait) RetryAfter() time.Duration { return e.d }
func (askedToWait) Unwrap() error               { return store.Errorf(store.Exhausted, "429") }

func TestGuard_ConcurrencyIsBoundedAndServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: func(context.Context, int, call) (purge.Removed, error) {
			time.Sleep(time.Second)
			return purge.Removed{}, nil
		}}
		p := plain()
		p.Concurrency = 2
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { _, _ = step(g, fmt.Sprint("t", i)) })
			synctest.Wait()
		}
		wg.Wait()
		if took := time.Since(began); took != 5*time.Second || s.most() != 2 {
			t.Errorf("10 calls of 1 s, two at a time, took %s, and %d were under way", took, s.most())
		}
		for i, c := range s.calls { // two begin at the same instant, in any order
			if a, b := fmt.Sprint("t", i), fmt.Sprint("t", i^1); c.Tenant != a && c.Tenant != b {
				t.Errorf("call %d is of %s, want one of %s and %s", i, c.Tenant, a, b)
			}
		}
	})
}

func TestGuard_SetPolicy_MoreConcurrencyLetsThoseInWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: func(context.Context, int, call) (purge.Removed, error) {
			time.Sleep(time.Hour)
			return purge.Removed{}, nil
		}}
		p := plain()
		p.Concurrency, p.Timeout = 1, time.Hour
		g := guarded(t, s, p)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { _, _ = step(g, "a") })
		}
		synctest.Wait()
		p.Concurrency = 4
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.most(); got != 4 {
			t.Errorf("%d calls are under way, want 4", got)
		}
		p.Concurrency = 1 // what is under way ends; after that it is one
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		wg.Wait()
		if took := time.Since(began); took != 3*time.Hour {
			t.Errorf("the rest took %s, want the hour of the four, and one for each of two", took)
		}
	})
}

func TestGuard_RateAtTheInstantBeforeAndAtTheBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: fine}
		p := plain()
		p.Rate, p.Burst = 2, 3
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for range 7 {
			wg.Go(func() { _, _ = step(g, "a") })
		}
		synctest.Wait()
		if n := len(s.at()); n != 3 {
			t.Errorf("%d calls at once, want the burst of 3", n)
		}
		for i := range 4 {
			time.Sleep(500*time.Millisecond - time.Nanosecond)
			synctest.Wait()
			if n := len(s.at()); n != 3+i {
				t.Errorf("%d calls before %s, want %d", n, time.Since(began), 3+i)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if n := len(s.at()); n != 4+i {
				t.Errorf("%d calls at %s, want %d", n, time.Since(began), 4+i)
			}
		}
		wg.Wait()
	})
}

func TestGuard_SetPolicy_ANewRateIsInForceForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: fine}
		p := plain()
		p.Rate = 0.001 // one in 1,000 s
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for range 11 {
			wg.Go(func() { _, _ = step(g, "a") })
		}
		time.Sleep(time.Second)
		if n := len(s.at()); n != 1 {
			t.Fatalf("%d calls, want 1", n)
		}
		p.Rate = 10
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		// 0.001 of a token was there after the first second.
		if took := time.Since(began) - time.Second; took < 990*time.Millisecond || took > time.Second {
			t.Errorf("10 calls at 10 a second took %s", took)
		}
		// To reload again and again is no way around the limit.
		n, began := len(s.at()), time.Now()
		wg.Go(func() {
			for range 1000 {
				if err := g.SetPolicy(p); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
		for time.Since(began) < time.Second {
			if _, err := step(g, "a"); err != nil {
				t.Fatal(err)
			}
		}
		wg.Wait()
		if got := len(s.at()) - n; got < 9 || got > 12 {
			t.Errorf("%d calls in a second of reloads at 10 a second", got)
		}
		// Without a rate nobody waits.
		p.Rate = 0
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		for range 100 {
			_, _ = step(g, "a")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("100 calls without a rate took %s", took)
		}
	})
}

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

// wantPostponed makes a step that must not reach the target.
func wantPostponed(t *testing.T, g *purge.GuardedTarget, tenant string, reason purge.PostponeReason, until time.Time) {
	t.Helper()
	_, err := step(g, tenant)
	var put *purge.PostponedError
	if !errors.As(err, &put) {
		t.Errorf("a step at %s: %v, want to be put off until %s", time.Now(), err, until)
		return
	}
	if put.Reason != reason || put.Target != g.Name() || put.Until.Sub(until).Abs() > time.Second || store.CodeOf(err) != store.Unavailable || purge.IsPermanent(err) {
		t.Errorf("put off by %+v (code %s), want %s until %s", put, store.CodeOf(err), reason, until)
	}
}

func TestGuard_WaitsEndWithTheContextAndAreNoLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, change := range map[string]func(*purge.Policy){
			"slot":        func(p *purge.Policy) { p.Concurrency = 1 },
			"rate":        func(p *purge.Policy) { p.Rate = 0.001 },
			"retry after": func(p *purge.Policy) { p.BackoffMax = time.Hour },
		} {
			s := &script{name: "crm", answer: func(_ context.Context, _ int, c call) (purge.Removed, error) {
				if c.Tenant == "first" {
					time.Sleep(time.Second)
					return purge.Removed{}, askedToWait{time.Minute}
				}
				return purge.Removed{}, nil
			}}
			p := plain()
			change(&p)
			g := guarded(t, s, p)
			go func() { _, _ = step(g, "first") }()
			synctest.Wait()
			if name == "retry after" {
				time.Sleep(2 * time.Second)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			began := time.Now()
			_, err := g.Purge(ctx, purge.Request{TenantID: "a", Kind: store.KindUser, Limit: 1})
			cancel()
			if time.Since(began) != 500*time.Millisecond || store.CodeOf(err) != store.Unavailable ||
				errors.Is(err, context.DeadlineExceeded) || len(s.at()) != 1 {
				t.Errorf("%s: %v after %s and %d calls", name, err, time.Since(began), len(s.at()))
			}
			time.Sleep(2 * time.Minute)
			// Who gave up left nothing taken.
			if name != "rate" {
				if _, err := step(g, "b"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

func TestGuard_WindowPutsPurgesOffAndLetsCountsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		s := &script{name: "crm", answer: fine}
		p := plain()
		p.Window = window(t, "22:00-05:00 UTC")
		o := &seen{}
		g := guarded(t, s, p, purge.GuardOptions{Observer: o})
		midnight := time.Now().UTC().Truncate(24 * time.Hour)
		time.Sleep(time.Until(midnight.Add(5*time.Hour - time.Nanosecond)))
		if _, err := step(g, "a"); err != nil {
			t.Errorf("just before it closes: %v", err)
		}
		time.Sleep(time.Nanosecond)
		wantPostponed(t, g, "a", purge.PostponeWindow, midnight.Add(22*time.Hour))
		o.wantOf(t, "postponed", "postponed crm window")
		if n, err := g.Count(context.Background(), "a", store.KindUser); n != 1 || err != nil {
			t.Errorf("Count outside the window: %d, %v", n, err)
		}
		time.Sleep(17*time.Hour - time.Nanosecond)
		wantPostponed(t, g, "a", purge.PostponeWindow, midnight.Add(22*time.Hour))
		time.Sleep(time.Nanosecond)
		if _, err := step(g, "a"); err != nil {
			t.Errorf("at the opening: %v", err)
		}
		p.Window = window(t, "01:00-02:00 UTC")
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		wantPostponed(t, g, "a", purge.PostponeWindow, midnight.Add(25*time.Hour))
	})
}

func TestGuard_SetPolicy_RefusesWhatIsWrongAndKeepsTheOld(t *testing.T) {
	g := guarded(t, &script{name: "crm", answer: fine}, plain())
	for key, change := range map[string]func(*purge.Policy){
		"concurrency":     func(p *purge.Policy) { p.Concurrency = 0 },
		"rate":            func(p *purge.Policy) { p.Rate = -1 },
		"burst":           func(p *purge.Policy) { p.Burst = 0 },
		"timeout":         func(p *purge.Policy) { p.Timeout = time.Millisecond },
		"retries":         func(p *purge.Policy) { p.Retries = -1 },
		"backoffInitial":  func(p *purge.Policy) { p.BackoffInitial = 0 },
		"backoffMax":      func(p *purge.Policy) { p.BackoffMax = p.BackoffInitial - 1 },
		"breakerFailures": func(p *purge.Policy) { p.BreakerFailures = -1 },
		"breakerCooldown": func(p *purge.Policy) { p.BreakerFailures, p.BreakerCooldown = 1, 0 },
	} {
		p := plain()
		change(&p)
		err := g.SetPolicy(p)
		if store.CodeOf(err) != store.Invalid || !strings.Contains(err.Error(), key+" ") {
			t.Errorf("%s: %v", key, err)
		}
		if err := p.Validate("targets[3]."); !strings.Contains(fmt.Sprint(err), "targets[3]."+key+" ") {
			t.Errorf("%s: %v does not say where", key, err)
		}
		if got, want := fmt.Sprint(g.Policy()), fmt.Sprint(plain()); got != want {
			t.Errorf("%s: the policy became %s", key, got)
		}
		if _, err := purge.Guarded(&script{name: "crm"}, p, purge.GuardOptions{}); err == nil {
			t.Errorf("%s: Guarded took it", key)
		}
	}
	if err := purge.DefaultPolicy().Validate(""); err != nil {
		t.Errorf("the default policy: %v", err)
	}
	if _, err := purge.Guarded(nil, plain(), purge.GuardOptions{}); store.CodeOf(err) != store.Invalid {
		t.Errorf("Guarded(nil): %v", err)
	}
}

// able is a script with abilities.
type able struct {
	script
	check error
}

func (a *able) Check(context.Context) error { return a.check }

func TestGuard_AsSeesThroughAndProbeTellsTheObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &able{script: script{name: "crm", answer: failingWith(errDown)}}
		p := plain()
		p.BreakerFailures, p.Window = 1, window(t, "22:00-23:00 UTC")
		o := &seen{}
		g := guarded(t, a, p, purge.GuardOptions{Observer: o})
		if c, ok := purge.As[purge.Checker](g); !ok || c != purge.Checker(a) {
			t.Error("As does not find the Checker within")
		}
		if _, ok := purge.As[purge.Doctor](g); ok {
			t.Error("As finds a Doctor that is not there")
		}
		if _, err := g.Count(context.Background(), "a", store.KindUser); err == nil { // opens the breaker
			t.Error("the count did not fail")
		}
		for _, err := range []error{nil, errDown, store.Errorf(store.Unauthenticated, "who")} {
			a.check = err
			if got := g.Probe(context.Background()); !errors.Is(got, err) {
				t.Errorf("Probe = %v, want %v", got, err)
			}
		}
		o.wantOf(t, "up", "up crm false", "up crm true", "up crm false", "up crm true")
		o.wantOf(t, "request crm check", slices.Repeat([]string{"request crm check 0s"}, 3)...)
		plainOne := guarded(t, &script{name: "idp"}, plain())
		if err := plainOne.Probe(context.Background()); store.CodeOf(err) != store.Precondition {
			t.Errorf("Probe without a Checker: %v", err)
		}
	})
}
