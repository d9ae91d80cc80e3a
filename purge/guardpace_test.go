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

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// paced is a target in memory that removes each resource by a request of its own,
// and counts by one. It works as the targets on the network do.
type paced struct {
	in *fake
	// request makes one; nil takes no time.
	request func(context.Context) error

	mu   sync.Mutex
	sent []time.Time
}

func (p *paced) Name() string               { return p.in.name }
func (p *paced) Kinds() []store.Kind        { return p.in.kinds }
func (p *paced) has(id string) store.Counts { return p.in.has(id) }
func (p *paced) at() []time.Time            { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.sent) }

func (p *paced) send(ctx context.Context) error {
	if err := purge.Pace(ctx); err != nil {
		return store.Errorf(store.Unavailable, "not sent: %w", err)
	}
	p.mu.Lock()
	p.sent = append(p.sent, time.Now())
	p.mu.Unlock()
	if p.request != nil {
		return p.request(ctx)
	}
	return nil
}

func (p *paced) Count(ctx context.Context, id string, kind store.Kind) (int64, error) {
	if err := p.send(ctx); err != nil {
		return 0, err
	}
	return p.in.Count(ctx, id, kind)
}

func (p *paced) Purge(ctx context.Context, r purge.Request) (sum purge.Removed, err error) {
	enough := purge.Enough(ctx, time.Now())
	one := r
	one.Limit = 1
	for p.has(r.TenantID).Of(r.Kind) > 0 {
		if sum.Deleted == int64(r.Limit) || sum.Deleted > 0 && enough(sum.Deleted) {
			sum.More = true
			break
		}
		if err := p.send(ctx); err != nil {
			return sum, err
		}
		did, err := p.in.remove(ctx, one)
		if sum.Deleted += did.Deleted; err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// newPaced returns a target that holds n users of acme.
func newPaced(n int64) *paced {
	return &paced{in: &fake{name: "crm", kinds: []store.Kind{store.KindUser}, held: map[string]store.Counts{"acme": {Users: n}}}}
}

// taking returns a request that takes d, unless its context ends.
func taking(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestPace_RequestsOfACallAtTheInstantBeforeAndAtTheBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Rate, p.Burst, p.Timeout = 2, 3, 100*time.Millisecond
		s := newPaced(7)
		g := guarded(t, s, p)
		var did purge.Removed
		var err error
		go func() { did, err = step(g, "acme") }()
		synctest.Wait()
		if n := len(s.at()); n != 3 {
			t.Errorf("%d requests at once, want the burst of 3", n)
		}
		for i := range 4 {
			time.Sleep(500*time.Millisecond - time.Nanosecond)
			synctest.Wait()
			if n := len(s.at()); n != 3+i {
				t.Errorf("%d requests right before number %d", n, 4+i)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if n := len(s.at()); n != 4+i {
				t.Errorf("%d requests, want %d", n, 4+i)
			}
		}
		if did != (purge.Removed{Deleted: 7}) || err != nil {
			t.Errorf("the call ended with %+v, %v", did, err)
		}
	})
}

// TestPace_OneRateForAll has calls, their requests, those side by side in one
// call, and retries draw on the same rate.
func TestPace_OneRateForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests = 5
		var mu sync.Mutex
		var sent []time.Time
		failed := map[string]bool{}
		s := &script{name: "crm", answer: func(ctx context.Context, _ int, c call) (purge.Removed, error) {
			var wg sync.WaitGroup
			for range requests {
				wg.Go(func() {
					if err := purge.Pace(ctx); err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					sent = append(sent, time.Now())
				})
			}
			wg.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !failed[c.Tenant] {
				failed[c.Tenant] = true
				return purge.Removed{}, errDown
			}
			return purge.Removed{}, nil
		}}
		p := plain()
		p.Rate, p.Burst, p.Timeout, p.Retries, p.BackoffInitial = 10, 1, 100*time.Millisecond, 1, time.Millisecond
		g := guarded(t, s, p)
		began := time.Now()
		var wg sync.WaitGroup
		for _, tenant := range []string{"a", "b", "c"} {
			wg.Go(func() {
				if _, err := step(g, tenant); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(sent) != 3*2*requests {
			t.Fatalf("%d requests", len(sent))
		}
		for i, at := range sent {
			if want := began.Add(time.Duration(i) * 100 * time.Millisecond); at.Sub(want).Abs() > time.Microsecond {
				t.Errorf("request %d was sent %s after the first, want %s", i, at.Sub(began), want.Sub(began))
			}
		}
	})
}

func TestPace_WaitsAreNotCountedInTheTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Rate, p.Timeout = 0.01, time.Second
		for _, c := range []struct {
			each time.Duration
			ends bool
		}{{250*time.Millisecond - 1, false}, {250*time.Millisecond + 1, true}} {
			s := newPaced(0)
			s.request = taking(c.each)
			o := &seen{}
			calls := &script{name: "crm", answer: func(ctx context.Context, _ int, _ call) (did purge.Removed, err error) {
				for range 4 {
					if err := s.send(ctx); err != nil {
						return did, err
					}
					did.Deleted++
				}
				return did, nil
			}}
			began := time.Now()
			did, err := step(guarded(t, calls, p, purge.GuardOptions{Observer: o}), "acme")
			if errors.Is(err, context.DeadlineExceeded) != c.ends || !c.ends && err != nil || did.Inexact != c.ends {
				t.Errorf("four requests of %s: %+v, %v", c.each, did, err)
			}
			if took := time.Since(began); took < 300*time.Second || took > 302*time.Second {
				t.Errorf("four requests at one in 100 s took %s", took)
			}
			// Nor in the time that the call took.
			took := min(4*c.each, time.Second)
			o.wantOf(t, "request", "request crm purge "+took.String())
		}
	})
}

