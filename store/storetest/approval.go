package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantpurge/purger/store"
)

// approves is a decision.
var approves = store.ApprovalDecision{Approve: true}

// bob is a second person.
var bob = store.Actor{ID: "bob", Name: "Bob Secretname"}

func approvalCases() []testCase {
	return []testCase{
		{"IsBoundToTheVersionAndKept", approvalIsKept},
		{"ASecondPersonApprovesAndTheFirstDoesNot", approvalBySecond},
		{"AnyoneRejects", approvalRejected},
		{"ExpiresExactlyAtItsEnd", approvalExpires},
		{"IsForgottenExactlyADayLater_G13", approvalForgotten},
		{"HasExpiredOnceTheTenantHasChanged", approvalVoid},
		{"WaitsAgainWhenItsCallIsRefused", approvalReopened},
		{"OfOnePersonTakeUpATenth", approvalShare},
		{"OfAResumeIsVoidOnceAnotherHaltIsThere_G9", approvalOfResume},
		{"AskingAgainReturnsWhatWaits", approvalAgain},
		{"WhatCannotBeAskedForIsRefused", approvalRefused},
		{"NoMoreAreKeptThanMayBe", approvalBound},
		{"OfManyDecisionsAtATimeOneIsMade", approvalRace},
		{"HoldsNoNameAfterTheDecision_G13", approvalHoldsNoName},
	}
}

// deletion asks for the deletion of a tenant of whatever version.
func deletion(id string) store.ApprovalRequest {
	return store.ApprovalRequest{Action: store.ApproveDelete, TenantID: id, Call: json.RawMessage(`{"do":"secretcall"}`), Life: day}
}

func approvalIsKept(e *env) {
	a := e.approver()
	e.disabled("acme", "")
	head := e.head()
	req := deletion("acme")
	var seen store.Tenant
	req.Check = func(t store.Tenant) error { seen = t; return nil }
	got, err := a.RequestApproval(e.ctx(), req, by(due10.Add(999*time.Microsecond)))
	e.must(err, "RequestApproval")
	wanted := store.Approval{
		ID: got.ID, Action: store.ApproveDelete, TenantID: "acme", Version: 2, RequestedBy: alice, Call: req.Call,
		RequestedAt: store.Timestamp{Time: due10}, ExpiresAt: store.Timestamp{Time: due10.Add(day)}, Status: store.ApprovalPending,
	}
	e.equal(wanted, got, "the approval")
	e.equal(e.tenant("acme"), seen, "the record that was checked")
	if store.CheckID("id", got.ID) != nil {
		e.t.Errorf("the id %q is none", got.ID)
	}
	detail := map[string]string{"approvalId": got.ID, "action": "delete", "requestedBy": "alice", "version": "2", "expiresAt": store.FormatTime(due10.Add(day))}
	e.wantStep(head, store.ActionApprovalRequest, "alice", "acme", detail)
	e.reopen()
	kept, err := e.approver().Approval(e.ctx(), got.ID, due10)
	e.must(err, "Approval after a restart")
	e.equal(got, kept, "the approval after a restart")
	e.wantApprovals(due10, got)
	_, err = e.approver().Approval(e.ctx(), "unknown", due10)
	e.wantCode(err, store.NotFound, "an unknown one")
}

func approvalBySecond(e *env) {
	e.disabled("acme", "")
	asked := e.request(deletion("acme"))
	e.changesNothing("an approval by who asked", func() {
		_, err := e.approver().DecideApproval(e.ctx(), asked.ID, approves, by(due10))
		e.wantCode(err, store.Forbidden, "DecideApproval by the same person")
		// The same one with another name is the same.
		_, err = e.approver().DecideApproval(e.ctx(), asked.ID, approves, store.Origin{Actor: store.Actor{ID: "alice", Name: "Bob"}, At: due10})
		e.wantCode(err, store.Forbidden, "DecideApproval by the same person with another name")
	})
	head := e.head()
	before := e.tenant("acme")
	got, err := e.decide(asked.ID, true, due10.Add(time.Hour))
	e.must(err, "DecideApproval")
	wanted := asked
	wanted.Status, wanted.DecidedBy, wanted.DecidedAt = store.ApprovalApproved, "bob", store.Timestamp{Time: due10.Add(time.Hour)}
	e.equal(wanted, got, "the approval with its call")
	e.wantStep(head, store.ActionApprovalApprove, "bob", "acme",
		map[string]string{"approvalId": asked.ID, "action": "delete", "requestedBy": "alice", "version": "2"})
	e.equal(before, e.tenant("acme"), "the tenant: to approve does nothing by itself")
	e.reopen()
	e.wantApprovals(due10, wanted.Decided())
	e.changesNothing("a second decision", func() {
		for _, approve := range []bool{true, false} {
			_, err := e.decide(asked.ID, approve, due10.Add(time.Hour))
			e.wantCode(err, store.Conflict, "a second decision")
		}
	})
	// Nothing of it waits any more: who asks again waits for somebody again.
	if again := e.request(deletion("acme")); again.ID == asked.ID || again.Status != store.ApprovalPending {
		e.t.Errorf("asked for again it is %+v", again)
	}
}

