package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// approver returns the store as one that keeps approvals.
func (s *server) approver() (store.Approver, error) {
	a, ok := s.Store.(store.Approver)
	if !ok {
		return nil, store.Errorf(store.Precondition, "this store keeps nothing that waits for a second person")
	}
	return a, nil
}

// wireApproval renders an approval as it is at now.
func wireApproval(a store.Approval, now time.Time) (client.Approval, error) {
	w := client.Approval{
		ID: a.ID, Action: a.Action, Status: a.StatusAt(now), TenantID: a.TenantID, Version: a.Version,
		RequestedBy: a.RequestedBy, RequestedAt: a.RequestedAt, ExpiresAt: a.ExpiresAt, DecidedBy: a.DecidedBy, DecidedAt: a.DecidedAt,
		Reason: a.Reason, Outcome: a.Outcome,
	}
	if len(a.Call) > 0 {
		w.Call = &client.PendingCall{}
		if err := json.Unmarshal(a.Call, w.Call); err != nil {
			return w, store.Errorf(store.Internal, "the call of approval %s: %w", a.ID, err)
		}
	}
	return w, nil
}

// listApprovals answers GET /approvals.
func (s *server) listApprovals(w http.ResponseWriter, r *request) error {
	approver, err := s.approver()
	if err != nil {
		return err
	}
	now := r.origin().At
	list, err := approver.Approvals(r.Context(), now)
	if err != nil {
		return err
	}
	page := client.ApprovalPage{Data: make([]client.Approval, len(list))}
	for i, a := range list {
		if page.Data[i], err = wireApproval(a, now); err != nil {
			return err
		}
	}
	return reply(w, http.StatusOK, page)
}

// getApproval answers GET /approvals/{approval}.
func (s *server) getApproval(w http.ResponseWriter, r *request) error {
	approver, id, err := s.approvalID(r)
	if err != nil {
		return err
	}
	now := r.origin().At
	a, err := approver.Approval(r.Context(), id, now)
	if err != nil {
		return err
	}
	noteTenant(w, a.TenantID)
	wire, err := wireApproval(a, now)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, wire)
}

// approve answers POST /approvals/{approval}/actions/approve with the answer of the
// call that waited. The decision is durable before the call is made: of two at a
// time one makes it, and after a stop in between nothing has happened, and nobody
// can make it happen without asking again. When the call is refused, nothing has
// happened either, and the approval waits again.
func (s *server) approve(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	a, err := s.decide(w, r, store.ApprovalDecision{Approve: true})
	if err != nil {
		return err
	}
	out := &captured{ResponseWriter: w, header: http.Header{}}
	if err := s.act(out, r, &a); err != nil {
		return err
	}
	answer := out.answer()
	// The caller gets its answer whether or not the outcome could be kept: it is true.
	noteError(w, s.end(r, a, answer))
	return send(w, answer, false)
}

// end keeps what the call of an approval was answered with.
func (s *server) end(r *request, a store.Approval, answer store.Answer) error {
	approver, err := s.approver()
	if err != nil {
		return err
	}
	// A deletion goes on when whoever asked for it leaves.
	left := r.Context().Err() != nil
	o := store.Origin{Actor: r.caller.Actor, At: time.Now()}
	out := store.ApprovalOutcome{At: store.Timestamp{Time: o.At}, By: o.Actor.ID, Detail: "it was carried out"}
	again := false
	switch {
	case answer.Status == http.StatusAccepted:
		out.Detail = "it goes on: " + answer.Header["Location"]
	case answer.Status >= 400:
		out.Code, out.Detail = refusalOf(answer)
		again = !left && answer.Status != http.StatusInternalServerError
	}
	_, err = approver.EndApproval(context.WithoutCancel(r.Context()), a, out, again, o)
	return err
}

// refusalOf returns what an answer says of why nothing was done.
func refusalOf(a store.Answer) (store.Code, string) {
	var body client.ErrorBody
	if err := json.Unmarshal(a.Body, &body); err != nil || len(body.Errors) == 0 {
		return store.Internal, "it was answered with " + strconv.Itoa(a.Status)
	}
	return body.Errors[0].Code, body.Errors[0].Detail
}

// reject answers POST /approvals/{approval}/actions/reject.
func (s *server) reject(w http.ResponseWriter, r *request) error {
	var in client.RejectRequest
	if err := readBody(w, r, members{"reason": &in.Reason}); err != nil {
		return err
	}
	a, err := s.decide(w, r, store.ApprovalDecision{Reason: in.Reason})
	if err != nil {
		return err
	}
	wire, err := wireApproval(a.Decided(), a.DecidedAt.Time)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, wire)
}

// decide records a decision.
func (s *server) decide(w http.ResponseWriter, r *request, d store.ApprovalDecision) (store.Approval, error) {
	approver, id, err := s.approvalID(r)
	if err != nil {
		return store.Approval{}, err
	}
	a, err := approver.DecideApproval(r.Context(), id, d, r.origin())
	if err == nil {
		noteTenant(w, a.TenantID)
	}
	return a, err
}

// approvalID returns the id in the path of a request.
func (s *server) approvalID(r *request) (store.Approver, string, error) {
	id := r.PathValue("approval")
	if err := store.CheckID("approval", id); err != nil {
		return nil, "", inParameter(err)
	}
	approver, err := s.approver()
	return approver, id, err
}

// readerOf returns a reader of a body, nil for none.
func readerOf(body []byte) io.Reader {
	if len(body) == 0 {
		return nil
	}
	return bytes.NewReader(body)
}
