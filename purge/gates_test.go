package purge_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// forest returns n due trees of size tenants each, the oldest first by name.
func forest(n, size int) []store.Tenant {
	var list []store.Tenant
	for i := range n {
		top := fmt.Sprintf("t%03d", i)
		list = append(list, disabled(top, "", -time.Hour*time.Duration(n-i)))
		for j := 1; j < size; j++ {
			list = append(list, active(fmt.Sprintf("%s-%d", top, j), top))
		}
	}
	return list
}

func purged(t *testing.T, s store.Store) int64 {
	t.Helper()
	st, err := s.Stats(context.Background(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return st.Tenants[store.StatusDeleted]
}

func TestRun_G9_NeverMoreThanALimitAllowsAndHalts(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*purge.Settings)
		key  string
		want int64 // 20 trees of 3 tenants
	}{
		"per pass":  {func(s *purge.Settings) { s.PerPass = 10 }, "limits.perPass", 9},
		"per day":   {func(s *purge.Settings) { s.Limits.PerDay = 7 }, "limits.perDay", 6},
		"share":     {func(s *purge.Settings) { s.Limits.PerDayShare = 0.25 }, "limits.perDayShare", 15},
		"floor":     {func(s *purge.Settings) { s.Limits.PerDayShare, s.Limits.ShareFloor = 0.01, 12 }, "limits.perDayShare", 12},
		"too small": {func(s *purge.Settings) { s.PerPass = 2 }, "limits.perPass", 0},
	} {
		for _, places := range []int{1, 16} {
			t.Run(fmt.Sprintf("%s with %d places", name, places), func(t *testing.T) {
				s := newStore(t)
				fill(t, s, forest(20, 3), nil)
				log, logs := observed(zapcore.ErrorLevel)
				e := newEngine(t, s, log, setting(c.set), setting(func(s *purge.Settings) { s.Concurrency = places }))
				r := mustRun(t, e)
				wantResult(t, r, purge.ResultHalted)
				if r.Gate == nil || r.Gate.Reason != store.GateHalted {
					t.Errorf("gate %+v", r.Gate)
				}
				if r.Totals.Tenants != c.want || purged(t, s) != c.want {
					t.Errorf("purged %d tenants, and %d by the report; want %d", purged(t, s), r.Totals.Tenants, c.want)
				}
				gates, err := s.Gates(context.Background())
				if err != nil || gates.Halt == nil || gates.Halt.Limit != c.key {
					t.Errorf("gates %+v, %v; want a halt by %s", gates, err, c.key)
				}
				lines := logs.All()
				if len(lines) != 1 || lines[0].ContextMap()["limit"] != c.key {
					t.Errorf("log %+v, want one line at level error that names the limit", lines)
				}
				// The next pass does not even begin.
				again := mustRun(t, e)
				wantResult(t, again, purge.ResultHalted)
				if again.Totals.Tenants != 0 || again.Gate == nil || purged(t, s) != c.want {
					t.Errorf("a halted pass purged: %+v", again)
				}
			})
		}
	}
}

func TestRun_G9_PersonLiftsTheHalt(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(4, 1), nil)
	e := newEngine(t, s, setting(func(s *purge.Settings) { s.Limits.PerDay = 2 }))
	wantResult(t, mustRun(t, e), purge.ResultHalted)
	change(t, s, store.ResumePurging("checked", 1))
	r := mustRun(t, e)
	wantResult(t, r, purge.ResultHalted)
	if r.Totals.Tenants != 1 {
		t.Errorf("%d tenants with an allowance of 1", r.Totals.Tenants)
	}
}

