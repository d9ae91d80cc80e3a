package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func awaitCases() []testCase {
	window := func(target string) store.Awaited { return store.Awaited{Target: target, Reason: "window"} }
	breaker := func(target string) store.Awaited { return store.Awaited{Target: target, Reason: "breaker"} }
	in := func(hours int) time.Time { return due10.Add(time.Duration(hours) * time.Hour) }
	return []testCase{
		{"CountsNoAttemptAndKeepsWhatIsWaitedFor_G11", func(e *env) {
			e.disabled("acme", "")
			list := []store.Awaited{window("ldap"), breaker("scim")}
			e.await(e.claim("acme", due10).Token, in(5), list...)
			for range 2 {
				p := e.tenant("acme").Purge
				e.equal(list, p.Awaits, "what is waited for")
				if p.Attempts != 0 || !p.LeaseEnd.IsZero() || !p.NextAttempt.Equal(in(5)) {
					e.t.Errorf("on record is %+v", p)
				}
				e.reopen()
			}
			e.wantResumable(in(5).Add(-time.Millisecond))
			e.wantResumable(in(5), "acme")
			tok := e.resume("acme", in(5)).Token
			e.equal([]store.Awaited(nil), e.tenant("acme").Purge.Awaits, "what a resumed one waits for")
			e.await(tok, in(6), list...)
			tok = e.resume("acme", in(6)).Token
			if _, err := e.s.Postpone(e.ctx(), tok, store.Failure{At: in(6), Err: errDown, Next: in(8), Awaits: list[:1]}); err != nil {
				e.t.Fatal(err)
			}
			e.equal(list[:1], e.tenant("acme").Purge.Awaits, "what a failed one waits for")
			tok = e.resume("acme", in(8)).Token
			e.postpone(tok, in(8), in(9))
			e.equal([]store.Awaited(nil), e.tenant("acme").Purge.Awaits, "what one waits for that has its backoff")
		}},
		{"ForgetsNothingThatExpiresOnlyLater", func(e *env) {
			e.disabled("acme", "")
			e.disabled("other", "")
			waits := e.request(deletion("other"))
			e.await(e.claim("acme", due10).Token, farFuture, window("ldap"))
			e.wantApprovals(due10, waits)
		}},
		{"HastenBringsForwardWhatWaitsForIt_G11", func(e *env) {
			for id, list := range map[string][]store.Awaited{
				"window": {window("ldap")}, "both": {breaker("scim"), window("ldap")}, "breaker": {breaker("ldap")}, "other": {window("scim")}, "asked": nil,
			} {
				e.disabled(id, "")
				e.await(e.claim(id, due10).Token, in(10), list...)
			}
			e.disabled("backoff", "")
			e.postpone(e.claim("backoff", due10).Token, due10, in(10))
			e.disabled("failed", "")
			e.postpone(e.claim("failed", due10).Token, due10, time.Time{})
			e.disabled("working", "")
			e.await(e.claim("working", due10).Token, due10, window("ldap"))
			e.resume("working", due10)
			e.disabled("sooner", "")
			e.await(e.claim("sooner", due10).Token, in(1), window("ldap"))

			e.wantHastened(in(0), 0, nil)
			e.wantHastened(in(0), 0, map[store.Awaited]time.Time{window("ldap"): in(11), window("gone"): in(0)})
			e.wantHastened(in(0), 2, map[store.Awaited]time.Time{window("ldap"): in(2)})
			e.wantHastened(in(0), 0, map[store.Awaited]time.Time{window("ldap"): in(2)})
			e.wantResumable(in(2).Add(-time.Millisecond), "working", "sooner")
			e.wantResumable(in(2), "working", "sooner", "both", "window")
			e.wantHastened(in(0), 1, map[store.Awaited]time.Time{breaker("scim"): in(0).Add(time.Millisecond - 1), window("ldap"): in(2)})
			e.wantResumable(in(0), "both")
			e.reopen()
			e.wantResumable(in(2), "both", "working", "sooner", "window")
			if p := e.tenant("both").Purge; p.Attempts != 0 || len(p.Awaits) != 2 {
				e.t.Errorf("on record is %+v", p)
			}
		}},
		{"HastenBringsForwardManyInSteps", func(e *env) {
			const n = 600
			e.trees(n, 1)
			for i := range n {
				e.await(e.claim(fmt.Sprintf("t%d", i), due10).Token, in(10), window("ldap"))
			}
			e.wantHastened(in(1), n, map[store.Awaited]time.Time{window("ldap"): in(1)})
			list, err := e.s.Resumable(e.ctx(), in(1), store.Cursor{}, n+1)
			if err != nil || len(list) != n {
				e.t.Errorf("%d are resumable, %v", len(list), err)
			}
		}},
	}
}

// await leaves a claim until an instant.
func (e *env) await(tok store.Token, until time.Time, list ...store.Awaited) {
	e.t.Helper()
	if err := e.s.Await(e.ctx(), tok, store.Wait{At: due10, Until: until, For: list}); err != nil {
		e.t.Fatalf("Await: %v", err)
	}
}

func (e *env) wantHastened(now time.Time, want int64, next map[store.Awaited]time.Time) {
	e.t.Helper()
	if n, err := e.s.Hasten(e.ctx(), now, next); err != nil || n != want {
		e.t.Errorf("Hasten(%v) = %d, %v; want %d", next, n, err, want)
	}
}
