package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
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
// can make it happen without asking again.
func (s *server) approve(w http.ResponseWriter, r *request) error {
	a, err := s.decide(w, r, true)
	if err != nil {
		return err
	}
	return s.act(w, r, &a)
}

// reject answers POST /approvals/{approval}/actions/reject.
func (s *server) reject(w http.ResponseWriter, r *request) error {
	a, err := s.decide(w, r, false)
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
func (s *server) decide(w http.ResponseWriter, r *request, approve bool) (store.Approval, error) {
	approver, id, err := s.approvalID(r)
	if err == nil {
		err = readBody(w, r, nil)
	}
	if err != nil {
		return store.Approval{}, err
	}
	a, err := approver.DecideApproval(r.Context(), id, approve, r.origin())
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
