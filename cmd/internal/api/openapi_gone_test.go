package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// TestOpenAPI_AnswersAboutTenantsThatAreNotThere makes every call about a tenant,
// with the example of the document as its body, for one that is not known and for
// one that was purged.
func TestOpenAPI_AnswersAboutTenantsThatAreNotThere(t *testing.T) {
	r := newRig(t).inProcess(t)
	r.create(t, client.NewTenant{ID: "gone"})
	r.disable(t, 0, "gone")
	if _, err := r.Delete(t.Context(), "gone", 0); err != nil {
		t.Fatal(err)
	}
	for what, o := range described().operations() {
		if !strings.Contains(what, " /api/") || !strings.Contains(what, "{id}") {
			continue
		}
		body := ""
		if example := o.get("requestBody", "content", "application/json", "example"); example.there() {
			b, err := json.Marshal(example.value)
			if err != nil {
				t.Fatal(err)
			}
			body = string(b)
		}
		for _, p := range o.parameters() {
			if p.get("required").isTrue() && p.get("in").text() == "query" {
				what += "?" + p.get("name").text() + "=1"
			}
		}
		for id, status := range map[string]string{"nobody": "404", "gone": "410"} {
			if id == "gone" && !o.get("responses", "410").there() || !o.get("responses", "404").there() {
				continue
			}
			res := raw(t, r, strings.Replace(what, "{id}", id, 1), body)
			if got := res.problem(t).Status; got != status {
				t.Errorf("%s, %s: status %s, want %s: %s", what, id, got, status, res.body)
			}
		}
	}
	wantStatus(t, "create it again", raw(t, r, "POST /api/v1/tenants", `{"id":"gone"}`), http.StatusGone)
	o := r.options
	as(client.RoleTenant, "gone")(&o)
	mine := (&rig{handler: New(o)}).inProcess(t)
	wantStatus(t, "its own caller", raw(t, mine, "GET /api/v1/tenants/me", ""), http.StatusGone)
}

// A tenant that is being purged is changed no more.
func TestOpenAPI_AnswerAboutATenantThatIsBeingPurged(t *testing.T) {
	r := newRig(t).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme"})
	r.disable(t, days(11), "acme")
	if _, err := r.store.Claim(t.Context(), "acme", store.ClaimRequest{
		Origin: store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}, Owner: "test", Lease: time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	res := raw(t, r, "PATCH /api/v1/tenants/acme", `[{"op":"replace","path":"/name","value":"Acme"}]`)
	if p := res.problem(t); p.Status != "409" || p.Code != store.Precondition {
		t.Errorf("%+v", p)
	}
}

// The deletion that a second person approves may take long, too.
func TestOpenAPI_AnAnswerOfAnApprovalThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		r := disabledRig(t, func(o *Options) {
			o.Engine = &faulty{Engine: o.Engine, before: func() { <-end }}
			o.Policy = func() Policy { return Policy{SyncTimeout: time.Second} }
			o.Deletions = NewDeletions(nil)
		})
		a := pendingOf(t, by(t, r, "alice", "DELETE /api/v1/admin/tenants/acme", "", "x-tenantid: acme"))
		res := by(t, r, "bob", "POST /api/v1/approvals/"+a.ID+"/actions/approve", "")
		if location := res.header.Get("Location"); res.status != http.StatusAccepted || !strings.HasPrefix(location, "/api/v1/purges/") {
			t.Errorf("status %d, Location %q: %s", res.status, location, res.body)
		}
		close(end)
		if err := r.options.Deletions.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenAPI_BothMethodsOfReload(t *testing.T) {
	r := newRig(t)
	for status, err := range map[int]error{
		http.StatusBadRequest: store.Errorf(store.Invalid, "purger.yaml:3: purge.schedule"), http.StatusInternalServerError: errors.New("odd"), http.StatusNotFound: nil,
	} {
		ops := newOperations(t, r, func(o *OperationsOptions) {
			if err != nil {
				o.Reload = func(context.Context) error { return err }
			}
		})
		ops = from(t, "127.0.0.1:5000", ops)
		for _, method := range []string{"POST", "PUT"} {
			wantStatus(t, method, raw(t, ops, method+" /-/reload", ""), status)
			wantStatus(t, method+" from a page of another origin", raw(t, ops, method+" /-/reload", "", "Sec-Fetch-Site: cross-site"), http.StatusForbidden)
		}
	}
}
