package api

import (
	"context"
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

// key is the header of a call that may be repeated.
func key(k string) string { return client.HeaderIdempotencyKey + ": " + k }

// same fails the test unless b is a's answer again.
func same(t *testing.T, a, b answered) {
	t.Helper()
	if b.status != a.status || b.body != a.body || b.header.Get("Location") != a.header.Get("Location") ||
		b.header.Get("Content-Type") != a.header.Get("Content-Type") || a.header.Get(client.HeaderReplayed) != "" || b.header.Get(client.HeaderReplayed) != "true" {
		t.Errorf("first %d %v %s\nthen %d %v %s", a.status, a.header, a.body, b.status, b.header, b.body)
	}
}

func TestIdempotency_TheSameCallIsAnsweredTheSameAndMadeOnce(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		calls := []struct {
			what, body string
			status     int
		}{
			{"POST /api/v1/tenants", `{"id":"acme","name":"Acme"}`, http.StatusCreated},
			{"POST /api/v1/tenants/acme/actions/deactivate", `{"purgeAfterDays":15}`, http.StatusOK},
			{"POST /api/v1/tenants", `{"id":"globex"}`, http.StatusCreated},
			{"POST /api/v1/tenants/globex/actions/deactivate", "", http.StatusOK},
			{"DELETE /api/v1/tenants/globex/hold", "", http.StatusOK},
			{"POST /api/v1/purges", "", http.StatusAccepted},
		}
		first := make([]answered, len(calls))
		for i, c := range calls {
			first[i] = by(t, r, "alice", c.what, c.body, key("k "+string(rune('a'+i))))
			if first[i].status != c.status {
				t.Fatalf("%s: %d %s", c.what, first[i].status, first[i].body)
			}
		}
		head := auditHead(t, r)
		for i, c := range calls {
			same(t, first[i], by(t, r, "alice", c.what, c.body, key("k "+string(rune('a'+i)))))
		}
		if got := auditHead(t, r); got != head {
			t.Errorf("repeated calls have written %d entries", got-head)
		}
	}, byName)
}

// auditHead returns the number of the newest audit entry.
func auditHead(t *testing.T, r *rig) uint64 {
	t.Helper()
	stats, err := r.store.Stats(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return stats.AuditHead.Seq
}

func TestIdempotency_AKeyIsOfOneCallerPathMethodAndContent(t *testing.T) {
	r := newRig(t, byName).inProcess(t)
	create := func(who, body string, headers ...string) answered {
		return by(t, r, who, "POST /api/v1/tenants", body, append(headers, key("k"))...)
	}
	if res := create("alice", `{"id":"a"}`); res.status != http.StatusCreated {
		t.Fatalf("%d %s", res.status, res.body)
	}
	if res := create("bob", `{"id":"b"}`); res.status != http.StatusCreated { // bob's key, not alice's answer
		t.Errorf("another caller: %d %s", res.status, res.body)
	}
	for _, res := range []answered{create("alice", `{"id":"c"}`), create("alice", `{"id":"a"}`, "X-Tenantid: a")} {
		p := res.problem(t)
		if res.status != http.StatusConflict || p.Code != store.Conflict || p.Source == nil || p.Source.Parameter != client.HeaderIdempotencyKey || res.header.Get("Retry-After") != "" {
			t.Errorf("another content: %d %s", res.status, res.body)
		}
	}
	wait := "POST /api/v1/purges?trigger=run"
	if res := by(t, r, "alice", wait, "", key("k")); res.status != http.StatusAccepted {
		t.Errorf("a pass: %d %s", res.status, res.body)
	}
	if res := by(t, r, "alice", wait+"&wait=true", "", key("k")); res.status != http.StatusConflict {
		t.Errorf("another query: %d %s", res.status, res.body)
	}
	hold := "/api/v1/tenants/a/hold"
	if res := by(t, r, "alice", "POST "+hold, `{"reason":"r"}`, key("k")); res.status != http.StatusOK || !strings.Contains(res.body, `"hold"`) {
		t.Errorf("another path: %d %s", res.status, res.body)
	}
	if res := by(t, r, "alice", "DELETE "+hold, "", key("k")); res.status != http.StatusOK || strings.Contains(res.body, `"hold"`) {
		t.Errorf("another method: %d %s", res.status, res.body)
	}
	// Only POST and DELETE look at it.
	if res := by(t, r, "alice", "GET /api/v1/tenants/b", "", key("k")); res.status != http.StatusOK || res.header.Get(client.HeaderReplayed) != "" {
		t.Errorf("GET: %d %s", res.status, res.body)
	}
}

func TestIdempotency_BadKeysAreRefused(t *testing.T) {
	r := newRig(t, byName).inProcess(t)
	for _, k := range []string{"", strings.Repeat("x", 256), "tab\tbed", "é"} {
		res := by(t, r, "alice", "POST /api/v1/tenants", `{"id":"a"}`, key(k))
		if p := res.problem(t); res.status != http.StatusBadRequest || p.Source == nil || p.Source.Parameter != client.HeaderIdempotencyKey {
			t.Errorf("key %.20q: %d %s", k, res.status, res.body)
		}
	}
	if res := by(t, r, "alice", "POST /api/v1/tenants", `{"id":"a"}`, key(strings.Repeat("x", 255))); res.status != http.StatusCreated {
		t.Errorf("the longest key: %d %s", res.status, res.body)
	}
	// A secret and a stream are not kept.
	for _, what := range []string{"POST /api/v1/tokens", "POST /api/v1/import"} {
		if res := by(t, r, "alice", what, "", key("k")); res.status != http.StatusBadRequest || !strings.Contains(res.body, "is not kept") {
			t.Errorf("%s: %d %s", what, res.status, res.body)
		}
	}
}

func TestIdempotency_WhoMayNotCallUsesUpNoKey(t *testing.T) {
	role := client.RoleViewer
	r := newRig(t, func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) { return Caller{Actor: store.Actor{ID: "jane"}, Role: role}, nil }
	}).inProcess(t)
	if res := raw(t, r, "POST /api/v1/tenants", `{"id":"a"}`, key("k")); res.status != http.StatusForbidden {
		t.Fatalf("%d %s", res.status, res.body)
	}
	role = client.RoleOperator
	if res := raw(t, r, "POST /api/v1/tenants", `{"id":"a"}`, key("k")); res.status != http.StatusCreated {
		t.Fatalf("%d %s", res.status, res.body)
	}
	role = client.RoleViewer // no longer one who may, and so none who is told
	if res := raw(t, r, "POST /api/v1/tenants", `{"id":"a"}`, key("k")); res.status != http.StatusForbidden {
		t.Errorf("%d %s", res.status, res.body)
	}
}

