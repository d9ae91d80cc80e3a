package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// byName makes each request one of the super_admin whom the header Test-Caller names;
// "operator" is an operator.
func byName(o *Options) {
	o.Authenticate = func(r *http.Request) (Caller, error) {
		c := Caller{Actor: store.Actor{ID: r.Header.Get("Test-Caller"), Email: r.Header.Get("Test-Caller") + "@example.com"}, Role: client.RoleSuperAdmin}
		if c.Actor.ID == "operator" {
			c.Role = client.RoleOperator
		}
		return c, nil
	}
}

// twoPeople wants a second person for everything.
func twoPeople(o *Options) {
	byName(o)
	o.Approvals = func() Approvals { return Approvals{Delete: 2, Resume: 2, Expire: time.Hour} }
}

// by makes a request as somebody.
func by(t *testing.T, r *rig, who, what, body string, headers ...string) answered {
	t.Helper()
	return raw(t, r, what, body, append(headers, "Test-Caller: "+who)...)
}

// pendingOf returns the approval of an answer that says that one is waited for.
func pendingOf(t *testing.T, a answered) client.Approval {
	t.Helper()
	var p client.Pending
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != http.StatusAccepted || a.header.Get("Location") != "/api/v1/approvals/"+p.Approval.ID {
		t.Fatalf("no pending approval: status %d, %v: %s", a.status, a.header, a.body)
	}
	return p.Approval
}

// disabledRig is a rig with the disabled tenant acme, of version 2, with a host name.
func disabledRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := newRig(t, append([]func(*Options){twoPeople}, change...)...).inProcess(t)
	if _, err := r.store.Create(t.Context(), store.Tenant{ID: "acme", Name: "Acme", Hostname: "acme.example.com"},
		store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	r.disable(t, 0, "acme")
	return r
}

// wantTenant fails the test unless the tenant has the status; "" is gone.
func (r *rig) wantTenant(t *testing.T, id string, want store.Status) {
	t.Helper()
	got, err := r.store.Tenant(t.Context(), id)
	if want == "" && store.CodeOf(err) != store.Gone || want != "" && (err != nil || got.Status != want) {
		t.Errorf("tenant %q: %+v, %v; want %q", id, got, err, want)
	}
}

func TestApprovals_EachKindOfDeletionTakesTwo(t *testing.T) {
	for what, want := range map[string]int{
		"DELETE /api/v1/admin/tenants/acme?version=2": http.StatusOK,
		"DELETE /api/v1/admin/tenants/acme":           http.StatusOK,
		"DELETE /api/v1/tenants/acme?version=2":       http.StatusNoContent,
		"DELETE /api/2/tenants/acme?version=2":        http.StatusNoContent,
	} {
		t.Run(what, func(t *testing.T) {
			r := disabledRig(t)
			path, _, _ := strings.Cut(strings.TrimPrefix(what, "DELETE "), "?")
			a := pendingOf(t, by(t, r, "alice", what, "", "X-Confirm-Hostname: acme.example.com"))
			if a.Action != store.ApproveDelete || a.TenantID != "acme" || a.Version != 2 || a.RequestedBy.ID != "alice" ||
				a.Status != store.ApprovalPending || a.ExpiresAt.Sub(a.RequestedAt.Time) != time.Hour ||
				a.Call == nil || a.Call.Method != http.MethodDelete || a.Call.Path != path {
				t.Errorf("the approval is %+v", a)
			}
			r.wantTenant(t, "acme", store.StatusDisabled)
			approve := "POST /api/v1/approvals/" + a.ID + "/actions/approve"
			if res := by(t, r, "alice", approve, ""); res.status != http.StatusForbidden || res.problem(t).Code != store.Forbidden {
				t.Errorf("approved by who asked: %d %s", res.status, res.body)
			}
			if res := by(t, r, "operator", approve, ""); res.status != http.StatusForbidden {
				t.Errorf("approved by an operator: %d %s", res.status, res.body)
			}
			r.wantTenant(t, "acme", store.StatusDisabled)
			res := by(t, r, "bob", approve, "")
			if res.status != want || want == http.StatusOK && !strings.Contains(res.body, `"deletedBy":{"id":"bob"`) || want == http.StatusNoContent && res.body != "" {
				t.Errorf("approved by another one: %d %s", res.status, res.body)
			}
			r.wantTenant(t, "acme", "")
			if res := by(t, r, "carol", approve, ""); res.status != http.StatusConflict {
				t.Errorf("approved again: %d %s", res.status, res.body)
			}
			got := by(t, r, "carol", "GET /api/v1/approvals/"+a.ID, "").json(t)
			if got["status"] != "approved" || got["decidedBy"] != "bob" || got["call"] != nil || len(got["requestedBy"].(map[string]any)) != 1 {
				t.Errorf("afterwards it is %v", got)
			}
		})
	}
}

