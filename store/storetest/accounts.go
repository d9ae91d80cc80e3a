package storetest

import (
	"slices"
	"time"

	"github.com/tenantpurge/purger/store"
)

func accountCases() []testCase {
	users := func(n int64) store.Counts { return store.Counts{Users: n} }
	// inexact purges acme from targets, some with an account, of which an answer
	// was lost.
	inexact := func(e *env, accounts map[string]bool, settled ...string) store.Receipt {
		e.disabled("acme", "")
		tok := e.claim("acme", due10).Token
		for name, account := range accounts {
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: name, Planned: users(3), Account: account})
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: name, Deleted: users(2), Inexact: true})
		}
		e.reopen()
		tok = e.resume("acme", due10.Add(2*lease)).Token
		e.record(tok, store.Advance{At: due10.Add(2 * lease), Lease: lease})
		for name, account := range accounts {
			if p := e.tenant("acme").Purge; p.HasAccount(name) != account || !p.CountsInexact {
				e.t.Errorf("%s has an account: %t, %+v", name, !account, p)
			}
			e.record(tok, store.Advance{At: due10.Add(2 * lease), Lease: lease, Target: name, Deleted: users(1)})
		}
		r, err := e.s.Finish(e.ctx(), tok, store.Verification{At: due10.Add(2 * lease), Settled: settled})
		if err != nil {
			e.t.Fatalf("Finish: %v", err)
		}
		for name := range accounts {
			e.equal(users(3), r.Targets[name], name)
		}
		return r
	}
	want := func(exact bool, accounts map[string]bool, settled ...string) func(*env) {
		return func(e *env) {
			if r := inexact(e, accounts, settled...); r.CountsExact != exact {
				e.t.Errorf("the counts are exact: %t, want %t", r.CountsExact, exact)
			}
		}
	}
	both := map[string]bool{"ldap": true, "scim": true}
	return []testCase{
		{"OfAllTargetsMakeCountsExact_G5", want(true, both, "ldap", "scim")},
		{"ThatWereNotComparedDoNot_G5", want(false, both, "ldap")},
		{"OfSomeTargetsDoNot_G5", want(false, map[string]bool{"ldap": true, "scim": false}, "ldap", "scim")},
		{"OfNoTargetDoNot_G5", want(false, nil, "ldap")},
		{"DoNotSettleWhatADescendantHadRemoved_G5", func(e *env) {
			e.createAll("top", "child<top")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			tok := e.claim("child", due10).Token
			e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Deleted: users(1), Account: true, Inexact: true})
			e.postpone(tok, due10, time.Time{})
			tok = e.claim("top", due10).Token
			if p := e.tenant("top").Purge; len(p.Accounts) != 0 {
				e.t.Errorf("the claim has the accounts %q of another purge", p.Accounts)
			}
			r, err := e.s.Finish(e.ctx(), tok, store.Verification{At: due10, Settled: []string{"ldap"}})
			if err != nil || r.CountsExact {
				e.t.Errorf("Finish = exact: %t, %v", r.CountsExact, err)
			}
		}},
		{"LeaveTheOthersALowerBound_G5", func(e *env) {
			r := inexact(e, map[string]bool{"ldap": true, "scim": false}, "ldap", "scim")
			e.equal([]store.LowerBound{{Target: "scim"}}, r.LowerBounds, "lower bounds")
			kept, err := e.s.Receipt(e.ctx(), "acme")
			if err != nil {
				e.t.Fatal(err)
			}
			e.equal(r, kept, "the receipt on record")
		}},
		{"ALostAnswerIsALowerBoundOfItsTargetAndKind_G5", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			lost := []store.LowerBound{{Target: "scim", Kind: store.KindUser}}
			for _, name := range []string{"scim", "ldap", "scim"} {
				e.record(tok, store.Advance{At: due10, Lease: lease, Target: name, LowerBounds: lost})
				lost = append(lost[:1:1], store.LowerBound{Target: "scim", Kind: store.KindAPIKey})
			}
			r := e.finish(tok, due10)
			e.equal([]store.LowerBound{{Target: "scim", Kind: store.KindAPIKey}, {Target: "scim", Kind: store.KindUser}}, r.LowerBounds, "lower bounds")
			if r.CountsExact {
				e.t.Error("the counts are exact")
			}
		}},
		{"AVanishedOwnerLeavesALowerBoundOfWhatWasCounted_G5", func(e *env) {
			holds := func(r *store.ClaimRequest) {
				r.Holds = map[string][]store.Kind{"ldap": {store.KindUser}, "scim": {store.KindAPIKey, store.KindUser}}
			}
			scim := []store.LowerBound{{Target: "scim", Kind: store.KindAPIKey}, {Target: "scim", Kind: store.KindUser}}
			for id, want := range map[string][]store.LowerBound{
				"counted": scim, "none-was": append([]store.LowerBound{{Target: "ldap", Kind: store.KindUser}}, scim...),
			} {
				e.disabled(id, "")
				tok := e.claim(id, due10, holds).Token
				if id == "counted" {
					e.record(tok, store.Advance{At: due10, Lease: lease, Target: "scim"})
				}
				tok = e.resume(id, due10.Add(2*lease), holds).Token
				e.equal(want, e.tenant(id).Purge.LowerBounds, id)
				e.equal(want, e.finish(tok, due10.Add(2*lease)).LowerBounds, id)
			}
		}},
		{"AVanishedOwnerOfADescendantIsInDoubtWithIt_G5", func(e *env) {
			e.createAll("top", "child<top")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			e.record(e.claim("child", due10).Token, store.Advance{At: due10, Lease: lease, Target: "scim"})
			tok := e.claim("top", due10.Add(2*lease)).Token
			e.record(tok, store.Advance{At: due10.Add(2 * lease), Lease: lease, Target: "ldap"})
			e.equal([]store.LowerBound{{Target: "scim"}}, e.finish(tok, due10.Add(2*lease)).LowerBounds, "lower bounds")
		}},
		{"AClaimKnowsWhatEveryOwnersTargetsHeld_G6", func(e *env) {
			holds := func(of map[string][]store.Kind) func(*store.ClaimRequest) {
				return func(r *store.ClaimRequest) { r.Holds = of }
			}
			e.createAll("top", "child<top")
			e.deactivate("child", t0, 10)
			e.deactivate("top", t0, 10)
			e.claim("child", due10, holds(map[string][]store.Kind{"ldap": {store.KindUser}, "none": nil}))
			e.claim("top", due10.Add(2*lease), holds(map[string][]store.Kind{"scim": {store.KindUser}}))
			e.resume("top", due10.Add(4*lease), holds(map[string][]store.Kind{"scim": {store.KindUser, store.KindAPIKey}, "crm": {store.KindCredential}}))
			e.equal(map[string][]store.Kind{
				"ldap": {store.KindUser}, "scim": {store.KindAPIKey, store.KindUser}, "crm": {store.KindCredential},
			}, e.tenant("top").Purge.Holds, "what was held")
		}},
		{"AClaimIsNotFinishedInlineThatTargetsOfADescendantHeld_G6", func(e *env) {
			for name, of := range map[string]func(store.Token){
				"held": func(store.Token) {},
				"took": func(tok store.Token) {
					e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Deleted: users(1)})
				},
			} {
				e.createAll(name, name+"-child<"+name)
				e.deactivate(name+"-child", t0, 10)
				e.deactivate(name, t0, 10)
				of(e.claim(name+"-child", due10, func(r *store.ClaimRequest) {
					if name == "held" {
						r.Holds = map[string][]store.Kind{"ldap": {store.KindUser}}
					}
				}).Token)
				c := e.claim(name, due10.Add(2*lease), func(r *store.ClaimRequest) { r.Inline = true })
				if c.Receipt != nil {
					e.t.Errorf("%s: it was finished, and nobody had counted ldap", name)
				}
			}
		}},
		{"AreNamedOnce", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			for _, name := range []string{"ldap", "ldap", "scim"} {
				e.record(tok, store.Advance{At: due10, Lease: lease, Target: name, Account: true})
			}
			if got := e.tenant("acme").Purge.Accounts; !slices.Equal(got, []string{"ldap", "scim"}) {
				e.t.Errorf("accounts %q", got)
			}
		}},
	}
}
