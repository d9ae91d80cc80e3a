package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func surveyCases() []testCase {
	return []testCase{
		{"SaysOfEachWhatClaimWould", surveyAgrees},
		{"LooksBelowATenantThatIsNotTheRoot", func(e *env) {
			e.createAll("root", "top<root", "a<top", "b<a", "beside<root")
			for _, id := range []string{"top", "a", "b", "beside"} {
				e.deactivate(id, t0, 10)
			}
			e.update("b", t0, store.SetHold("litigation", time.Time{}))
			e.update("beside", t0, store.SetHold("litigation", time.Time{}))
			b := store.Block{Reason: store.BlockHold, By: "b"}
			e.equal(map[string]store.Block{"a": b, "b": b}, e.survey("top", request(due10)), "below top")
			e.equal(map[string]store.Block{}, e.survey("b", request(due10)), "below the deepest")
			e.changesNothing("Survey", func() { e.survey("root", request(due10)) })
		}},
		{"OfWhatIsNotKept", func(e *env) {
			_, err := e.s.Survey(e.ctx(), "never", request(due10))
			e.wantCode(err, store.NotFound, "Survey of an id that was never used")
			e.disabled("acme", "")
			e.purge("acme", due10, inline)
			_, err = e.s.Survey(e.ctx(), "acme", request(due10))
			e.wantCode(err, store.Gone, "Survey of a purged tenant")
		}},
		{"AKnownBlockRefusesAndIsKept_G8", func(e *env) {
			e.createAll("top", "child<top")
			e.deactivate("top", t0, 10)
			e.update("child", t0, store.SetHold("litigation", time.Time{}))
			known := store.Block{Reason: store.BlockHold, By: "child"}
			head := e.head()
			for range 2 { // the second time it is on record
				_, err := e.tryClaim("top", due10, knowing(known))
				var blocked *store.BlockedError
				if !errors.As(err, &blocked) || blocked.TenantID != "top" || blocked.Block != known {
					e.t.Fatalf("Claim: %v; want it refused by %+v", err, known)
				}
			}
			if got := e.tenant("top"); got.Block == nil || *got.Block != known {
				e.t.Errorf("block on record: %+v; want %+v", got.Block, known)
			}
			if entries := e.entries(head); len(entries) != 1 || entries[0].Action != store.ActionBlock || entries[0].TenantID != "top" {
				e.t.Errorf("audit entries %+v; want one about the block", entries)
			}
			if a := e.assess("top", due10, knowing(known)); !sameRefusal(a.Refusal, &store.BlockedError{TenantID: "top", Block: known}) {
				e.t.Errorf("Assess: %v", a.Refusal)
			}
		}},
		{"AKnownBlockNeverClaims_G1", func(e *env) {
			// Whatever it says, the most that it can do is refuse.
			e.disabled("free", "")
			e.changesNothingBut("free", func() {
				_, err := e.tryClaim("free", due10, knowing(store.Block{Reason: store.BlockLaterDate, By: "free"}), immediate, inline)
				e.wantCode(err, store.Precondition, "Claim with a known block")
			})
			e.purge("free", due10)
		}},
		{"AKnownBlockComesAfterWhatIsLookedAtFirst", func(e *env) {
			known := knowing(store.Block{Reason: store.BlockHold, By: "x"})
			e.create("active", "")
			e.disabled("early", "")
			e.changesNothing("a refused claim", func() {
				var blocked *store.BlockedError
				for what, try := range map[string]func() error{
					"an active tenant":   func() error { _, err := e.tryClaim("active", due10, known); return err },
					"before its date":    func() error { _, err := e.tryClaim("early", due10.Add(-time.Millisecond), known); return err },
					"of a stale version": func() error { _, err := e.tryClaim("early", due10, known, version(99)); return err },
				} {
					if err := try(); err == nil || errors.As(err, &blocked) {
						e.t.Errorf("Claim %s: %v; want it refused for that", what, err)
					}
				}
			})
			e.changeGates(due10, store.PausePurging("freeze", time.Time{}))
			_, err := e.tryClaim("early", due10, known)
			var gate *store.GateError
			if !errors.As(err, &gate) {
				e.t.Errorf("Claim under a pause: %v; want the gate", err)
			}
		}},
		{"OpenGatesAreForAssessAlone_G9", func(e *env) {
			e.disabled("acme", "")
			e.changeGates(due10, store.PausePurging("freeze", time.Time{}))
			open := func(r *store.ClaimRequest) { r.OpenGates = true }
			var gate *store.GateError
			if a := e.assess("acme", due10); !errors.As(a.Refusal, &gate) {
				e.t.Errorf("Assess under a pause: %v", a.Refusal)
			}
			if a := e.assess("acme", due10, open); a.Refusal != nil || a.Tenants != 1 {
				e.t.Errorf("Assess as if it were open: %+v", a)
			}
			e.changesNothing("Claim under a pause", func() {
				if _, err := e.tryClaim("acme", due10, open); !errors.As(err, &gate) {
					e.t.Errorf("Claim under a pause: %v; want the gate", err)
				}
			})
		}},
	}
}