func change(t *testing.T, s store.Store, c store.GateChange) {
	t.Helper()
	if _, err := s.ChangeGates(context.Background(), c, store.Origin{Actor: operator, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func TestRun_PauseEndsThePassBeforeItBeginsAndLiftsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, forest(2, 1), nil)
		change(t, s, store.PausePurging("migration", time.Now().Add(time.Hour)))
		e := newEngine(t, s)
		time.Sleep(time.Hour - time.Millisecond)
		r := mustRun(t, e)
		wantResult(t, r, purge.ResultPaused)
		if r.Gate == nil || r.Gate.Detail != "migration" || len(r.Tenants) != 0 {
			t.Errorf("report %+v", r)
		}
		time.Sleep(time.Millisecond)
		wantResult(t, mustRun(t, e), purge.ResultOK)
	})
}

func TestRun_PauseStopsALongPurgeBetweenCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("giant", "")}, nil)
		f := newFake("crm", map[string]store.Counts{"giant": {Users: 1_000_000}})
		calls := 0
		f.before = func(_ context.Context, c call) error {
			time.Sleep(time.Second)
			if calls++; calls == 60 {
				change(t, s, store.PausePurging("stop", time.Time{}))
			}
			return nil
		}
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Batch = 10 }))
		r := mustRun(t, e)
		wantResult(t, r, purge.ResultPaused)
		wantOutcomes(t, r, map[string]string{"giant": "retrying"})
		if calls > 67 {
			t.Errorf("%d calls of a second each, the pause came at the 60th", calls)
		}
		p := progress(t, s, "giant")
		if !p.LeaseEnd.IsZero() || p.Attempts != 0 || p.Deleted.Users != 1_000_000-f.has("giant").Users {
			t.Errorf("progress %+v", p)
		}
		change(t, s, store.ResumePurging("go on", 0))
		if err := e.Configure(unlimited()); err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, mustRun(t, e), map[string]string{"giant": "deleted"})
		if got := receipt(t, s, "giant"); got.Deleted.Users != 1_000_000 || !got.CountsExact || got.Planned.Users != 1_000_000 {
			t.Errorf("receipt %+v", got)
		}
	})
}

func TestRun_ImportStopsClaimsAndNotWhatIsClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("begun", ""), disabled("other", "", time.Hour)}, nil)
		f := newFake("crm", nil)
		down := true
		f.before = func(context.Context, call) error {
			if down {
				return store.Errorf(store.Unavailable, "down")
			}
			return nil
		}
		e := newEngine(t, s, targets(f))
		wantOutcomes(t, mustRun(t, e), map[string]string{"begun": "retrying"})
		down = false
		time.Sleep(2 * time.Hour)
		o := store.Origin{Actor: operator, At: time.Now()}
		if err := s.BeginImport(context.Background(), store.Import{Digest: "x"}, o); err != nil {
			t.Fatal(err)
		}
		plan, err := e.Plan(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		wantResult(t, plan, purge.ResultImport)
		wantOutcomes(t, plan, map[string]string{"begun": "deleted", "other": "deleted"}) // once the import is complete
		r := mustRun(t, e)
		wantResult(t, r, purge.ResultImport)
		wantOutcomes(t, r, map[string]string{"begun": "deleted"})
		if err := s.EndImport(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, mustRun(t, e), map[string]string{"other": "deleted"})
	})
}

// stopping is a store in which something happens before the n-th claim.
type stopping struct {
	store.Store
	n      atomic.Int32
	before func()
}

func (s *stopping) Claim(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if s.n.Add(-1) == 0 {
		s.before()
	}
	return s.Store.Claim(ctx, id, req)
}

func TestRun_GateThatClosesInTheMidstEndsThePass(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(10, 1), nil)
	st := &stopping{Store: s, before: func() { change(t, s, store.PausePurging("now", time.Time{})) }}
	st.n.Store(4)
	r := mustRun(t, newEngine(t, st, setting(func(s *purge.Settings) { s.Concurrency = 1 })))
	wantResult(t, r, purge.ResultPaused)
	if r.Totals.Tenants != 3 || r.Gate == nil || r.Gate.Reason != store.GatePaused {
		t.Errorf("report %+v", r)
	}
}