func approvalRejected(e *env) {
	e.disabled("acme", "")
	head := e.head()
	asked := e.request(deletion("acme"))
	for _, d := range []store.ApprovalDecision{{Reason: "\xff"}, {Reason: strings.Repeat("x", store.MaxNameLength+1)}, {Approve: true, Reason: "why not"}} {
		_, err := e.approver().DecideApproval(e.ctx(), asked.ID, d, store.Origin{Actor: bob, At: due10})
		e.wantCode(err, store.Invalid, "a bad reason")
	}
	got, err := e.approver().DecideApproval(e.ctx(), asked.ID, store.ApprovalDecision{Reason: "a typing error"}, by(due10))
	e.must(err, "DecideApproval by who asked")
	if got.Status != store.ApprovalRejected || got.DecidedBy != "alice" || got.Reason != "a typing error" {
		e.t.Errorf("%+v; want it rejected by alice", got)
	}
	e.reopen()
	e.wantApprovals(due10, got.Decided())
	if entries := e.entries(head); len(entries) != 2 || entries[1].Action != store.ActionApprovalReject || entries[1].Detail["reason"] != "a typing error" {
		e.t.Errorf("entries %+v; want a rejection", entries)
	}
	_, err = e.decide(asked.ID, true, due10)
	e.wantCode(err, store.Conflict, "an approval after a rejection")
}

func approvalExpires(e *env) {
	e.disabled("acme", "")
	e.create("other", "")
	first, second := e.request(deletion("acme")), e.request(deletion("other"))
	end := due10.Add(day)
	_, err := e.decide(first.ID, true, end.Add(-time.Millisecond))
	e.must(err, "1 ms before the end")
	for _, approve := range []bool{true, false} {
		_, err = e.decide(second.ID, approve, end)
		e.wantCode(err, store.Precondition, "exactly at the end")
	}
	if got, want := second.StatusAt(end.Add(-time.Millisecond)), store.ApprovalPending; got != want {
		e.t.Errorf("1 ms before the end it is %s", got)
	}
	if got, want := second.StatusAt(end), store.ApprovalExpired; got != want {
		e.t.Errorf("at the end it is %s", got)
	}
	// What has expired does not stand for who asks again.
	again, err := e.approver().RequestApproval(e.ctx(), deletion("other"), by(end))
	if err != nil || again.ID == second.ID {
		e.t.Errorf("asked for again: %+v, %v", again, err)
	}
}

func approvalForgotten(e *env) {
	f, ok := e.s.(store.Forgetter)
	if !ok {
		e.t.Skip("the store forgets nothing")
	}
	e.create("acme", "")
	asked := e.request(deletion("acme"))
	end := due10.Add(day + store.ApprovalKept)
	e.must(f.Forget(e.ctx(), end.Add(-time.Millisecond)), "Forget")
	e.wantApprovals(end.Add(-time.Millisecond), asked)
	e.wantApprovals(end)
	_, err := e.approver().Approval(e.ctx(), asked.ID, end)
	e.wantCode(err, store.NotFound, "Approval when it is to be forgotten")
	_, err = e.decide(asked.ID, false, end)
	e.wantCode(err, store.NotFound, "DecideApproval when it is to be forgotten")
	e.must(f.Forget(e.ctx(), end), "Forget")
	e.wantApprovals(due10) // it is really gone
	e.wantNoTrace("secretcall", "alice@secret")
}

