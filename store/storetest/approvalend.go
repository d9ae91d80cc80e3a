package storetest

import (
	"fmt"

	"github.com/tenantpurge/purger/store"
)

// approvalReopened refuses calls that were approved.
func approvalReopened(e *env) {
	e.disabled("acme", "")
	asked := e.request(deletion("acme"))
	refused := store.ApprovalOutcome{At: store.Timestamp{Time: due10}, By: "bob", Code: store.Unavailable, Detail: "purging is paused"}
	o := store.Origin{Actor: bob, At: due10}
	var last store.Approval
	for range 2 {
		var err error
		last, err = e.decide(asked.ID, true, due10)
		e.must(err, "DecideApproval")
		head := e.head()
		got, err := e.approver().EndApproval(e.ctx(), last, refused, true, o)
		e.must(err, "EndApproval")
		wanted := asked
		wanted.Outcome = &refused
		e.equal(wanted, got, "the approval, which waits again")
		e.wantStep(head, store.ActionApprovalReopen, "bob", "acme",
			map[string]string{"approvalId": asked.ID, "action": "delete", "requestedBy": "alice", "version": "2", "code": "unavailable"})
		e.reopen()
		e.wantApprovals(due10, wanted)
		e.equal(wanted, e.request(deletion("acme")), "asked for again")
		e.changesNothing("an end that is told twice", func() {
			_, err := e.approver().EndApproval(e.ctx(), last, refused, true, o)
			e.wantCode(err, store.Conflict, "EndApproval")
		})
	}
	last, err := e.decide(asked.ID, true, due10)
	e.must(err, "DecideApproval")
	done := store.ApprovalOutcome{At: store.Timestamp{Time: due10}, By: "bob", Detail: "done"}
	got, err := e.approver().EndApproval(e.ctx(), last, done, false, o)
	e.must(err, "EndApproval")
	if got.Status != store.ApprovalApproved || got.Call != nil || got.Outcome == nil || *got.Outcome != done {
		e.t.Errorf("carried out it is %+v", got)
	}
	// What has changed while it was tried does not wait again.
	second := e.request(deletion("acme"))
	last, err = e.decide(second.ID, true, due10)
	e.must(err, "DecideApproval")
	e.deactivate("acme", due10, 10)
	got, err = e.approver().EndApproval(e.ctx(), last, refused, true, o)
	e.must(err, "EndApproval")
	if got.Status != store.ApprovalExpired || got.Call != nil || *got.Outcome != refused {
		e.t.Errorf("after a change it is %+v", got)
	}
	_, err = e.approver().EndApproval(e.ctx(), store.Approval{ID: "unknown"}, done, false, o)
	e.wantCode(err, store.NotFound, "EndApproval of an unknown one")
}

// approvalShare has one person ask for as much as one may.
func approvalShare(e *env) {
	e.create("acme", "")
	var first store.Approval
	for i := range store.MaxApprovals / store.OwnerShare {
		req := deletion("acme")
		req.Call = fmt.Append(nil, i)
		if a := e.request(req); i == 0 {
			first = a
		}
	}
	e.changesNothing("one more of the same person", func() {
		_, err := e.approver().RequestApproval(e.ctx(), deletion("acme"), by(due10))
		e.wantCode(err, store.Exhausted, "RequestApproval")
	})
	req := deletion("acme")
	req.Call = fmt.Append(nil, 0)
	e.equal(first, e.request(req), "one that waits already")
	_, err := e.approver().RequestApproval(e.ctx(), deletion("acme"), store.Origin{Actor: bob, At: due10})
	e.must(err, "RequestApproval by another person")
	_, err = e.decide(first.ID, false, due10)
	e.must(err, "DecideApproval")
	e.request(deletion("acme"))
}