func TestRun_TenantThatChangedSinceItWasListedIsSkippedQuietly(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(3, 1), nil)
	st := &stopping{Store: s, before: func() {
		if _, err := s.Update(context.Background(), "t001", store.Update{
			Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Reactivate(),
		}); err != nil {
			t.Error(err)
		}
	}}
	st.n.Store(2)
	r := mustRun(t, newEngine(t, st, setting(func(s *purge.Settings) { s.Concurrency = 1 })))
	wantResult(t, r, purge.ResultOK)
	wantOutcomes(t, r, map[string]string{"t000": "deleted", "t002": "deleted"})
	wantStatus(t, s, store.StatusActive, "t001")
}

func TestRun_ErrorOfTheStoreInTheMidstEndsThePass(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(10, 1), nil)
	boom := errors.New("I/O error")
	r, err := newEngine(t, brokenClaims{s, boom}, setting(func(s *purge.Settings) { s.Concurrency = 1 })).Run(context.Background(), purge.TriggerRun)
	if !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	wantResult(t, r, purge.ResultError)
}

// brokenClaims is a store that cannot write claims.
type brokenClaims struct {
	store.Store
	err error
}

func (s brokenClaims) Claim(context.Context, string, store.ClaimRequest) (store.Claim, error) {
	return store.Claim{}, store.Errorf(store.Unavailable, "write: %w", s.err)
}

// undated is a store in which the date of one tenant is damaged.
type undated struct{ store.Store }

func (s undated) Claim(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if id == "t000" {
		return store.Claim{}, &store.BlockedError{TenantID: id, Block: store.Block{Reason: store.BlockInvalidDate, By: id}}
	}
	return s.Store.Claim(ctx, id, req)
}

func TestRun_G1_InvalidDateIsABlockAndAWarning(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(2, 1), nil)
	log, logs := observed(zapcore.WarnLevel)
	wantOutcomes(t, mustRun(t, newEngine(t, undated{s}, log)), map[string]string{"t000": "blocked: invalid_date by t000", "t001": "deleted"})
	if lines := logs.All(); len(lines) != 1 || lines[0].ContextMap()["reason"] != "invalid_date" {
		t.Errorf("log %+v", lines)
	}
}

// A limit leaves the tenants that are due for the shortest time, however many
// are worked on at once.
func TestRun_G9_LimitTakesTheOldestFirst(t *testing.T) {
	for range 20 {
		s := newStore(t)
		fill(t, s, forest(60, 1), nil)
		e := newEngine(t, s, setting(func(s *purge.Settings) { s.PerPass, s.Concurrency = 10, 64 }))
		got := outcomes(mustRun(t, e))
		for i := range 10 {
			if id := fmt.Sprintf("t%03d", i); got[id] != string(purge.OutcomeDeleted) {
				t.Fatalf("%s is among the ten oldest and was left; purged: %v", id, got)
			}
		}
	}
}

// A pause stops more than an import does, whichever was there first.
func TestPlan_ImportAndPauseTogetherAreAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		crm := newFake("crm", map[string]store.Counts{"a": each(2, 0)})
		down := true
		crm.before = func(context.Context, call) error {
			if down {
				return store.Errorf(store.Unavailable, "down")
			}
			return nil
		}
		fill(t, s, []store.Tenant{due("a", "")}, nil)
		e := newEngine(t, s, targets(crm))
		mustRun(t, e)
		down = false
		time.Sleep(time.Hour) // the retry has come
		o := store.Origin{Actor: operator, At: time.Now()}
		if err := s.BeginImport(context.Background(), store.Import{Digest: "x"}, o); err != nil {
			t.Fatal(err)
		}
		change(t, s, store.PausePurging("stop", time.Time{}))
		plan, run := mustPlan(t, e), mustRun(t, e)
		wantResult(t, plan, purge.ResultPaused)
		wantResult(t, run, purge.ResultPaused)
		wantOutcomes(t, plan, map[string]string{"a": "deleted"}) // once both are over
		wantOutcomes(t, run, map[string]string{})
	})
}