// held is an engine whose passes wait, and then end in an error or a panic.
type held struct {
	Engine
	began, end chan struct{}
	err        error
	passes     atomic.Int64
}

func (h *held) Run(context.Context, purge.Trigger) (purge.Report, error) {
	h.passes.Add(1)
	h.began <- struct{}{}
	<-h.end
	if h.err == nil {
		panic("a defect")
	}
	return purge.Report{}, h.err
}

func TestIdempotency_OneUnderWayIsAConflictToTryAgainAndErrorsAreNotKept(t *testing.T) {
	for _, err := range []error{
		store.Errorf(store.Unavailable, "later"), store.Errorf(store.Internal, "broken"), store.Errorf(store.Exhausted, "limit"), nil,
	} {
		engine := &held{began: make(chan struct{}, 1), end: make(chan struct{}), err: err}
		r := newRig(t, byName, func(o *Options) { engine.Engine, o.Engine = o.Engine, engine }).inProcess(t)
		call := func() answered { return by(t, r, "alice", "POST /api/v1/purges?wait=true", "", key("k")) }
		var first answered
		var wg sync.WaitGroup
		wg.Go(func() { first = call() })
		<-engine.began
		if res := call(); res.status != http.StatusConflict || res.header.Get("Retry-After") != "1" || res.problem(t).Code != store.Conflict {
			t.Errorf("while it is under way: %d %s", res.status, res.body)
		}
		close(engine.end)
		wg.Wait()
		if first.status < 429 {
			t.Errorf("the first: %d %s", first.status, first.body)
		}
		if res := call(); res.status != first.status || res.header.Get(client.HeaderReplayed) != "" || engine.passes.Load() != 2 {
			t.Errorf("after %v: %d %s, %d passes", err, res.status, res.body, engine.passes.Load())
		}
	}
}

func TestIdempotency_OfManyCallsAtATimeOneIsMade(t *testing.T) {
	r := newRig(t, byName).inProcess(t)
	var made atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch res := by(t, r, "alice", "POST /api/v1/tenants", `{"name":"one"}`, key("k")); {
			case res.status == http.StatusCreated && res.header.Get(client.HeaderReplayed) == "":
				made.Add(1)
			case res.status == http.StatusCreated:
			case res.status != http.StatusConflict || res.header.Get("Retry-After") == "":
				t.Errorf("%d %s", res.status, res.body)
			}
		})
	}
	wg.Wait()
	all, err := r.store.Tenants(t.Context(), store.Filter{})
	if err != nil || len(all) != 1 || made.Load() != 1 {
		t.Errorf("%d calls were made, %d tenants are there, %v", made.Load(), len(all), err)
	}
}

