package purge_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// failing returns a target of users that refuses the named tenants with err.
func failing(name string, err error, tenants ...string) *fake {
	f := newFake(name, map[string]store.Counts{})
	f.kinds = []store.Kind{store.KindUser}
	f.before = func(_ context.Context, c call) error {
		for _, id := range tenants {
			if c.Op == "purge" && c.Tenant == id {
				return err
			}
		}
		return nil
	}
	return f
}

func progress(t *testing.T, s store.Store, id string) store.Progress {
	t.Helper()
	v, err := s.Tenant(context.Background(), id)
	if err != nil || v.Purge == nil {
		t.Fatalf("progress of %q: %+v, %v", id, v, err)
	}
	return *v.Purge
}

func TestRun_G11_FailingTenantDoesNotStopOthers(t *testing.T) {
	for name, fault := range map[string]func(context.Context, call) error{
		"error":   func(context.Context, call) error { return errors.New("boom") },
		"panic":   func(context.Context, call) error { panic("boom") },
		"runtime": func(context.Context, call) error { return []error{}[len(os.Args)] },
		"goexit":  func(context.Context, call) error { runtime.Goexit(); return nil },
		"hangs":   func(ctx context.Context, _ call) error { <-ctx.Done(); return ctx.Err() },
		"deaf":    func(context.Context, call) error { time.Sleep(time.Hour); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				tenants := []store.Tenant{due("a", ""), due("bad", ""), due("c", ""), due("d", "")}
				held := map[string]store.Counts{}
				for _, v := range tenants {
					held[v.ID] = each(1, 0)
				}
				fill(t, s, tenants, nil)
				f := newFake("crm", held)
				f.before = func(ctx context.Context, c call) error {
					if c.Tenant == "bad" && c.Op == "purge" {
						return fault(ctx, c)
					}
					return nil
				}
				// One place: the bad one must give it back.
				e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Concurrency = 1 }))
				began := time.Now()
				r := mustRun(t, e)
				wantResult(t, r, purge.ResultPartial)
				wantOutcomes(t, r, map[string]string{"a": "deleted", "bad": "retrying", "c": "deleted", "d": "deleted"})
				if took, most := time.Since(began), 4*(e.Settings().CallTimeout+5*time.Second); took > most {
					t.Errorf("the pass took %s, want at most %s", took, most)
				}
				if p := progress(t, s, "bad"); p.Attempts != 1 || p.LastError == "" || !p.CountsInexact {
					t.Errorf("progress %+v", p)
				}
				time.Sleep(time.Hour) // whatever was left behind returns
			})
		})
	}
}

func TestRun_G11_FailingTargetAndKindDoNotStopOthers(t *testing.T) {
	s := newStore(t)
	_, a, b := family(t, s, 2)
	b.before = func(_ context.Context, c call) error {
		if c.Op == "purge" && c.Kind == store.KindAPIKey {
			return store.Errorf(store.Forbidden, "not yours")
		}
		return nil
	}
	r := mustRun(t, newEngine(t, s, targets(a, b)))
	wantOutcomes(t, r, map[string]string{"acme": "retrying"})
	for _, id := range []string{"acme", "acme-1", "acme-2", "acme-1-1"} {
		if got := a.has(id); got != (store.Counts{}) {
			t.Errorf("crm still holds %+v of %q", got, id)
		}
		if got := b.has(id); got != (store.Counts{APIKeys: 2}) {
			t.Errorf("idp holds %+v of %q, want its API keys alone", got, id)
		}
	}
	// Nothing in the store goes before the targets are empty.
	if got := progress(t, s, "acme").Targets["crm"]; got != each(8, 0) {
		t.Errorf("crm removed %+v", got)
	}
	if n, err := s.Count(context.Background(), "acme"); err != nil || n != each(2, 3) {
		t.Errorf("the store holds %+v, %v", n, err)
	}
}

func TestRun_TargetThatCannotBeCountedIsNotPurged(t *testing.T) {
	s := newStore(t)
	_, a, b := family(t, s, 2)
	b.before = func(_ context.Context, c call) error {
		if c.Op == "count" {
			return store.Errorf(store.Unavailable, "connection refused")
		}
		return nil
	}
	wantOutcomes(t, mustRun(t, newEngine(t, s, targets(a, b))), map[string]string{"acme": "retrying"})
	if got := b.has("acme"); got != each(2, 0) {
		t.Errorf("idp holds %+v after it could not be counted", got)
	}
	if got := a.has("acme"); got != (store.Counts{}) {
		t.Errorf("crm holds %+v", got)
	}
}