// knowing makes a request know a block.
func knowing(b store.Block) func(*store.ClaimRequest) {
	return func(r *store.ClaimRequest) { r.Known = &b }
}

// changesNothingBut runs f and fails the case when the store is not the same
// afterwards but for the block of one tenant.
func (e *env) changesNothingBut(id string, f func()) {
	e.t.Helper()
	before := e.tenant(id)
	f()
	after := e.tenant(id)
	before.Block, after.Block = nil, nil
	e.equal(before, after, "the record of "+id)
}

func (e *env) survey(id string, req store.ClaimRequest) map[string]store.Block {
	e.t.Helper()
	got, err := e.s.Survey(e.ctx(), id, req)
	if err != nil {
		e.t.Fatalf("Survey(%q): %v", id, err)
	}
	return got
}

// surveyAgrees has every reason for a block at several depths, and ties between
// them.
func surveyAgrees(e *env) {
	e.createAll("root", "a<root", "b<a", "c<b", "d<c", "e<d", "side<b", "side2<b", "low<side", "free<root", "free2<free", "active<c", "deep<active")
	for _, id := range []string{"root", "a", "b", "c", "d", "side", "side2", "low", "free", "free2", "deep"} {
		e.deactivate(id, t0, 10)
	}
	e.deactivate("e", t0, 20) // a later date
	e.update("c", t0, store.SetHold("litigation", due10.Add(day)))
	e.update("low", t0, store.SetHold("litigation", due10.Add(2*day)))
	e.update("side", t0, store.SetHold("litigation", due10.Add(day))) // ends before that, and is its own
	e.update("side2", t0, store.SetHold("litigation", due10.Add(2*day)))
	e.subscribe("deep", 1)
	check := func(what string, edits ...func(*store.ClaimRequest)) {
		e.t.Helper()
		for _, at := range []time.Time{due10, due10.Add(day), due10.Add(15 * day)} {
			if defect := e.surveyDefect("root", request(at, edits...)); defect != "" {
				e.t.Errorf("%s, at %s: %s", what, store.FormatTime(at), defect)
			}
		}
	}
	check("as it is")
	check("protected", protected("free2", "d"))
	check("immediate", immediate)
	e.claim("d", due10.Add(15*day), func(r *store.ClaimRequest) { r.Immediate = true })
	check("while one is being purged")
	e.update("c", t0, store.Release())
	e.update("low", t0, store.Release())
	check("without two of the holds")
	if n := len(e.survey("root", request(due10))); n == 0 {
		e.t.Error("nothing is blocked: the case shows nothing")
	}
}

// surveyDefect returns how a survey differs from what is said of each tenant
// alone.
func (e *env) surveyDefect(top string, req store.ClaimRequest) string {
	got, err := e.s.Survey(e.ctx(), top, req)
	if err != nil {
		return fmt.Sprintf("Survey(%q): %v", top, err)
	}
	tenants, err := allTenants(e.ctx(), e.s)
	if err != nil {
		return fmt.Sprintf("Tenants: %v", err)
	}
	parent := map[string]string{}
	for _, t := range tenants {
		parent[t.ID] = t.ParentID
	}
	req.OpenGates = true
	for _, t := range tenants {
		below := false
		for p := t.ParentID; p != "" && !below; p = parent[p] {
			below = p == top
		}
		b, is := got[t.ID]
		if !below {
			if is {
				return fmt.Sprintf("a survey of %q tells of %q, which is not below it", top, t.ID)
			}
			continue
		}
		a, err := e.s.Assess(e.ctx(), t.ID, req)
		if err != nil {
			return fmt.Sprintf("Assess(%q): %v", t.ID, err)
		}
		var blocked *store.BlockedError
		if errors.As(a.Refusal, &blocked) != is || is && blocked.Block != b {
			return fmt.Sprintf("a survey of %q says %+v (%t) of %q; Assess says %v", top, b, is, t.ID, a.Refusal)
		}
	}
	return ""
}