func TestApprovals_AResumeTakesTwo(t *testing.T) {
	r := newRig(t, twoPeople).inProcess(t)
	if res := by(t, r, "alice", "POST /api/v1/pause", `{"reason":"freeze"}`); res.status != http.StatusOK {
		t.Fatalf("pause: %d %s", res.status, res.body)
	}
	a := pendingOf(t, by(t, r, "alice", "POST /api/v1/resume", `{"reason":"over","allow":7}`))
	if a.Action != store.ApproveResume || a.TenantID != "" || a.Call == nil || string(a.Call.Body) != `{"reason":"over","allow":7}` {
		t.Errorf("the approval is %+v", a)
	}
	res := by(t, r, "bob", "POST /api/v1/approvals/"+a.ID+"/actions/approve", "")
	if res.status != http.StatusOK || strings.TrimSpace(res.body) != `{"allowance":7}` {
		t.Errorf("approved: %d %s", res.status, res.body)
	}
	// What is wrong is not asked about.
	if res := by(t, r, "alice", "POST /api/v1/resume", `{"allow":-1}`); res.status != http.StatusBadRequest {
		t.Errorf("a bad resume: %d %s", res.status, res.body)
	}
}

func TestApprovals_WhatIsKnownToBeRefusedIsRefusedAtOnce(t *testing.T) {
	r := disabledRig(t)
	create := func(id string, change store.Change) {
		o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}
		_, err := r.store.Create(t.Context(), store.Tenant{ID: id}, o)
		if err == nil && change.Apply != nil {
			_, err = r.store.Update(t.Context(), id, store.Update{Origin: o, Change: change})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	create("active", store.Change{})
	create("held", store.SetHold("legal", time.Time{}))
	r.disable(t, 0, "held")
	create("protected", store.Change{})
	r.disable(t, 0, "protected")
	for what, want := range map[string]int{
		"DELETE /api/v1/admin/tenants/acme":             http.StatusBadRequest, // no host name
		"DELETE /api/v1/tenants/acme":                   http.StatusBadRequest, // no version
		"DELETE /api/v1/tenants/acme?version=1":         http.StatusConflict,
		"DELETE /api/v1/admin/tenants/nobody":           http.StatusNotFound,
		"DELETE /api/v1/tenants/active?version=1":       http.StatusConflict,
		"DELETE /api/v1/admin/tenants/active?version=1": http.StatusConflict,
		"DELETE /api/v1/admin/tenants/held":             http.StatusConflict,
		"DELETE /api/v1/admin/tenants/protected":        http.StatusConflict,
	} {
		if res := by(t, r, "alice", what, ""); res.status != want {
			t.Errorf("%s: %d %s; want %d", what, res.status, res.body, want)
		}
	}
	if res := by(t, r, "alice", "GET /api/v1/approvals", ""); strings.TrimSpace(res.body) != `{"data":[]}` {
		t.Errorf("somebody is asked: %s", res.body)
	}
}

func TestApprovals_OfAChangedTenantAreVoid(t *testing.T) {
	r := disabledRig(t)
	a := pendingOf(t, by(t, r, "alice", "DELETE /api/v1/tenants/acme?version=2", ""))
	r.disable(t, time.Minute, "acme") // the countdown begins anew, at another instant
	res := by(t, r, "bob", "POST /api/v1/approvals/"+a.ID+"/actions/approve", "")
	if res.status != http.StatusConflict || !strings.Contains(res.body, "has version 3, not 2") {
		t.Errorf("approved: %d %s", res.status, res.body)
	}
	got := by(t, r, "bob", "GET /api/v1/approvals/"+a.ID, "").json(t)
	if outcome, _ := got["outcome"].(map[string]any); got["status"] != "expired" || got["call"] != nil || outcome["by"] != "bob" || outcome["code"] != "conflict" ||
		!strings.Contains(outcome["detail"].(string), "has version 3, not 2") {
		t.Errorf("afterwards it is %v", got)
	}
	r.wantTenant(t, "acme", store.StatusDisabled)
}

// A call that is refused for now waits on, with the reason; it is made once nothing
// refuses it any more.
func TestApprovals_WhatIsRefusedForNowWaitsOn(t *testing.T) {
	for name, c := range map[string]struct {
		close, open func(t *testing.T, r *rig)
		status      int
		code        store.Code
	}{
		"paused": {
			func(t *testing.T, r *rig) { r.mustGates(t, store.PausePurging("freeze", time.Time{})) },
			func(t *testing.T, r *rig) { r.mustGates(t, store.ResumePurging("over", 0)) }, http.StatusServiceUnavailable, store.Unavailable,
		},
		"held": {
			func(t *testing.T, r *rig) { r.mustUpdate(t, "child", store.SetHold("legal", time.Time{})) },
			func(t *testing.T, r *rig) { r.mustUpdate(t, "child", store.Release()) }, http.StatusConflict, store.Precondition,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := disabledRig(t)
			r.mustCreate(t, store.Tenant{ID: "top"})
			r.mustCreate(t, store.Tenant{ID: "child", ParentID: "top"})
			r.disable(t, 0, "top")
			a := pendingOf(t, by(t, r, "alice", "DELETE /api/v1/tenants/top?version=2", ""))
			approve := "POST /api/v1/approvals/" + a.ID + "/actions/approve"
			c.close(t, r)
			for range 2 {
				res := by(t, r, "bob", approve, "")
				if res.status != c.status || res.problem(t).Code != c.code {
					t.Fatalf("approved: %d %s", res.status, res.body)
				}
				got := by(t, r, "carol", "GET /api/v1/approvals/"+a.ID, "").json(t)
				outcome, _ := got["outcome"].(map[string]any)
				if got["status"] != "pending" || got["decidedBy"] != nil || got["call"] == nil || outcome["by"] != "bob" || outcome["code"] != string(c.code) ||
					outcome["detail"] != res.problem(t).Detail {
					t.Errorf("refused it is %v", got)
				}
			}
			if res := by(t, r, "alice", approve, ""); res.status != http.StatusForbidden {
				t.Errorf("approved by who asked: %d %s", res.status, res.body)
			}
			r.wantTenant(t, "top", store.StatusDisabled)
			c.open(t, r)
			if res := by(t, r, "carol", approve, ""); res.status != http.StatusNoContent {
				t.Errorf("approved once nothing is in its way: %d %s", res.status, res.body)
			}
			r.wantTenant(t, "top", "")
			got := by(t, r, "bob", "GET /api/v1/approvals/"+a.ID, "").json(t)
			if outcome, _ := got["outcome"].(map[string]any); got["status"] != "approved" || got["decidedBy"] != "carol" || outcome["code"] != nil || outcome["detail"] != "it was carried out" {
				t.Errorf("carried out it is %v", got)
			}
		})
	}
}

