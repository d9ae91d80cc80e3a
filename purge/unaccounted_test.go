package purge_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// index is a target that lists by way of an index, which may be down: then it lists
// nothing. It holds users.
type index struct {
	*fake
	// down says so for each count and step, by what was asked until then.
	down func(counts, steps int) bool
	// gone is how many the next step finds gone, lost that its answer is.
	gone          int64
	lost          bool
	counts, steps int
}

func newIndex(users int64) *index {
	f := newFake("idp", map[string]store.Counts{"acme": {Users: users}})
	f.kinds = []store.Kind{store.KindUser}
	return &index{fake: f, down: func(int, int) bool { return false }}
}

// SeesAll implements [purge.Witness].
func (*index) SeesAll() bool { return false }

func (x *index) Count(ctx context.Context, id string, kind store.Kind) (int64, error) {
	if x.counts++; x.down(x.counts, x.steps) {
		return 0, nil
	}
	return x.fake.Count(ctx, id, kind)
}

func (x *index) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	if x.steps++; x.down(x.counts, x.steps) {
		return purge.Removed{}, nil
	}
	did, err := x.fake.Purge(ctx, r)
	did.Gone, did.Inexact, x.gone, x.lost = x.gone, x.lost, 0, false
	return did, err
}

// vanish takes users away without a step.
func (x *index) vanish(n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.held["acme"]
	c.Users -= n
	x.held["acme"] = c
}

// afterTheFirst has the index down once the first count was made.
func afterTheFirst(counts, steps int) bool { return counts > 1 || steps > 0 }

// doubtful is what a test of this file has; Attempts are so few that a doubt must not
// spend the last.
func doubtful(t *testing.T, x purge.Target, change ...func(*purge.Options)) (*purge.Engine, store.Store) {
	t.Helper()
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	change = append(change, targets(x), setting(func(s *purge.Settings) { s.Attempts, s.BackoffInitial = 1, time.Second }))
	return newEngine(t, s, change...), s
}

const second = 5 * time.Minute // when a target is counted once more

func TestRun_G6_AnEmptyListBehindACountIsNoProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(100_000)
		x.down = afterTheFirst
		meter, read := measured(t)
		opt, logs := observed(zapcore.WarnLevel)
		e, s := doubtful(t, x, meter, opt)

		r := mustRun(t, e)
		wantOutcomes(t, r, map[string]string{"acme": "retrying"})
		wantResult(t, r, purge.ResultPartial)
		p := progress(t, s, "acme")
		if !strings.Contains(p.LastError, "counted 100000 and lists none; removed 0") || p.Attempts != 1 ||
			!p.NextAttempt.Equal(time.Now().Add(second)) {
			t.Errorf("on record is %d attempts, the next in %s, %q", p.Attempts, time.Until(p.NextAttempt.Time), p.LastError)
		}
		if rows := e.Progress(); len(rows) != 1 || rows[0].Remaining != 100_000 {
			t.Errorf("the progress is %+v, want that 100000 remain", rows)
		}
		// A person's retry does not make the second look worth more.
		time.Sleep(second / 2)
		if _, err := s.Update(t.Context(), "acme", store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Retry()}); err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		time.Sleep(second/2 - time.Millisecond)
		wantOutcomes(t, mustRun(t, e), map[string]string{})
		want(t, read, "purger_resources_unaccounted_total{kind=user,target=idp}", 0)

		time.Sleep(time.Millisecond) // no sooner than now
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		got := receipt(t, s, "acme")
		if diff := cmp.Diff(map[string]store.Counts{"idp": {Users: 100_000}}, got.Unaccounted); diff != "" || got.CountsExact {
			t.Errorf("exact: %t; unaccounted for (-want +got):\n%s", got.CountsExact, diff)
		}
		want(t, read, "purger_resources_unaccounted_total{kind=user,target=idp}", 100_000)
		if n := logs.FilterMessageSnippet("differ").FilterField(zap.Int64("users", 100_000)).Len(); n != 1 {
			t.Errorf("%d warnings, want one: %v", n, logs.All())
		}
	})
}

func TestRun_G6_AListThatComesBackIsEmptiedAndTheCountIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(12)
		began := time.Now()
		x.down = func(counts, steps int) bool { return afterTheFirst(counts, steps) && time.Since(began) < second }
		e, s := doubtful(t, x)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		time.Sleep(second)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		if r := receipt(t, s, "acme"); r.Deleted.Users != 12 || !r.CountsExact || r.Unaccounted != nil {
			t.Errorf("deleted %d of 12, exact %t, unaccounted for %v", r.Deleted.Users, r.CountsExact, r.Unaccounted)
		}
	})
}

// A zero that was wrong makes the next one as doubtful as the first was.
func TestRun_G6_MoreThatComesUpAfterAnEmptyListBeginsTheDoubtAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(100)
		x.down = afterTheFirst
		e, s := doubtful(t, x, setting(func(s *purge.Settings) { s.Batch = 10 }))
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		time.Sleep(second)
		up := x.steps
		x.down = func(_, steps int) bool { return steps > up+1 } // after one step
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "retrying"})
		if p := progress(t, s, "acme"); !strings.Contains(p.LastError, "counted 100 and lists none; removed 10") {
			t.Errorf("the error is %q", p.LastError)
		}
		x.down = func(int, int) bool { return true }
		time.Sleep(second)
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
		if got := receipt(t, s, "acme").Unaccounted["idp"].Users; got != 90 {
			t.Errorf("%d are unaccounted for, want 90", got)
		}
	})
}