func TestRun_G11_RetriesWithBackoffUntilAttemptsAreSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("bad", ""), due("good", "")}, nil)
		e := newEngine(t, s, targets(failing("crm", errors.New("boom\x1b[31m\nforged line"), "bad")), setting(func(s *purge.Settings) {
			s.Attempts, s.BackoffInitial, s.BackoffMax = 4, 30*time.Second, time.Minute
		}))
		wantOutcomes(t, mustRun(t, e), map[string]string{"bad": "retrying", "good": "deleted"})
		for n, base := range []time.Duration{30 * time.Second, time.Minute, time.Minute} {
			p := progress(t, s, "bad")
			if p.Attempts != n+1 || strings.ContainsAny(p.LastError, "\n\x1b") {
				t.Errorf("attempt %d: progress %+v", n+1, p)
			}
			wait := time.Until(p.NextAttempt.Time)
			if wait < base*3/4-time.Millisecond || wait > base*5/4 {
				t.Errorf("after attempt %d the wait is %s, want %s and up to a quarter more or less", n+1, wait, base)
			}
			time.Sleep(wait - time.Millisecond)
			wantOutcomes(t, mustRun(t, e), map[string]string{})
			time.Sleep(time.Millisecond)
			want := "retrying"
			if n == 2 {
				want = "failed"
			}
			wantOutcomes(t, mustRun(t, e), map[string]string{"bad": want})
		}
		wantStatus(t, s, store.StatusFailed, "bad")
		time.Sleep(1000 * time.Hour)
		r := mustRun(t, e)
		wantOutcomes(t, r, map[string]string{})
		wantResult(t, r, purge.ResultOK)
	})
}

func TestRun_WaitsDifferByChance(t *testing.T) {
	s := newStore(t)
	var tenants []store.Tenant
	var ids []string
	for i := range 20 {
		ids = append(ids, "t"+string(rune('a'+i)))
		tenants = append(tenants, due(ids[i], ""))
	}
	fill(t, s, tenants, nil)
	mustRun(t, newEngine(t, s, targets(failing("crm", errors.New("down"), ids...)),
		setting(func(s *purge.Settings) { s.BackoffInitial, s.BackoffMax = time.Hour, time.Hour })))
	var first, last time.Time
	for _, id := range ids {
		next := progress(t, s, id).NextAttempt.Time
		if first.IsZero() || next.Before(first) {
			first = next
		}
		if next.After(last) {
			last = next
		}
	}
	if last.Sub(first) < 5*time.Minute {
		t.Errorf("20 attempts after an hour fall within %s", last.Sub(first))
	}
}

func TestRun_PermanentErrorFailsAtOnceUnlessAnotherIsNot(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("bad", ""), due("mixed", "")}, nil)
	boom := purge.Permanent(store.Errorf(store.Forbidden, "the licence has ended"))
	log, logs := observed(zapcore.InfoLevel)
	r := mustRun(t, newEngine(t, s, log,
		targets(failing("crm", boom, "bad", "mixed"), failing("idp", errors.New("down"), "mixed"))))
	wantOutcomes(t, r, map[string]string{"bad": "failed", "mixed": "retrying"})
	wantStatus(t, s, store.StatusFailed, "bad")
	for _, row := range r.Tenants {
		if row.ID == "bad" && !strings.Contains(row.Error, "target crm: user: the licence has ended") {
			t.Errorf("error %q does not say where and why", row.Error)
		}
	}
	for _, line := range logs.FilterMessage("tenant not purged yet").All() {
		f := line.ContextMap()
		if _, next := f["nextAttempt"]; next != (f["tenant"] == "mixed") {
			t.Errorf("log line %v", f)
		}
	}
}

func TestRun_RenewsTheLeaseWhileACallTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		f := newFake("crm", map[string]store.Counts{"acme": each(1, 0)})
		slept := false
		f.before = func(_ context.Context, c call) error {
			if c.Op == "purge" && !slept {
				slept = true
				for range 50 {
					time.Sleep(time.Minute)
					if p := progress(t, s, "acme"); !time.Now().Before(p.LeaseEnd.Time) {
						t.Errorf("the lease ended at %s, in the midst of a call", p.LeaseEnd)
						break
					}
				}
			}
			return nil
		}
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Lease, s.CallTimeout = 3*time.Minute, time.Hour }))
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "deleted"})
	})
}

// superseded is a store in which another owner takes every claim over.
type superseded struct {
	store.Store
	from  int32
	calls atomic.Int32
}

func (s *superseded) Record(ctx context.Context, tok store.Token, a store.Advance) error {
	if s.calls.Add(1) >= s.from {
		tok.Fence++
	}
	return s.Store.Record(ctx, tok, a)
}