// mustGates changes the gates.
func (r *rig) mustGates(t *testing.T, c store.GateChange) {
	t.Helper()
	if _, err := r.store.ChangeGates(t.Context(), c, store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// mustUpdate changes a tenant.
func (r *rig) mustUpdate(t *testing.T, id string, c store.Change) {
	t.Helper()
	if _, err := r.store.Update(t.Context(), id, store.Update{Origin: store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}, Change: c}); err != nil {
		t.Fatal(err)
	}
}

// mustCreate makes a tenant.
func (r *rig) mustCreate(t *testing.T, tn store.Tenant) {
	t.Helper()
	if _, err := r.store.Create(t.Context(), tn, store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func TestApprovals_ARejectedOneIsOver(t *testing.T) {
	r := disabledRig(t)
	a := pendingOf(t, by(t, r, "alice", "DELETE /api/v1/tenants/acme?version=2", ""))
	path := "POST /api/v1/approvals/" + a.ID + "/actions/"
	for _, body := range []string{`{"reason":1}`, `{"why":"x"}`, `{"reason":"` + strings.Repeat("x", 1025) + `"}`} {
		if res := by(t, r, "alice", path+"reject", body); res.status != http.StatusBadRequest {
			t.Errorf("rejected with %.20s: %d %s", body, res.status, res.body)
		}
	}
	if res := by(t, r, "alice", path+"reject", `{"reason":"a typing error"}`); res.status != http.StatusOK || res.json(t)["status"] != "rejected" || res.json(t)["reason"] != "a typing error" {
		t.Errorf("rejected: %d %s", res.status, res.body)
	}
	if res := by(t, r, "bob", path+"approve", ""); res.status != http.StatusConflict || !strings.Contains(res.body, `was rejected by`) {
		t.Errorf("approved afterwards: %d %s", res.status, res.body)
	}
	r.wantTenant(t, "acme", store.StatusDisabled)
}

func TestApprovals_BadPaths(t *testing.T) {
	r := newRig(t, twoPeople).inProcess(t)
	for what, want := range map[string]int{
		"GET /api/v1/approvals/nobody":                  http.StatusNotFound,
		"POST /api/v1/approvals/nobody/actions/approve": http.StatusNotFound,
		"POST /api/v1/approvals/nobody/actions/reject":  http.StatusNotFound,
		"GET /api/v1/approvals/a%20b":                   http.StatusBadRequest,
		"POST /api/v1/approvals/-/actions/reject":       http.StatusBadRequest,
		"PUT /api/v1/approvals/nobody":                  http.StatusMethodNotAllowed,
	} {
		if res := by(t, r, "bob", what, ""); res.status != want {
			t.Errorf("%s: %d %s; want %d", what, res.status, res.body, want)
		}
	}
	if res := by(t, r, "bob", "POST /api/v1/approvals/nobody/actions/approve", `{"version":1}`); res.status != http.StatusBadRequest {
		t.Errorf("with a member: %d %s", res.status, res.body)
	}
}

// deletes counts the deletions that an engine is asked for, which all succeed.
type deletes struct {
	Engine
	n atomic.Int64
}

func (d *deletes) Delete(context.Context, purge.Deletion) (store.Receipt, error) {
	d.n.Add(1)
	return store.Receipt{}, nil
}

func TestApprovals_OfManyAtATimeOneActs(t *testing.T) {
	engine := &deletes{}
	r := disabledRig(t, func(o *Options) { engine.Engine, o.Engine = o.Engine, engine })
	a := pendingOf(t, by(t, r, "alice", "DELETE /api/v1/tenants/acme?version=2", ""))
	var ok, refused atomic.Int64
	var wg sync.WaitGroup
	for _, who := range []string{"bob", "carol", "dave", "bob", "erin", "bob"} {
		wg.Go(func() {
			switch res := by(t, r, who, "POST /api/v1/approvals/"+a.ID+"/actions/approve", ""); res.status {
			case http.StatusNoContent:
				ok.Add(1)
			case http.StatusConflict:
				refused.Add(1)
			default:
				t.Errorf("%s: %d %s", who, res.status, res.body)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 1 || refused.Load() != 5 || engine.n.Load() != 1 {
		t.Errorf("%d approvals succeeded, %d were refused, %d deletions were made", ok.Load(), refused.Load(), engine.n.Load())
	}
}

// mortal is an engine whose process is killed before it deletes.
type mortal struct{ Engine }

func (mortal) Delete(context.Context, purge.Deletion) (store.Receipt, error) {
	panic(http.ErrAbortHandler) // the connection breaks, and nothing has happened
}

func TestApprovals_AfterAKillBetweenDecisionAndDeletionNothingHasHappened(t *testing.T) {
	r := disabledRig(t, func(o *Options) { o.Engine = mortal{o.Engine} })
	a := pendingOf(t, by(t, r, "alice", "DELETE /api/v1/tenants/acme?version=2", ""))
	approve := "/api/v1/approvals/" + a.ID + "/actions/approve"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://purger"+approve, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Test-Caller", "bob")
	if res, err := r.transport.RoundTrip(req); err == nil {
		res.Body.Close()
		t.Fatalf("the answer is %s", res.Status)
	}
	r.wantTenant(t, "acme", store.StatusDisabled)
	// The next process: what was decided is used up, and can be asked for again.
	next := newRig(t, func(o *Options) { twoPeople(o); o.Store = r.store }).inProcess(t)
	if res := by(t, next, "bob", "POST "+approve, ""); res.status != http.StatusConflict {
		t.Errorf("approved again: %d %s", res.status, res.body)
	}
	again := pendingOf(t, by(t, next, "alice", "DELETE /api/v1/tenants/acme?version=2", ""))
	if again.ID == a.ID {
		t.Error("asked for again, it is the one that is used up")
	}
}

func TestApprovals_TheClientSaysThatNothingHasHappened(t *testing.T) {
	who := "alice"
	r := disabledRig(t, func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) {
			return Caller{Actor: store.Actor{ID: who}, Role: client.RoleSuperAdmin}, nil
		}
	})
	_, err := r.Delete(t.Context(), "acme", 2)
	var waits *client.ApprovalError
	if !errors.As(err, &waits) || store.CodeOf(err) != store.Unavailable || waits.Approval.TenantID != "acme" {
		t.Fatalf("Delete: %v", err)
	}
	if err := r.DeleteDisabled(t.Context(), "acme", 2); !errors.As(err, &waits) {
		t.Errorf("DeleteDisabled: %v", err)
	}
	if _, err := r.Client.Resume(t.Context(), client.ResumeRequest{}); !errors.As(err, &waits) || waits.Approval.Action != store.ApproveResume {
		t.Errorf("Resume: %v", err)
	}
	all, err := r.Approvals(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("Approvals: %+v, %v", all, err)
	}
	who = "bob"
	body, err := r.Approve(t.Context(), all[1].ID) // of DeleteDisabled, which has no body
	if err != nil || len(body) != 0 {
		t.Errorf("Approve: %s, %v", body, err)
	}
	if got, err := r.Approval(t.Context(), all[1].ID); err != nil || got.Status != store.ApprovalApproved {
		t.Errorf("Approval: %+v, %v", got, err)
	}
	if _, err := r.Approve(t.Context(), all[0].ID); store.CodeOf(err) != store.Gone {
		t.Errorf("Approve of what is gone: %v", err)
	}
	if got, err := r.Reject(t.Context(), all[2].ID, client.RejectRequest{Reason: "not now"}); err != nil || got.Status != store.ApprovalRejected || got.DecidedBy != "bob" || got.Reason != "not now" {
		t.Errorf("Reject: %+v, %v", got, err)
	}
}

func TestApprovals_EveryStepIsInTheAuditTrail_G8(t *testing.T) {
	r := disabledRig(t)
	a := pendingOf(t, by(t, r, "alice", "DELETE /api/v1/tenants/acme?version=2", ""))
	if res := by(t, r, "bob", "POST /api/v1/approvals/"+a.ID+"/actions/approve", ""); res.status != http.StatusNoContent {
		t.Fatalf("approve: %d %s", res.status, res.body)
	}
	entries, err := r.store.Audit(t.Context(), 3, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, string(e.Action)+" by "+e.Actor+" "+e.Detail["approvalId"])
	}
	if len(got) < 3 || got[0] != "approval.request by alice "+a.ID || got[1] != "approval.approve by bob "+a.ID {
		t.Errorf("entries %q; want the request and the approval, then the purge", got)
	}
	if last := entries[len(entries)-1]; last.Action != store.ActionPurge {
		t.Errorf("the last entry is %+v", last)
	}
}
