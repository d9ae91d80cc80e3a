package purge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// set replaces the policy of a target, as a reload does, and returns how many
// purges are to go on earlier.
func set(t *testing.T, e *purge.Engine, g *purge.GuardedTarget, p purge.Policy) int64 {
	t.Helper()
	if err := g.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	n, err := e.Reconsider(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// open is a policy with a window.
func open(t *testing.T, spans string) purge.Policy {
	p := plain()
	p.Window = window(t, spans)
	return p
}

// resume makes a pass as the scheduler does once a next attempt has come.
func resume(t *testing.T, e *purge.Engine) purge.Report {
	t.Helper()
	r, err := e.Run(context.Background(), purge.TriggerRetry)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantNext compares when a tenant is tried next.
func wantNext(t *testing.T, s store.Store, id string, want time.Time) {
	t.Helper()
	if p := progress(t, s, id); !p.NextAttempt.Equal(want) || p.Attempts != 0 {
		t.Errorf("the next attempt on %s is at %s, after %d; want %s and none", id, store.FormatTime(p.NextAttempt.Time), p.Attempts, store.FormatTime(want))
	}
}

func TestReload_G11_AWiderWindowLetsWorkGoOnEarlier(t *testing.T) {
	for name, c := range map[string]struct {
		policy func(*testing.T) purge.Policy
		after  time.Duration // noon
	}{
		"at once, without one":    {policy: func(*testing.T) purge.Policy { return plain() }},
		"at once, in a wider one": {policy: func(t *testing.T) purge.Policy { return open(t, "11:00-05:00 UTC") }},
		"when a wider one opens":  {policy: func(t *testing.T) purge.Policy { return open(t, "18:00-05:00 UTC") }, after: 6 * time.Hour},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStore(t)
					opens := noon()
					from := store.Trim(time.Now())
					_, a, b := family(t, s, 2)
					g := guarded(t, b, windowed(t))
					e := newEngine(t, s, targets(a, g))
					wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
					wantNext(t, s, "acme", opens)
					time.Sleep(time.Minute)
					from = from.Add(max(c.after, time.Minute))
					if restart { // with the other policy: the first pass looks
						g = guarded(t, b, c.policy(t))
						e = newEngine(t, s, targets(a, g))
					} else if n := set(t, e, g, c.policy(t)); n != 1 {
						t.Errorf("%d purges go on earlier, want 1", n)
					}
					if c.after > 0 {
						wantOutcomes(t, resume(t, e), map[string]string{})
						wantNext(t, s, "acme", from)
						time.Sleep(time.Until(from))
					} else if rows := g.Progress(); len(rows) > 0 && rows[0].Reason != "" {
						t.Errorf("by now the target is called, and the progress says %+v", rows[0])
					}
					wantOutcomes(t, resume(t, e), map[string]string{"acme": "deleted"})
				})
			})
		}
	}
}

// TestReload_G1_ANarrowerWindowIsHeededAtOnce by a purge that waits, and by one
// that is under way.
func TestReload_G1_ANarrowerWindowIsHeededAtOnce(t *testing.T) {
	for name, underWay := range map[string]bool{"waiting": false, "under way": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				opens := noon()
				later := opens.Add(time.Hour)
				_, a, b := family(t, s, 4)
				g := guarded(t, b, windowed(t))
				e := newEngine(t, s, targets(a, g), setting(func(s *purge.Settings) { s.Batch = 2 }))
				var calls []time.Time
				b.before = func(_ context.Context, c call) error {
					if c.Op != "purge" {
						return nil
					}
					calls = append(calls, time.Now())
					if underWay && len(calls) == 1 {
						if err := g.SetPolicy(open(t, "23:00-05:00 UTC")); err != nil {
							t.Error(err)
						}
					}
					return nil
				}
				mustRun(t, e)
				if !underWay {
					if n := set(t, e, g, open(t, "23:00-05:00 UTC")); n != 0 {
						t.Errorf("%d purges go on earlier by a narrower window", n)
					}
				}
				time.Sleep(time.Until(opens))
				wantOutcomes(t, resume(t, e), map[string]string{"acme": "retrying"})
				wantNext(t, s, "acme", later)
				time.Sleep(time.Until(later))
				wantOutcomes(t, resume(t, e), map[string]string{"acme": "deleted"})
				for i, at := range calls {
					if at.Before(later) && (!underWay || i > 0) {
						t.Errorf("call %d was made at %s, outside the new window", i, at)
					}
				}
			})
		})
	}
}

func TestReload_G11_AShorterCooldownIsThatOfAnOpenBreaker(t *testing.T) {
	for name, c := range map[string]struct {
		cooldown time.Duration // 0: there is no breaker any more
		after    time.Duration
	}{"shorter": {time.Minute, time.Minute}, "over": {time.Second, 10 * time.Second}, "none": {0, 10 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				fill(t, s, []store.Tenant{due("a", ""), due("b", ""), due("c", "")}, nil)
				f := newFake("crm", nil)
				f.kinds = []store.Kind{store.KindUser}
				f.before = refusing("count", 2, store.Unavailable)
				p := breaking(2)
				p.BreakerCooldown = time.Hour
				g := guarded(t, f, p)
				e := newEngine(t, s, targets(g), setting(func(s *purge.Settings) {
					s.Concurrency, s.BackoffInitial, s.BackoffMax = 1, 24*time.Hour, 24*time.Hour
				}))
				opened := store.Trim(time.Now())
				mustRun(t, e)
				wantNext(t, s, "c", opened.Add(time.Hour))
				time.Sleep(10 * time.Second)
				if p.BreakerCooldown = c.cooldown; c.cooldown == 0 {
					p.BreakerFailures = 0
				}
				if n := set(t, e, g, p); n != 1 {
					t.Errorf("%d purges go on earlier, want that of c: the others failed, and have their backoff", n)
				}
				wantNext(t, s, "c", opened.Add(c.after))
				time.Sleep(time.Until(opened.Add(c.after)) - time.Millisecond)
				if c.after > 10*time.Second {
					wantPostponed(t, g, "z", purge.PostponeBreaker, opened.Add(c.after))
				}
				time.Sleep(time.Millisecond)
				wantOutcomes(t, resume(t, e), map[string]string{"c": "deleted"})
			})
		})
	}
}

