package storetest

import (
	"time"

	"github.com/tenantpurge/purger/store"
)

// unaccountedCases have what was counted and what was removed on record, for the
// engine to compare (G6).
func unaccountedCases() []testCase {
	users := func(n int64) store.Counts { return store.Counts{Users: n} }
	counted := func(n int64) *store.Counts { c := users(n); return &c }
	return []testCase{
		{"CountedIsTheMostThatWasKnown_G6", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			for _, a := range []store.Advance{
				{Target: "scim", Planned: users(7), Counted: counted(7)},
				{Target: "scim", Deleted: users(3), Gone: users(1)},
				{Target: "scim", Counted: counted(2)},
				{Target: "ldap", Counted: counted(0)},
				{Target: "ldap", Deleted: users(2), Gone: users(1)},
				{Target: "ldap", Counted: counted(4)},
				{Target: "ldap", Gone: users(1)},
			} {
				a.At, a.Lease = due10, lease
				e.record(tok, a)
			}
			e.reopen()
			p := e.tenant("acme").Purge
			e.equal(map[string]store.Counts{"scim": users(7), "ldap": users(6)}, p.Counted, "counted")
			e.equal(map[string]store.Counts{"scim": users(1), "ldap": users(2)}, p.Gone, "gone")
			e.equal(users(7), p.Planned, "planned")
		}},
		{"IsOnTheReceiptAndMakesItInexact_G5", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			for _, n := range []int64{9, -4} {
				e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim",
					Unaccounted: &store.Unaccounted{At: store.Timestamp{Time: due10.Add(time.Microsecond)}, Counts: users(n)}})
			}
			e.reopen()
			at := store.Timestamp{Time: due10}
			e.equal(map[string]store.Unaccounted{"scim": {At: at, Counts: users(-4)}}, e.tenant("acme").Purge.Unaccounted, "on record")
			e.postpone(tok, due10, due10.Add(lease))
			tok = e.resume("acme", due10.Add(2*lease)).Token
			want := map[string]store.Counts{"scim": users(5)}
			r, err := e.s.Finish(e.ctx(), tok, store.Verification{At: due10.Add(2 * lease), Unaccounted: want})
			if err != nil || r.CountsExact {
				e.t.Errorf("Finish = exact: %t, %v", r.CountsExact, err)
			}
			e.equal(want, r.Unaccounted, "of the receipt")
			kept, err := e.s.Receipt(e.ctx(), "acme")
			if err != nil {
				e.t.Fatal(err)
			}
			e.equal(r, kept, "the receipt on record")
		}},
		{"IsNothingUnlessItIsToldAtTheEnd_G5", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim", Unaccounted: &store.Unaccounted{Counts: users(9)}})
			if r := e.finish(tok, due10); !r.CountsExact || r.Unaccounted != nil {
				e.t.Errorf("exact: %t, unaccounted for %v", r.CountsExact, r.Unaccounted)
			}
		}},
		{"WhatADescendantsPurgeHadCountedIsExpectedStill_G6", func(e *env) {
			e.createAll("top", "child<top")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			tok := e.claim("child", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim", Counted: counted(10)})
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim", Deleted: users(4), Gone: users(1)})
			e.postpone(tok, due10, time.Time{})
			tok = e.claim("top", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim", Counted: counted(0)})
			p := e.tenant("top").Purge
			e.equal(map[string]store.Counts{"scim": users(10)}, p.Counted, "counted, after a count of nothing")
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim", Counted: counted(9)})
			p = e.tenant("top").Purge
			e.equal(map[string]store.Counts{"scim": users(13)}, p.Counted, "counted, after one of more")
			e.equal(map[string]store.Counts{"scim": users(1)}, p.Gone, "gone")
		}},
	}
}