// TestPace_TheTimeOutHolds has calls that hang: without a wait, after one, and
// beside one that waits.
func TestPace_TheTimeOutHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Rate, p.Timeout = 0.1, time.Second
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		for name, c := range map[string]struct {
			call func(ctx context.Context) error
			took time.Duration
		}{
			"at once":    {hang, time.Second},
			"after Pace": {func(ctx context.Context) error { return errors.Join(purge.Pace(ctx), purge.Pace(ctx), hang(ctx)) }, 11 * time.Second},
			"beside Pace": {func(ctx context.Context) error {
				_ = purge.Pace(ctx)
				var wg sync.WaitGroup
				wg.Go(func() { time.Sleep(500 * time.Millisecond); _ = purge.Pace(ctx) })
				defer wg.Wait()
				return hang(ctx)
			}, 10500 * time.Millisecond}, // it ran for half a second before the wait of 9.5 s
			"derived": {func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				_ = purge.Pace(ctx)
				_ = purge.Pace(ctx)
				return hang(context.WithValue(ctx, t, t))
			}, 11 * time.Second},
		} {
			s := &script{name: "crm", answer: func(ctx context.Context, _ int, _ call) (purge.Removed, error) {
				return purge.Removed{}, c.call(ctx)
			}}
			began := time.Now()
			_, err := step(guarded(t, s, p), "acme")
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || (took-c.took).Abs() > time.Microsecond {
				t.Errorf("%s: %v after %s, want the time-out after %s", name, err, took, c.took)
			}
		}
	})
}

// TestPace_EndsWithTheCaller has the context of the caller end in a wait, and in
// a request.
func TestPace_EndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Rate, p.BreakerFailures = 0.1, 1
		s := newPaced(9)
		s.request = taking(time.Second)
		g := guarded(t, s, p)
		for _, c := range []struct {
			after time.Duration
			lost  bool
		}{{15 * time.Second, false}, {10500 * time.Millisecond, true}} {
			time.Sleep(time.Minute) // the token is back
			before := s.has("acme").Users
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(c.after, cancel)
			did, err := g.Purge(ctx, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100})
			cancel()
			if err == nil || errors.Is(err, context.Canceled) != c.lost || did.Inexact != c.lost || did.Deleted != before-s.has("acme").Users {
				t.Errorf("ended after %s: %+v, %v", c.after, did, err)
			}
		}
	})
}

func TestPace_SetPolicy_ANewRateIsInForceForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Rate, p.Timeout = 0.001, time.Second
		s := newPaced(100)
		g := guarded(t, s, p)
		var did purge.Removed
		done := make(chan struct{})
		go func() { did, _ = step(g, "acme"); close(done) }()
		time.Sleep(time.Second)
		if n := len(s.at()); n != 1 {
			t.Fatalf("%d requests, want 1", n)
		}
		set := func(rate float64) {
			p.Rate = rate
			if err := g.SetPolicy(p); err != nil {
				t.Fatal(err)
			}
		}
		set(10)
		time.Sleep(time.Second)
		if n := len(s.at()); n < 10 || n > 12 {
			t.Errorf("%d requests, one of them before the second at 10 a second", n)
		}
		set(0) // the rest at once
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Fatal("without a rate a call still waits")
		}
		if did != (purge.Removed{Deleted: 100}) {
			t.Errorf("%+v", did)
		}
	})
}

