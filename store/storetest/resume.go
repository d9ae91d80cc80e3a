package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func resumeCases() []testCase {
	return []testCase{
		{"FromTheNextAttemptOn_G11", func(e *env) {
			e.disabled("acme", "")
			next := due10.Add(time.Hour)
			c := e.claim("acme", due10)
			e.postpone(c.Token, due10, next)
			early := next.Add(-time.Millisecond)
			e.wantResumable(early)
			e.changesNothing("a refused resumption", func() {
				_, err := e.tryResume("acme", early)
				e.wantCode(err, store.Precondition, "Resume 1 ms before the next attempt")
			})
			e.wantResumable(next, "acme")
			head := e.head()
			r := e.resume("acme", next)
			if r.Token.Fence <= c.Token.Fence {
				e.t.Errorf("fence %d after %d; want a higher one", r.Token.Fence, c.Token.Fence)
			}
			e.wantResumable(next)
			entries := e.entries(head)
			if len(entries) != 1 || entries[0].Action != store.ActionResume || entries[0].TenantID != "acme" || entries[0].Actor != "system" {
				e.t.Errorf("Resume wrote %+v; want one resume entry (G8)", entries)
			}
		}},
		{"OnlyOfATenantThatIsPurging", func(e *env) {
			e.create("active", "")
			e.disabled("disabled", "")
			e.disabled("failed", "")
			e.postpone(e.claim("failed", due10).Token, due10, time.Time{})
			e.changesNothing("a refused resumption", func() {
				for _, id := range []string{"active", "disabled", "failed"} {
					for _, edits := range [][]func(*store.ClaimRequest){nil, {immediate}} {
						_, err := e.tryResume(id, farFuture, edits...)
						e.wantCode(err, store.Precondition, "Resume of a tenant that is "+id)
					}
				}
			})
		}},
		{"NotOfADescendant_G12", func(e *env) {
			e.createAll("top", "child<top")
			e.deactivate("top", t0, 10)
			e.claim("top", due10)
			e.changesNothing("a refused resumption", func() {
				_, err := e.tryResume("child", farFuture)
				if code := store.CodeOf(err); code != store.Precondition && code != store.Conflict {
					e.t.Errorf("Resume of a descendant of the claimed tenant: %v; want it refused", err)
				}
			})
		}},
		{"ListsInTheOrderOfNextAttemptThenID", func(e *env) {
			var want []string
			for i := range 5 {
				for _, id := range []string{"a", "b"} {
					want = append(want, fmt.Sprintf("t%d-%s", i, id))
				}
			}
			for i := len(want) - 1; i >= 0; i-- { // claimed in another order
				id := want[i]
				e.disabled(id, "")
				e.postpone(e.claim(id, due10).Token, due10, due10.Add(time.Duration(i/2)*time.Minute))
			}
			for _, limit := range []int{1, 2, 3, 10, 20} {
				got := e.resumable(farFuture, limit)
				e.equal(want, idsOf(got), fmt.Sprintf("in pages of %d", limit))
				for i, c := range got {
					if next := due10.Add(time.Duration(i/2) * time.Minute); !c.At.Equal(next) {
						e.t.Errorf("candidate %q at %v; want its next attempt, %v", c.ID, c.At, next)
					}
				}
			}
			e.wantResumable(due10.Add(time.Minute), want[:4]...)
			e.wantResumable(due10.Add(time.Minute-time.Millisecond), want[:2]...)
			e.reopen()
			e.wantResumable(farFuture, want...)
		}},
		{"ListsNeitherTheFailedNorTheWorkedOnNorTheFinished", func(e *env) {
			for _, id := range []string{"failed", "worked-on", "finished", "idle"} {
				e.disabled(id, "")
				tok := e.claim(id, due10).Token
				switch id {
				case "failed":
					e.postpone(tok, due10, time.Time{})
				case "finished":
					e.finish(tok, due10)
				case "idle":
					e.postpone(tok, due10, due10)
				}
			}
			e.disabled("disabled", "")
			e.wantResumable(due10, "idle")
			e.wantResumable(due10.Add(lease), "idle", "worked-on")
		}},
		{"GoesOnWhereItWasAndCountsExactly_G5", resumeGoesOn},
		{"AfterEveryStepOfATargetToo_G5", resumeTargets},
		{"IsNotBoundedByDateOrLimits", func(e *env) {
			// What was claimed is finished: the limits counted it then.
			e.trees(2, 1)
			e.postpone(e.claim("t0", due10).Token, due10, due10)
			e.finish(e.resume("t0", due10, limits(store.Limits{PerDay: 1}), quota(store.NewQuota(1))).Token, due10)
			if got := e.stats(due10).ClaimedLastDay; got != 1 {
				e.t.Errorf("claimed in the last day: %d; want 1, a resumption is not a claim", got)
			}
		}},
	}
}

// resumeGoesOn restarts the store after every step of a cascade in the store
// alone, without a word to it: the counts stay exact.
func resumeGoesOn(e *env) {
	e.createAll("top", "child<top")
	counts := e.fillIfHeld("top", 700).Plus(e.fillIfHeld("child", 300))
	counts.SubTenants = 1
	e.deactivate("top", t0, 10)
	e.claim("top", due10)
	at := due10
	for step := range 50 {
		e.reopen()
		at = at.Add(time.Minute)
		c := e.resume("top", at, inline)
		got, err := e.s.Erase(e.ctx(), c.Token, at, lease)
		if err != nil {
			e.t.Fatalf("Erase in step %d: %v", step, err)
		}
		if got.More || step < 2 {
			continue
		}
		r, err := e.s.Finish(e.ctx(), c.Token, store.Verification{At: at})
		if err != nil {
			e.t.Fatalf("Finish: %v", err)
		}
		e.equal(counts, r.Deleted, "deleted")
		e.equal(counts, r.Planned, "planned")
		if !r.CountsExact {
			e.t.Error("the counts are not exact; nothing was lost")
		}
		return
	}
	e.t.Fatal("Erase never ends")
}

// resumeTargets restarts the store after every report of a target, each owner
// having given up its lease in good order.
func resumeTargets(e *env) {
	e.disabled("acme", "")
	counts := e.fillIfHeld("acme", 2)
	e.claim("acme", due10)
	tok := store.Token{TenantID: "acme", Fence: e.tenant("acme").Purge.Fence}
	const rounds = 4
	for range rounds {
		e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Planned: store.Counts{Users: 3}, Deleted: store.Counts{Users: 3}})
		if err := e.s.Yield(e.ctx(), tok, due10); err != nil {
			e.t.Fatalf("Yield: %v", err)
		}
		e.reopen()
		tok = e.resume("acme", due10).Token
	}
	r := e.finish(tok, due10)
	counts.Users += 3 * rounds
	e.equal(counts, r.Deleted, "deleted")
	e.equal(counts, r.Planned, "planned")
	e.equal(map[string]store.Counts{"ldap": {Users: 3 * rounds}}, r.Targets, "by target")
	if !r.CountsExact {
		e.t.Error("the counts are not exact; every owner had reported what it did")
	}
}
