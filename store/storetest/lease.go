package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func leaseCases() []testCase {
	return []testCase{
		{"NobodyElseWhileItLasts_G12", func(e *env) {
			e.disabled("acme", "")
			c := e.claim("acme", due10)
			end := due10.Add(lease)
			e.changesNothing("a refused resumption", func() {
				for _, at := range []time.Time{due10, end.Add(-time.Millisecond)} {
					_, err := e.tryResume("acme", at, owner("owner-2"))
					e.wantCode(err, store.Conflict, fmt.Sprintf("Resume %v after the claim", at.Sub(due10)))
				}
			})
			e.wantResumable(end.Add(-time.Millisecond))
			e.wantResumable(end, "acme")
			r := e.resume("acme", end, owner("owner-2"))
			if !r.Resumed {
				e.t.Error("the claim does not say that an earlier owner was in the midst of work")
			}
			if r.Token.TenantID != "acme" || r.Token.Fence <= c.Token.Fence {
				e.t.Errorf("token %+v after %+v; want a higher fence", r.Token, c.Token)
			}
			if p := r.Tenant.Purge; p == nil || p.Owner != "owner-2" || p.Fence != r.Token.Fence || !p.LeaseEnd.Equal(end.Add(lease)) || p.PurgeID != c.Tenant.Purge.PurgeID {
				e.t.Errorf("progress %+v", p)
			}
			e.equal(c.Tenants, r.Tenants, "the subtree")
			e.equal(r.Tenant, e.tenant("acme"), "the record as read again")
		}},
		{"AnOldTokenIsRefusedEverywhere_G12", func(e *env) {
			e.createAll("acme", "child<acme")
			e.deactivate("acme", t0, 10)
			e.fillIfHeld("acme", 2)
			first := e.claim("acme", due10).Token
			second := e.resume("acme", due10.Add(lease), owner("owner-2")).Token
			e.wantFenced(first, due10.Add(lease))
			e.record(second, store.Advance{At: due10.Add(lease), Lease: lease})
			third := e.resume("acme", due10.Add(2*lease)).Token
			e.wantFenced(first, due10.Add(2*lease))
			e.wantFenced(second, due10.Add(2*lease))
			e.wantFenced(store.Token{TenantID: "acme", Fence: third.Fence + 1}, due10.Add(2*lease))
			e.wantFenced(store.Token{TenantID: "acme"}, due10.Add(2*lease))
			e.wantFenced(store.Token{TenantID: "child", Fence: third.Fence}, due10.Add(2*lease))
			e.finish(third, due10.Add(2*lease))
			// After the purge the token is as void as the tenant is gone.
			if err := e.s.Record(e.ctx(), third, store.Advance{At: due10, Lease: lease}); err == nil {
				e.t.Error("a token was taken after Finish")
			}
			if _, err := e.s.Finish(e.ctx(), third, store.Verification{At: due10}); err == nil {
				e.t.Error("Finish was taken twice")
			}
		}},
		{"ATokenOfNoClaimIsRefused_G12", func(e *env) {
			e.create("active", "")
			e.disabled("disabled", "")
			for _, id := range []string{"active", "disabled"} {
				e.wantFenced(store.Token{TenantID: id, Fence: 1}, due10)
				e.wantFenced(store.Token{TenantID: id}, due10)
			}
		}},
		{"TheNewestTokenOutlivesItsLease_G12", func(e *env) {
			// Nobody took over, so nobody else can have written.
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			late := due10.Add(100 * lease)
			e.record(tok, store.Advance{At: late, Lease: lease})
			_, err := e.tryResume("acme", late)
			e.wantCode(err, store.Conflict, "Resume after a late sign of life")
			e.finish(tok, late)
		}},
		{"ASignOfLifeMakesItLonger", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			e.record(tok, store.Advance{At: due10.Add(time.Minute), Lease: 2 * lease})
			end := due10.Add(time.Minute + 2*lease)
			_, err := e.tryResume("acme", end.Add(-time.Millisecond))
			e.wantCode(err, store.Conflict, "Resume 1 ms before the end")
			e.wantResumable(end, "acme")
			if p := e.tenant("acme").Purge; p.Deleted != (store.Counts{}) || p.Planned != (store.Counts{}) || len(p.Targets) != 0 {
				e.t.Errorf("a mere sign of life was counted: %+v", p)
			}
			if _, err := e.s.Erase(e.ctx(), tok, end, lease); err != nil {
				e.t.Fatalf("Erase: %v", err)
			}
			_, err = e.tryResume("acme", end.Add(lease-time.Millisecond))
			e.wantCode(err, store.Conflict, "Resume during the lease of Erase")
		}},
		{"OfAnOwnerWhoClosedTheStoreEnds_G5", func(e *env) {
			e.disabled("acme", "")
			c := e.claim("acme", due10, func(r *store.ClaimRequest) { r.Lease = 1000 * time.Hour })
			e.reopen()
			e.wantResumable(due10.Add(time.Millisecond), "acme")
			r := e.resume("acme", due10.Add(time.Millisecond), owner("owner-2"))
			if !r.Resumed {
				e.t.Error("the claim does not say that an earlier owner was in the midst of work")
			}
			e.wantFenced(c.Token, due10.Add(time.Millisecond))
		}},
	}
}

// wantFenced fails the case unless everything that a token allows is refused
// with Conflict and changes nothing.
func (e *env) wantFenced(tok store.Token, at time.Time) {
	e.t.Helper()
	e.changesNothing(fmt.Sprintf("the void token %+v", tok), func() {
		e.t.Helper()
		err := e.s.Record(e.ctx(), tok, store.Advance{At: at, Lease: lease, Target: "ldap", Deleted: store.Counts{Users: 1}})
		e.wantCode(err, store.Conflict, "Record with a void token")
		_, err = e.s.Erase(e.ctx(), tok, at, lease)
		e.wantCode(err, store.Conflict, "Erase with a void token")
		_, err = e.s.Finish(e.ctx(), tok, store.Verification{At: at})
		e.wantCode(err, store.Conflict, "Finish with a void token")
		_, err = e.s.Postpone(e.ctx(), tok, store.Failure{At: at, Err: errors.New("x"), Next: at})
		e.wantCode(err, store.Conflict, "Postpone with a void token")
		e.wantCode(e.s.Yield(e.ctx(), tok, at), store.Conflict, "Yield with a void token")
		e.wantCode(e.s.Await(e.ctx(), tok, store.Wait{At: at, Until: at}), store.Conflict, "Await with a void token")
	})
}

// resumable reads every candidate at now, in pages of the given size.
func (e *env) resumable(now time.Time, limit int) []store.Candidate {
	e.t.Helper()
	return e.candidates(limit, func(after store.Cursor) ([]store.Candidate, error) {
		return e.s.Resumable(e.ctx(), now, after, limit)
	})
}

// wantResumable fails the case unless exactly these can be resumed at now.
func (e *env) wantResumable(now time.Time, want ...string) {
	e.t.Helper()
	e.equal(want, idsOf(e.resumable(now, 100)), fmt.Sprintf("resumable at %s", store.FormatTime(now)))
}