// A reload is no way around the wait that a system asked for.
func TestReload_AWaitThatTheSystemAskedForStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("a", ""), due("b", "")}, nil)
		f := newFake("crm", nil)
		asked := false
		f.before = func(context.Context, call) error {
			if !asked {
				asked = true
				return askedToWait{time.Hour}
			}
			return nil
		}
		g := guarded(t, f, plain())
		e := newEngine(t, s, targets(g), setting(func(s *purge.Settings) { s.Concurrency = 1 }))
		until := store.Trim(time.Now()).Add(time.Hour)
		mustRun(t, e)
		wantNext(t, s, "b", until)
		if n := set(t, e, g, open(t, "00:00-24:00 UTC")); n != 0 {
			t.Errorf("%d purges go on earlier", n)
		}
		wantNext(t, s, "b", until)
	})
}

// TestReload_G11_WhatIsPutOffMeanwhileHeedsTheNewPolicy: the window was closed when
// the target was to be called, and the reload comes while another one is.
func TestReload_G11_WhatIsPutOffMeanwhileHeedsTheNewPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		noon()
		_, a, b := family(t, s, 2)
		slow := true
		a.before = func(_ context.Context, c call) error {
			if c.Op == "purge" && slow {
				slow = false
				time.Sleep(10 * time.Second)
			}
			return nil
		}
		g := guarded(t, b, windowed(t))
		e := newEngine(t, s, targets(a, g))
		done := make(chan struct{})
		go func() {
			defer close(done)
			wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		}()
		time.Sleep(5 * time.Second)
		if n := set(t, e, g, plain()); n != 0 {
			t.Errorf("%d purges go on earlier; none was put off yet", n)
		}
		<-done
		wantNext(t, s, "acme", store.Trim(time.Now()))
		wantOutcomes(t, resume(t, e), map[string]string{"acme": "deleted"})
	})
}

func TestReload_ARetryWithinAStepIsMadeByTheNewBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: failingWith(errDown)}
		p := plain()
		p.Retries, p.BackoffInitial, p.BackoffMax = 1, time.Hour, time.Hour
		g := guarded(t, s, p)
		began := time.Now()
		go func() {
			time.Sleep(10 * time.Minute)
			p.BackoffInitial, p.BackoffMax = time.Second, time.Second
			if err := g.SetPolicy(p); err != nil {
				t.Error(err)
			}
		}()
		if _, err := step(g, "a"); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 10*time.Minute {
			t.Errorf("the step took %s, want the 10 min until the reload", took)
		}
	})
}

// TestReload_G1_WhoWaitsForTheRateIsToldThatTheWindowHasClosed, the whole line at
// once, and no token is lost to them.
func TestReload_G1_WhoWaitsForTheRateIsToldThatTheWindowHasClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opens := noon()
		s := &script{name: "crm", answer: fine}
		p := plain()
		p.Rate, p.Concurrency = 0.001, 2
		g := guarded(t, s, p)
		if _, err := step(g, "a"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		results := make(chan error, 5)
		for range 5 {
			go func() { _, err := step(g, "a"); results <- err }()
		}
		time.Sleep(time.Minute)
		p.Window = window(t, "22:00-05:00 UTC")
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			var put *purge.PostponedError
			if err := <-results; !errors.As(err, &put) || put.Reason != purge.PostponeWindow || !put.Until.Equal(opens) {
				t.Errorf("a call that waits for the rate: %v", err)
			}
		}
		if took := time.Since(began); took != time.Minute || len(s.at()) != 1 {
			t.Errorf("after %s %d calls were made", took, len(s.at()))
		}
		time.Sleep(time.Until(began.Add(1000 * time.Second)))
		p.Window = purge.Window{}
		if err := g.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		if _, err := step(g, "a"); err != nil || !time.Now().Equal(at) {
			t.Errorf("the token was lost: %v after %s", err, time.Since(at))
		}
	})
}

// A breaker that was taken away, and given back, has seen nothing yet.
func TestReload_ABreakerThatIsGivenBackIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "crm", answer: failingWith(errDown, errDown, nil)}
		g := guarded(t, s, breaking(2))
		for range 2 {
			_, _ = step(g, "a")
		}
		wantPostponed(t, g, "a", purge.PostponeBreaker, time.Now().Add(time.Minute))
		for _, p := range []purge.Policy{plain(), breaking(2)} {
			if err := g.SetPolicy(p); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := step(g, "a"); err != nil {
			t.Errorf("a call by the new policy: %v", err)
		}
	})
}