func TestIdempotency_ACallerThatLeavesFindsItsAnswerLater(t *testing.T) {
	engine := &patient{began: make(chan struct{}), end: make(chan struct{})}
	r := newRig(t, byName, func(o *Options) { engine.Engine, o.Engine = o.Engine, engine }).inProcess(t)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://purger/api/v1/purges?wait=true", nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Test-Caller", "alice")
		req.Header.Set(client.HeaderIdempotencyKey, "k")
		if res, err := r.transport.RoundTrip(req); err == nil {
			res.Body.Close()
			t.Errorf("answered %s", res.Status)
		}
	}()
	<-engine.began
	leave()
	<-left
	close(engine.end)
	for deadline := time.Now().Add(30 * time.Second); ; {
		res := by(t, r, "alice", "POST /api/v1/purges?wait=true", "", key("k"))
		if res.status == http.StatusOK && res.header.Get(client.HeaderReplayed) == "true" {
			break
		}
		if res.status != http.StatusConflict || time.Now().After(deadline) {
			t.Fatalf("%d %s", res.status, res.body)
		}
	}
}

// patient is an engine whose pass takes until it is told, unless its context ends.
type patient struct {
	Engine
	began, end chan struct{}
}

func (s *patient) Run(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
	close(s.began)
	select {
	case <-s.end:
		report, err := s.Plan(ctx)
		report.Trigger, report.Result = trigger, purge.ResultOK
		return report, err
	case <-ctx.Done():
		return purge.Report{}, context.Cause(ctx)
	}
}

func TestIdempotency_OfACallThatWaitsForASecondPersonIsThatAnswer(t *testing.T) {
	r := disabledRig(t)
	del := func() answered { return by(t, r, "alice", "DELETE /api/v1/tenants/acme?version=2", "", key("k")) }
	first := del()
	a := pendingOf(t, first)
	approve := func() answered {
		return by(t, r, "bob", "POST /api/v1/approvals/"+a.ID+"/actions/approve", "", key("k"))
	}
	done := approve()
	if done.status != http.StatusNoContent {
		t.Fatalf("approve: %d %s", done.status, done.body)
	}
	// The tenant is gone, and what was kept of it.
	again := del()
	if again.status != http.StatusAccepted || again.header.Get("Location") != first.header.Get("Location") || again.header.Get(client.HeaderReplayed) != "true" ||
		again.json(t)["status"] != "deleted" || again.json(t)["id"] != "acme" {
		t.Errorf("asked for again: %d %v %s", again.status, again.header, again.body)
	}
	same(t, done, approve())
}

// A call that was refused has changed nothing, so that the next one with its key may
// be another one, and be right.
func TestIdempotency_ARefusedCallLeavesItsKeyFree(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme", Hostname: "acme.example.com"})
		call := func(what, body string, want int, headers ...string) {
			t.Helper()
			res := by(t, r, "alice", what, body, append(headers, key("k"))...)
			if res.status != want || res.header.Get(client.HeaderReplayed) != "" {
				t.Errorf("%s %s: %d %v %s; want %d", what, body, res.status, res.header, res.body, want)
			}
		}
		deactivate := "POST /api/v1/tenants/acme/actions/deactivate"
		call(deactivate, `{"purgeAfterDays":15}`, http.StatusBadRequest) // no host name
		call(deactivate, `{"purgeAfterDays":1}`, http.StatusBadRequest, "X-Confirm-Hostname: acme.example.com")
		call(deactivate, `{"purgeAfterDays":15}`, http.StatusOK, "X-Confirm-Hostname: acme.example.com")
		retry := "POST /api/v1/tenants/late/actions/reactivate"
		call(retry, "", http.StatusNotFound)
		r.create(t, client.NewTenant{ID: "late"})
		call(retry, "", http.StatusOK)
		call("DELETE /api/v1/tenants/acme?version=1", "", http.StatusConflict)
		call("DELETE /api/v1/tenants/acme?version=2", "", http.StatusNoContent)
	}, byName)
}

// Whoever uses up a share leaves that of others.
func TestIdempotency_OneCallerUsesUpAShare(t *testing.T) {
	a, b, c := Caller{Actor: store.Actor{ID: "a"}}, Caller{Actor: store.Actor{ID: "a", Name: "A"}}, Caller{Actor: store.Actor{ID: "c"}}
	req, err := http.NewRequest(http.MethodPost, "http://purger/api/v1/tenants", nil)
	if err != nil {
		t.Fatal(err)
	}
	owner := func(c Caller) [32]byte { return attemptOf(&request{Request: req, caller: c}, "k", nil).Owner }
	if owner(a) != owner(b) || owner(a) == owner(c) || owner(a) == [32]byte{} {
		t.Errorf("owners %x, %x, %x", owner(a), owner(b), owner(c))
	}
}