func approvalVoid(e *env) {
	e.createAll("acme", "child<acme", "gone")
	e.deactivate("acme", t0, 10)
	e.deactivate("gone", t0, 10)
	asked, gone := e.request(deletion("acme")), e.request(deletion("gone"))
	e.subscribe("child", 1)
	name := "another"
	e.update("acme", due10, store.Edit(&name, nil, nil))
	e.purge("gone", due10)
	head := e.head()
	for _, c := range []struct {
		approval store.Approval
		want     store.Code
		why      string
	}{{asked, store.Conflict, "has version 3, not 2"}, {gone, store.Gone, "was purged"}} {
		_, err := e.decide(c.approval.ID, true, due10)
		e.wantCode(err, c.want, "an approval that is void")
		got, err := e.approver().Approval(e.ctx(), c.approval.ID, due10)
		e.must(err, "Approval")
		if got.Status != store.ApprovalExpired || got.Call != nil || got.DecidedBy != "bob" || got.Outcome == nil ||
			got.Outcome.Code != c.want || got.Outcome.By != "bob" || !strings.Contains(got.Outcome.Detail, c.why) {
			e.t.Errorf("it is kept as %+v with the outcome %+v", got, got.Outcome)
		}
		e.reopen()
		for _, approve := range []bool{true, false} {
			_, err = e.decide(c.approval.ID, approve, due10)
			e.wantCode(err, store.Precondition, "a decision on what has expired")
		}
	}
	if entries := e.entries(head); len(entries) != 2 || entries[0].Action != store.ActionApprovalExpire || entries[0].Detail["code"] != "conflict" || entries[0].Actor != "bob" {
		e.t.Errorf("entries %+v; want two that have expired", entries)
	}
	e.wantNoTrace("secretcall")
}

func approvalOfResume(e *env) {
	a := e.approver()
	resume := store.ApprovalRequest{Action: store.ApproveResume, Call: json.RawMessage(`"lift it"`), Life: day}
	e.changeGates(t0, store.PausePurging("first", time.Time{}))
	first := e.request(resume)
	if first.TenantID != "" || first.Version != 0 || first.Gates == "" {
		e.t.Errorf("the approval of a resume is %+v", first)
	}
	e.trees(2, 1)
	e.changeGates(due10, store.ResumePurging("", 0))
	e.purge("t0", due10)
	_, err := e.tryClaim("t1", due10, limits(store.Limits{PerDay: 1}))
	e.wantHalted(err, "limits.perDay")
	_, err = e.decide(first.ID, true, due10)
	e.wantCode(err, store.Conflict, "after another halt")
	second := e.request(resume)
	got, err := e.decide(second.ID, true, due10)
	e.must(err, "DecideApproval")
	// What comes between the decision and the change is not lifted either.
	e.changeGates(due10, store.PausePurging("in between", time.Time{}))
	_, err = e.s.ChangeGates(e.ctx(), got.Approved(store.ResumePurging("r", 0)), store.Origin{Actor: bob, At: due10})
	e.wantCode(err, store.Conflict, "a resume of other gates")
	third, err := a.RequestApproval(e.ctx(), resume, by(due10))
	e.must(err, "RequestApproval")
	got, err = e.decide(third.ID, true, due10)
	e.must(err, "DecideApproval")
	e.changeGates(due10, got.Approved(store.ResumePurging("r", 0)))
	e.equal(store.Gates{}, e.gates(), "the gates")
}

func approvalAgain(e *env) {
	e.createAll("acme", "other")
	asked := e.request(deletion("acme"))
	e.changesNothing("asking for the same again", func() {
		e.equal(asked, e.request(deletion("acme")), "asked for again")
	})
	call := deletion("acme")
	call.Call = json.RawMessage(`"another"`)
	bobs, err := e.approver().RequestApproval(e.ctx(), deletion("acme"), store.Origin{Actor: bob, At: due10})
	e.must(err, "RequestApproval by another person")
	ids := map[string]bool{asked.ID: true, bobs.ID: true, e.request(call).ID: true, e.request(deletion("other")).ID: true}
	name := "changed"
	e.update("acme", due10, store.Edit(&name, nil, nil))
	ids[e.request(deletion("acme")).ID] = true
	if len(ids) != 5 {
		e.t.Errorf("%d approvals; want one for each person, call, tenant and version", len(ids))
	}
}

func approvalRefused(e *env) {
	e.disabled("acme", "")
	e.disabled("purged", "")
	e.purge("purged", due10)
	ask := func(change func(*store.ApprovalRequest)) error {
		req := deletion("acme")
		change(&req)
		_, err := e.approver().RequestApproval(e.ctx(), req, by(due10))
		return err
	}
	e.changesNothing("a refused request", func() {
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Version = 1 }), store.Conflict, "a stale version")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Version = 3 }), store.Conflict, "a version of the future")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.TenantID = "nobody" }), store.NotFound, "an unknown tenant")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.TenantID = "purged" }), store.Gone, "a purged tenant")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.TenantID = "" }), store.Invalid, "a deletion of nothing")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Action = "odd" }), store.Invalid, "an unknown action")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Action = store.ApproveResume }), store.Invalid, "a resume of a tenant")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Call = nil }), store.Invalid, "no call")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Call = json.RawMessage(`{"do":`) }), store.Invalid, "half a call")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Life = 0 }), store.Invalid, "no time")
		e.wantCode(ask(func(r *store.ApprovalRequest) { r.Call = slices.Repeat([]byte("1"), store.MaxApprovalCall+1) }), store.Invalid, "a large call")
		e.wantCode(ask(func(r *store.ApprovalRequest) {
			r.Check = func(store.Tenant) error { return store.Errorf(store.Precondition, "no") }
		}), store.Precondition, "a refusal by the check")
	})
}