func TestRun_SupersededClaimIsLeftAlone(t *testing.T) {
	s := newStore(t)
	_, a, _ := family(t, s, 3)
	r, err := newEngine(t, &superseded{Store: s, from: 3}, targets(a)).Run(context.Background(), purge.TriggerRun)
	if err != nil {
		t.Fatalf("a lost claim ended the pass: %v", err)
	}
	wantOutcomes(t, r, map[string]string{"acme": "retrying"})
	if got := a.has("acme"); got.Users != 3 {
		t.Errorf("work went on after the claim was lost: %+v", got)
	}
	if p := progress(t, s, "acme"); p.Attempts != 0 {
		t.Errorf("an attempt was counted for a claim that belongs to somebody else: %+v", p)
	}
}

func TestRun_RetriesWithinAPassThatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("giant", ""), due("shaky", "")}, nil)
		f := newFake("crm", map[string]store.Counts{"giant": {Users: 20}, "shaky": {Users: 1}})
		first := true
		f.before = func(_ context.Context, c call) error {
			switch {
			case c.Tenant == "giant" && c.Op == "purge":
				time.Sleep(time.Minute)
			case c.Tenant == "shaky" && first:
				first = false
				return store.Errorf(store.Unavailable, "down for a moment")
			}
			return nil
		}
		e := newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Batch, s.CallTimeout = 1, time.Hour }))
		r := mustRun(t, e)
		wantResult(t, r, purge.ResultOK)
		wantOutcomes(t, r, map[string]string{"giant": "deleted", "shaky": "deleted"})
		if r.Totals.Retrying != 0 || r.Totals.Deleted != 2 || receipt(t, s, "shaky").DeletedAt.After(receipt(t, s, "giant").DeletedAt.Add(-10*time.Minute)) {
			t.Errorf("totals %+v: shaky had to wait for giant", r.Totals)
		}
	})
}

func TestRun_LostClaimStopsWorkEvenBetweenCallsThatRecordNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		_, a, _ := family(t, s, 1)
		calls := 0
		a.before = func(context.Context, call) error {
			calls++
			time.Sleep(20 * time.Second) // 16 counts come first: no record for more than five minutes
			return nil
		}
		e := newEngine(t, &superseded{Store: s, from: 1}, targets(a), setting(func(s *purge.Settings) { s.Lease = time.Minute }))
		mustRun(t, e)
		if calls > 3 {
			t.Errorf("%d calls of 20 s; the renewal of the lease was refused after 40 s at the latest", calls)
		}
	})
}

func TestRun_ParentTakesOverTheFailedPurgeOfAChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		fill(t, s, []store.Tenant{disabled("acme", "", time.Hour), due("acme-1", "acme"), active("acme-1-1", "acme-1")}, nil)
		f := newFake("crm", map[string]store.Counts{"acme": each(1, 0), "acme-1": each(2, 0), "acme-1-1": each(4, 0)})
		f.before = func(_ context.Context, c call) error {
			if c.Op == "purge" && c.Kind == store.KindUser {
				return purge.Permanent(store.Errorf(store.Forbidden, "no"))
			}
			return nil
		}
		e := newEngine(t, s, targets(f))
		wantOutcomes(t, mustRun(t, e), map[string]string{"acme-1": "failed"})
		f.before = nil
		time.Sleep(time.Hour)
		plan, run := mustPlan(t, e), mustRun(t, e)
		wantOutcomes(t, run, map[string]string{"acme": "deleted"})
		if plan.Tenants[0].ResourcesDeleted != each(7, 2) || run.Tenants[0].ResourcesDeleted != each(7, 2) {
			t.Errorf("planned %+v, deleted %+v", plan.Tenants[0].ResourcesDeleted, run.Tenants[0].ResourcesDeleted)
		}
		if r := receipt(t, s, "acme-1-1"); r.Planned != each(7, 2) || r.Deleted != each(7, 2) || !r.CountsExact || r.Targets["crm"] != each(7, 0) {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestRun_PersonsRetryDuringAnAttemptGivesTheAttemptsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		crm := newFake("crm", map[string]store.Counts{"a": each(2, 0)})
		calls := 0
		crm.before = func(context.Context, call) error {
			if calls++; calls == 2 { // the second and last attempt
				up := store.Update{Origin: store.Origin{Actor: operator, At: time.Now()}, Change: store.Retry()}
				if _, err := s.Update(context.Background(), "a", up); err != nil {
					t.Error(err)
				}
			}
			return store.Errorf(store.Unavailable, "down")
		}
		fill(t, s, []store.Tenant{due("a", "")}, nil)
		e := newEngine(t, s, targets(crm), setting(func(s *purge.Settings) { s.Attempts = 2 }))
		mustRun(t, e)
		time.Sleep(time.Hour)
		mustRun(t, e)
		wantStatus(t, s, store.StatusPurging, "a")
	})
}
