package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

func attemptsCases() []testCase {
	return []testCase{
		{"PostponeCountsAndKeepsTheError_G11", func(e *env) {
			e.disabled("acme", "")
			at := due10
			for n := 1; n <= 3; n++ {
				c := e.beginOrResume("acme", at)
				head := e.head()
				next := at.Add(time.Hour)
				got := e.postpone(c.Token, at.Add(time.Minute), next)
				p := got.Purge
				if got.Status != store.StatusPurging || p == nil || p.Attempts != n || !p.NextAttempt.Equal(next) ||
					!strings.Contains(p.LastError, "ldap: connection refused") || !p.LeaseEnd.IsZero() {
					e.t.Fatalf("after %d failed attempts: %s, %+v", n, got.Status, p)
				}
				e.equal(got, e.tenant("acme"), "the record as read again")
				entries := e.entries(head)
				if len(entries) != 1 || entries[0].Action != store.ActionPostpone || entries[0].TenantID != "acme" {
					e.t.Errorf("Postpone wrote %+v; want one postpone entry (G8)", entries)
				}
				at = next
			}
			e.reopen()
			if p := e.tenant("acme").Purge; p.Attempts != 3 || p.LastError == "" {
				e.t.Errorf("after a restart: %+v", p)
			}
		}},
		{"PostponeForGoodFails_G11", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			head := e.head()
			got := e.postpone(tok, due10.Add(time.Minute), time.Time{})
			if got.Status != store.StatusFailed || got.Purge == nil || got.Purge.Attempts != 1 || !strings.Contains(got.Purge.LastError, "connection refused") {
				e.t.Errorf("failed for good: %s, %+v", got.Status, got.Purge)
			}
			entries := e.entries(head)
			if len(entries) != 1 || entries[0].Action != store.ActionFail || entries[0].ToStatus != store.StatusFailed {
				e.t.Errorf("it wrote %+v; want one fail entry (G8)", entries)
			}
			e.wantResumable(farFuture)
			e.wantDue(farFuture)
			e.reopen()
			e.wantStatus(store.StatusFailed, "acme")
			e.wantResumable(farFuture)
		}},
		{"PostponeGivesUpTheLease", func(e *env) {
			e.disabled("acme", "")
			e.postpone(e.claim("acme", due10).Token, due10, due10)
			e.resume("acme", due10, owner("owner-2"))
		}},
		{"YieldCountsNoAttempt_G11", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			if err := e.s.Yield(e.ctx(), tok, due10.Add(time.Minute)); err != nil {
				e.t.Fatalf("Yield: %v", err)
			}
			got := e.tenant("acme")
			if got.Status != store.StatusPurging || got.Purge.Attempts != 0 || !got.Purge.LeaseEnd.IsZero() {
				e.t.Errorf("after Yield: %s, %+v", got.Status, got.Purge)
			}
			e.wantResumable(due10.Add(time.Minute), "acme")
			e.finish(e.resume("acme", due10.Add(time.Minute), owner("owner-2")).Token, due10.Add(time.Minute))
		}},
		{"YieldKeepsTheAttemptsBefore_G11", func(e *env) {
			e.disabled("acme", "")
			e.postpone(e.claim("acme", due10).Token, due10, due10)
			tok := e.resume("acme", due10).Token
			if err := e.s.Yield(e.ctx(), tok, due10); err != nil {
				e.t.Fatalf("Yield: %v", err)
			}
			if p := e.tenant("acme").Purge; p.Attempts != 1 {
				e.t.Errorf("attempts %d; want 1", p.Attempts)
			}
		}},
		{"RetryRevivesAFailedPurge_G11", func(e *env) {
			e.createAll("acme", "child<acme")
			e.deactivate("acme", t0, 10)
			counts := e.fillIfHeld("child", 3)
			tok := e.claim("acme", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Deleted: store.Counts{Users: 4}})
			e.postpone(tok, due10, time.Time{})
			at := due10.Add(day)
			got := e.update("acme", at, store.Retry())
			if got.Status != store.StatusPurging || got.Purge.Attempts != 0 || !got.Purge.NextAttempt.Equal(at) {
				e.t.Errorf("after Retry: %s, %+v", got.Status, got.Purge)
			}
			e.wantResumable(at.Add(-time.Millisecond))
			e.wantResumable(at, "acme")
			e.wantFencedAfterRetry(tok, at)
			r := e.finish(e.resume("acme", at).Token, at)
			counts.Users, counts.SubTenants = counts.Users+4, 1
			e.equal(counts, r.Deleted, "deleted over both attempts")
		}},
		{"RetryEndsAWait", func(e *env) {
			e.disabled("acme", "")
			e.postpone(e.claim("acme", due10).Token, due10, due10.Add(6*time.Hour))
			e.update("acme", due10.Add(time.Minute), store.Retry())
			e.wantResumable(due10.Add(time.Minute), "acme")
			e.resume("acme", due10.Add(time.Minute))
		}},
		{"RetryIsRefusedForOthers", func(e *env) {
			e.create("active", "")
			e.disabled("disabled", "")
			e.createAll("top", "child<top")
			e.deactivate("top", t0, 10)
			e.postpone(e.claim("top", due10).Token, due10, time.Time{})
			e.changesNothing("a refused retry", func() {
				for _, id := range []string{"active", "disabled", "child"} {
					_, err := e.tryUpdate(id, due10, store.Retry())
					e.wantCode(err, store.Precondition, "Retry of "+id)
				}
			})
		}},
		{"ANextAttemptInTheFarthestFuture", func(e *env) {
			e.disabled("acme", "")
			for _, next := range []time.Time{time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
				tok := e.beginOrResume("acme", due10).Token
				// Kept or refused, the tenant must be there to be retried.
				_, err := e.s.Postpone(e.ctx(), tok, store.Failure{At: due10, Err: errDown, Next: next})
				e.reopen()
				if p := e.tenant("acme").Purge; err == nil && !p.NextAttempt.Equal(next) {
					e.t.Errorf("postponed to %v; kept is %+v", next, p)
				}
				e.snapshot()
				e.update("acme", due10, store.Retry())
				e.wantResumable(due10, "acme")
			}
		}},
		{"AnErrorOfAnyTextIsKept", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			hostile := errors.New("line\nbreak \x00 \xff " + strings.Repeat("x", 100_000))
			if _, err := e.s.Postpone(e.ctx(), tok, store.Failure{At: due10, Err: hostile, Next: due10}); err != nil {
				e.t.Fatalf("Postpone with a hostile error text: %v", err)
			}
			e.reopen()
			if got := e.tenant("acme").Purge.LastError; !strings.Contains(got, "line") {
				e.t.Errorf("the kept error is %.100q", got)
			}
			e.finish(e.resume("acme", due10).Token, due10)
		}},
	}
}

// beginOrResume claims a disabled tenant and resumes a purging one.
func (e *env) beginOrResume(id string, at time.Time) store.Claim {
	e.t.Helper()
	if e.tenant(id).Status == store.StatusDisabled {
		return e.claim(id, at)
	}
	return e.resume(id, at)
}

// wantFencedAfterRetry resumes and yields, so that the token of before the
// failure is certainly not the newest, and tries it.
func (e *env) wantFencedAfterRetry(old store.Token, at time.Time) {
	e.t.Helper()
	tok := e.resume(old.TenantID, at).Token
	e.wantFenced(old, at)
	if err := e.s.Yield(e.ctx(), tok, at); err != nil {
		e.t.Fatalf("Yield: %v", err)
	}
}