func approvalBound(e *env) {
	e.takesLong()
	e.create("acme", "")
	ids := make([]string, store.MaxApprovals)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			req := deletion("acme")
			req.Call = fmt.Append(nil, i)
			o := store.Origin{Actor: store.Actor{ID: fmt.Sprint("person", i%store.OwnerShare)}, At: due10}
			a, err := e.approver().RequestApproval(e.ctx(), req, o)
			if err != nil {
				e.t.Errorf("RequestApproval: %v", err)
			}
			ids[i] = a.ID
		})
	}
	wg.Wait()
	e.changesNothing("one more than may be", func() {
		_, err := e.approver().RequestApproval(e.ctx(), deletion("acme"), by(due10))
		e.wantCode(err, store.Exhausted, "RequestApproval")
	})
	_, err := e.decide(ids[7], false, due10)
	e.must(err, "DecideApproval")
	e.request(deletion("acme"))
	_, err = e.approver().Approval(e.ctx(), ids[7], due10)
	e.wantCode(err, store.NotFound, "the one that had to make room")
	all, err := e.approver().Approvals(e.ctx(), due10)
	if err != nil || len(all) != store.MaxApprovals {
		e.t.Errorf("%d are kept, %v; want %d", len(all), err, store.MaxApprovals)
	}
}

func approvalRace(e *env) {
	e.create("acme", "")
	for range 20 {
		asked := e.request(deletion("acme"))
		head := e.head()
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := e.decide(asked.ID, i%2 == 0, due10)
				if err == nil {
					made.Add(1)
				} else {
					e.wantCode(err, store.Conflict, "DecideApproval")
				}
			})
		}
		wg.Wait()
		if n := made.Load(); n != 1 || len(e.entries(head)) != 1 {
			e.t.Fatalf("%d decisions were made, with %d entries", n, len(e.entries(head)))
		}
	}
}

func approvalHoldsNoName(e *env) {
	e.create("acme", "")
	asked := e.request(deletion("acme"))
	_, err := e.decide(asked.ID, true, due10)
	e.must(err, "DecideApproval")
	if all, err := e.approver().Approvals(e.ctx(), due10); err != nil || len(all) != 1 || all[0].RequestedBy != (store.Actor{ID: "alice"}) || all[0].Call != nil {
		e.t.Errorf("kept are %+v, %v", all, err)
	}
	e.wantNoTrace("secretcall", "alice@secret")
}

// approver returns the store's approver, or skips the case.
func (e *env) approver() store.Approver {
	e.t.Helper()
	a, ok := e.s.(store.Approver)
	if !ok {
		e.t.Skip("the store keeps nothing that waits for a second person")
	}
	return a
}

// request asks as alice, at due10.
func (e *env) request(req store.ApprovalRequest) store.Approval {
	e.t.Helper()
	a, err := e.approver().RequestApproval(e.ctx(), req, by(due10))
	if err != nil {
		e.t.Fatalf("RequestApproval: %v", err)
	}
	return a
}

// decide decides as bob.
func (e *env) decide(id string, approve bool, at time.Time) (store.Approval, error) {
	return e.approver().DecideApproval(e.ctx(), id, store.ApprovalDecision{Approve: approve}, store.Origin{Actor: bob, At: at})
}

// wantApprovals fails the case unless exactly these are kept at now.
func (e *env) wantApprovals(now time.Time, wanted ...store.Approval) {
	e.t.Helper()
	got, err := e.approver().Approvals(e.ctx(), now)
	if err != nil {
		e.t.Fatalf("Approvals: %v", err)
	}
	e.equal(append([]store.Approval{}, wanted...), got, "the approvals")
}

// wantStep fails the case unless one entry was written after head, of a step of an
// approval.
func (e *env) wantStep(head uint64, step store.Action, actor, tenant string, detail map[string]string) {
	e.t.Helper()
	entries := e.entries(head)
	if len(entries) != 1 {
		e.t.Fatalf("entries %+v; want one", entries)
	}
	x := entries[0]
	if x.Action != step || x.Actor != actor || x.TenantID != tenant {
		e.t.Errorf("entry %+v; want %s of %q by %q", x, step, tenant, actor)
	}
	e.equal(detail, x.Detail, "the detail of the entry")
}