func TestPace_IdleStopsTheTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{0, 1} {
			p := plain()
			p.Rate, p.Timeout = rate, time.Second
			s := &script{name: "crm", answer: func(ctx context.Context, _ int, _ call) (purge.Removed, error) {
				_ = taking(400 * time.Millisecond)(ctx)
				first, second := purge.Idle(ctx), purge.Idle(ctx)
				_ = taking(time.Minute)(ctx)
				first()
				err := taking(time.Minute)(ctx)
				if end, _ := ctx.Deadline(); rate > 0 && time.Until(end) != 600*time.Millisecond {
					t.Errorf("after 400 ms of a second, and two idle minutes, %s are left", time.Until(end))
				}
				second()
				return purge.Removed{}, errors.Join(err, taking(500*time.Millisecond)(ctx))
			}}
			if _, err := step(guarded(t, s, p), "acme"); (err == nil) != (rate > 0) {
				t.Errorf("idle for two minutes at a rate of %v: %v", rate, err)
			}
		}
	})
}

func TestPace_WithoutAGuardOrARateNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		purge.Idle(ctx)()
		s := newPaced(1000)
		if did, err := step(s, "acme"); err != nil || did.Deleted != 100 {
			t.Errorf("%+v, %v", did, err)
		}
		if did, err := step(guarded(t, s, plain()), "acme"); err != nil || did.Deleted != 100 {
			t.Errorf("%+v, %v", did, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

func TestEnough_AtTheInstantBeforeAndAtTheBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name    string
			looked  time.Duration
			bound   time.Duration
			removed int64
			after   time.Duration // 0: never
		}{
			{"a minute", time.Second, 0, 1, time.Minute},
			{"four times the search", time.Minute, 0, 1, 4 * time.Minute},
			{"nothing removed", time.Second, 0, 0, 0},
			{"half of the time", time.Second, 20 * time.Second, 1, 10*time.Second + 1},
			{"half of the time, nothing removed", time.Second, 20 * time.Second, 0, 10*time.Second + 1},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			began := time.Now()
			time.Sleep(c.looked)
			if c.bound > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.bound)
			}
			enough := purge.Enough(ctx, began)
			if c.after == 0 {
				time.Sleep(time.Hour)
			} else {
				time.Sleep(c.after - time.Nanosecond)
			}
			if enough(c.removed) {
				t.Errorf("%s: enough too early", c.name)
			}
			time.Sleep(time.Nanosecond)
			if enough(c.removed) != (c.after > 0) {
				t.Errorf("%s: enough is %t after %s", c.name, c.after == 0, c.after)
			}
			cancel()
		}
	})
}

// TestPace_AProbeGoesPastTheRate has an operator ask while a call waits.
func TestPace_AProbeGoesPastTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Rate = 0.001
		s := newPaced(2)
		g := guarded(t, checked{s}, p)
		go func() { _, _ = step(g, "acme") }()
		time.Sleep(time.Second)
		began := time.Now()
		if err := g.Probe(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("a probe: %v after %s", err, time.Since(began))
		}
		p.Rate = 0
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
	})
}

// checked makes two requests to see whether the system is there.
type checked struct{ *paced }

func (c checked) Check(ctx context.Context) error { return errors.Join(c.send(ctx), c.send(ctx)) }

func TestPace_SaysWhyNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.Rate, p.Timeout = 0.1, time.Second
		var late error
		s := &script{name: "crm", answer: func(ctx context.Context, _ int, _ call) (purge.Removed, error) {
			_ = purge.Pace(ctx)
			<-ctx.Done()
			late = purge.Pace(ctx)
			return purge.Removed{}, late
		}}
		did, err := step(guarded(t, s, p), "acme")
		if store.CodeOf(late) != store.Unavailable || did.Inexact || err == nil || errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "no time was left") {
			t.Errorf("after the time-out: %+v, %v", did, err)
		}
	})
}