// What explains a difference holds nobody up.
func TestRun_G6_ADifferenceIsDoubtedByItsSizeAndWhatExplainsIt(t *testing.T) {
	for name, c := range map[string]struct {
		users   int64
		change  func(x *index)
		doubted bool
		exact   bool
	}{
		"nothing is missing":  {users: 100, change: func(*index) {}, exact: true},
		"a tenth expired":     {users: 100, change: vanishing(10), exact: true},
		"more than a tenth":   {users: 100, change: vanishing(11), doubted: true},
		"a thousand of many":  {users: 20_000, change: vanishing(1000), exact: true},
		"more than that":      {users: 20_000, change: vanishing(1001), doubted: true},
		"all of one":          {users: 1, change: vanishing(1), doubted: true},
		"half, found gone":    {users: 100, change: func(x *index) { vanishing(50)(x); x.gone = 50 }, exact: true},
		"all, found gone":     {users: 100, change: func(x *index) { vanishing(100)(x); x.gone = 100 }, exact: true},
		"not all found gone":  {users: 100, change: func(x *index) { vanishing(50)(x); x.gone = 20 }, doubted: true},
		"an answer was lost":  {users: 100, change: losing(50)},
		"more than a step is": {users: 300, change: losing(150), doubted: true},
		"all were lost":       {users: 100, change: losing(100), doubted: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newIndex(c.users)
				c.change(x)
				e, s := doubtful(t, guarded(t, x, plain()), setting(func(s *purge.Settings) { s.Batch = 100 }))
				out := "deleted"
				if c.doubted {
					out = "retrying"
				}
				wantOutcomes(t, mustRun(t, e), map[string]string{"acme": out})
				if c.doubted {
					time.Sleep(second)
					wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
				}
				r := receipt(t, s, "acme")
				if r.CountsExact != c.exact || (r.Unaccounted != nil) != c.doubted {
					t.Errorf("exact: %t, want %t; unaccounted for %v", r.CountsExact, c.exact, r.Unaccounted)
				}
			})
		})
	}
}

// vanishing has n users go by themselves before the first step.
func vanishing(n int64) func(*index) {
	return func(x *index) {
		x.before = func(_ context.Context, c call) error {
			if c.Op == "purge" && n > 0 {
				x.vanish(n)
				n = 0
			}
			return nil
		}
	}
}

// losing is vanishing, with the answer of the first step lost.
func losing(n int64) func(*index) {
	return func(x *index) {
		vanishing(n)(x)
		x.lost = true
	}
}

// A target that sees all is believed at once. What somebody else removed, such as the
// database with what it belonged to, is on the receipt, and no cause for an alert.
func TestRun_G5_G6_ATargetThatSeesAllIsBelieved(t *testing.T) {
	for vanish, missing := range map[int64]map[string]store.Counts{100: {"idp": {Users: 100}}, 10: nil, -50: nil} {
		synctest.Test(t, func(t *testing.T) {
			x := newIndex(100)
			x.before = func(_ context.Context, c call) error {
				if c.Op == "purge" {
					x.vanish(vanish)
					vanish = 0
				}
				return nil
			}
			meter, read := measured(t)
			opt, logs := observed(zapcore.WarnLevel)
			e, s := doubtful(t, x.fake, meter, opt)
			removed := 100 - vanish
			wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
			r := receipt(t, s, "acme")
			if diff := cmp.Diff(missing, r.Unaccounted); diff != "" || r.CountsExact != (missing == nil) || r.Deleted.Users != removed {
				t.Errorf("deleted %d, want %d; exact %t; unaccounted for (-want +got):\n%s", r.Deleted.Users, removed, r.CountsExact, diff)
			}
			want(t, read, "purger_resources_unaccounted_total{kind=user,target=idp}", 0)
			if logs.Len() > 0 {
				t.Errorf("warned of: %v", logs.All())
			}
		})
	}
}

// The first count of a claim was wrong, too, and the claim of the tenant above takes
// it over: what the one before had counted is still missed.
func TestRun_G6_WhatADescendantHadCountedIsMissedInTheClaimAbove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(100)
		s := newStore(t)
		fill(t, s, []store.Tenant{disabled("top", "", time.Hour), due("acme", "top")}, nil)
		e := newEngine(t, s, targets(x), setting(func(s *purge.Settings) { s.Attempts = 1 }))
		x.before = func(_ context.Context, c call) error {
			if c.Op == "purge" {
				return purge.Permanent(errDown)
			}
			return nil
		}
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "failed"})
		x.down = func(int, int) bool { return true }
		time.Sleep(2 * time.Hour)
		wantOutcomes(t, mustRun(t, e), map[string]string{"top": "retrying"})
		time.Sleep(second)
		wantOutcomes(t, mustRun(t, e), map[string]string{"top": "deleted"})
		if got := receipt(t, s, "top").Unaccounted["idp"].Users; got != 100 {
			t.Errorf("%d are unaccounted for, want 100", got)
		}
	})
}
