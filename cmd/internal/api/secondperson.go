package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// Approvals say how many people a call takes: with 2, the first one's waits for
// another one to approve it. The zero value takes one for everything.
type Approvals struct {
	Delete, Resume int
	Expire         time.Duration // how long a call waits
}

// takes returns how many people an action takes.
func (a Approvals) takes(action store.ApprovalAction) int {
	if action == store.ApproveResume {
		return a.Resume
	}
	return a.Delete
}

// approvals returns how many people calls take now.
func (s *server) approvals() Approvals {
	if s.Approvals == nil {
		return Approvals{}
	}
	return s.Approvals()
}

// approvalKey is the key, in the context of a request, of the approval by which the
// request is made.
type approvalKey struct{}

// approvalOf returns the approval by which the request of ctx is made, nil for one
// that its caller makes.
func approvalOf(ctx context.Context) *store.Approval {
	a, _ := ctx.Value(approvalKey{}).(*store.Approval)
	return a
}

// ask reports whether the call of r has to wait for a second person. Then it has
// answered so. body is what the call is made with, nil for nothing.
func (s *server) ask(w http.ResponseWriter, r *request, req store.ApprovalRequest, body any) (asked bool, err error) {
	if a := approvalOf(r.Context()); a != nil && a.Action == req.Action && a.TenantID == req.TenantID {
		return false, nil
	}
	in := s.approvals()
	if in.takes(req.Action) < 2 {
		return false, nil
	}
	approver, err := s.approver()
	if err != nil {
		return false, err
	}
	call := client.PendingCall{Method: r.Method, Path: r.URL.EscapedPath()}
	if body != nil {
		if call.Body, err = encoded(body); err != nil {
			return false, err
		}
	}
	if req.Call, err = encoded(call); err != nil {
		return false, err
	}
	req.Life = in.Expire
	o := r.origin()
	a, err := approver.RequestApproval(r.Context(), req, o)
	if err != nil {
		return false, err
	}
	wire, err := wireApproval(a, o.At)
	if err != nil {
		return false, err
	}
	w.Header().Set("Location", client.Prefix+client.PathApprovals+"/"+a.ID)
	return true, reply(w, http.StatusAccepted, client.Pending{Approval: wire})
}

// askToDelete is ask for a deletion. What can be known to be refused is refused at
// once, and nobody is asked.
func (s *server) askToDelete(w http.ResponseWriter, r *request, conf confirmation, d purge.Deletion) (asked bool, err error) {
	set := s.Engine.Settings()
	if set.ImmediateDelete == purge.DeleteNever {
		return false, store.Errorf(store.Forbidden, "immediate deletion is switched off (api.immediateDelete: never)")
	}
	asked, err = s.ask(w, r, store.ApprovalRequest{Action: store.ApproveDelete, TenantID: d.ID, Version: d.Version, Check: func(t store.Tenant) error {
		if err := conf.check(&t); err != nil {
			return err
		}
		if t.Status == store.StatusActive && (d.OnlyDisabled || set.ImmediateDelete != purge.DeleteAny) {
			return store.Errorf(store.Precondition, "tenant %q is active: deactivate it first", t.ID)
		}
		protected := func(id string) bool { return slices.Contains(set.Protected, id) }
		if b := store.BlockOf(&t, time.Now(), protected, true, true); b != nil {
			return &store.BlockedError{TenantID: t.ID, Block: *b}
		}
		return nil
	}}, nil)
	var e *store.Error
	if errors.As(err, &e) && e.Field == "version" {
		err = inParameter(err)
	}
	return asked, err
}

// act makes the call of an approval, as a request of the person who has approved
// it, and answers with its answer. The version of the tenant is part of it.
func (s *server) act(w http.ResponseWriter, r *request, a *store.Approval) error {
	var call client.PendingCall
	if err := json.Unmarshal(a.Call, &call); err != nil {
		return store.Errorf(store.Internal, "the call of approval %s: %w", a.ID, err)
	}
	target := "http://purger" + call.Path
	if a.TenantID != "" {
		target += "?" + url.Values{"version": {strconv.FormatInt(a.Version, 10)}}.Encode()
	}
	ctx := context.WithValue(r.Context(), approvalKey{}, a)
	inner, err := http.NewRequestWithContext(ctx, call.Method, target, readerOf(call.Body))
	if err != nil {
		return store.Errorf(store.Internal, "the call of approval %s: %w", a.ID, err)
	}
	if len(call.Body) > 0 {
		inner.Header.Set("Content-Type", client.ContentJSON)
	}
	s.mux.ServeHTTP(w, inner)
	return nil
}
