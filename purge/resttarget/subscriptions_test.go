package resttarget_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// subscribed returns the ways to ask for subscriptions.
func subscribed() map[string]resttarget.Subscriptions {
	call := func(url string) resttarget.Call { return resttarget.Call{URL: url} }
	return map[string]resttarget.Subscriptions{
		"length":  {List: &resttarget.List{Call: call("/subs?tenant={tenant}"), Items: "data", ID: "id"}},
		"active":  {List: &resttarget.List{Call: call("/subs?tenant={tenant}&all=1"), Items: `data.#(status=="active")#`, ID: "id"}},
		"owner":   {List: &resttarget.List{Call: call("/subs?all=1"), Items: `data.#(status=="active")#`, ID: "id", Owner: "tenant"}},
		"paged":   {List: &resttarget.List{Call: call("/subs?tenant={tenant}"), Items: "data", ID: "id", Paging: resttarget.Paging{Type: "cursor", Param: "after", Next: "next", Size: 1}}},
		"value":   {Count: &resttarget.Count{Call: call("/subs?tenant={tenant}"), Value: "total"}},
		"number":  {Count: &resttarget.Count{Call: call("/subs?tenant={tenant}"), Value: "data.#"}},
		"header":  {Count: &resttarget.Count{Call: call("/subs?tenant={tenant}"), FromHeader: "X-Total"}},
		"by body": {Count: &resttarget.Count{Call: resttarget.Call{Method: "POST", URL: "/search", Body: `{"tenant": "{tenant}"}`}, Value: "total"}},
	}
}

// biller is an API that knows subscriptions.
type biller struct {
	mu    sync.Mutex
	seen  []string
	wrong http.HandlerFunc // answers in its place, unless nil
}

func (b *biller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.seen = append(b.seen, r.Method+" "+r.URL.Path)
	wrong := b.wrong
	b.mu.Unlock()
	if wrong != nil {
		wrong(w, r)
		return
	}
	q := r.URL.Query()
	tenant := q.Get("tenant")
	if r.URL.Path == "/search" {
		var asked struct{ Tenant string }
		_ = json.NewDecoder(r.Body).Decode(&asked)
		tenant = asked.Tenant
	}
	type sub struct {
		ID     string `json:"id"`
		Tenant string `json:"tenant"`
		Status string `json:"status"`
	}
	list := []sub{{"s1", "acme/1", "active"}, {"s2", "acme/1", "active"}, {"s3", "acme/1", "ended"}, {"s4", "globex", "active"}}
	found := []sub{}
	for _, s := range list {
		if (tenant == "" || s.Tenant == tenant) && (q.Get("all") != "" || s.Status == "active") {
			found = append(found, s)
		}
	}
	body := map[string]any{"data": found, "total": len(found)}
	w.Header().Set("X-Total", digit(len(found)))
	if after := q.Get("after"); after != "" && len(found) > 1 {
		body["data"] = found[1:]
	} else if len(found) > 1 && strings.HasSuffix(r.Header.Get("X-Paged"), "yes") {
		body["data"], body["next"] = found[:1], "more"
	}
	answer(w, http.StatusOK, body)
}

// digit renders a small number.
func digit(n int) string { return string(rune('0' + n)) }

// billed returns a target that only counts subscriptions.
func billed(t *testing.T, b *biller, name string, s resttarget.Subscriptions) *resttarget.Target {
	t.Helper()
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	cfg := resttarget.Config{Name: "billing", BaseURL: server.URL, Subscriptions: &s, Timeout: 300 * time.Millisecond, MaxBody: 100_000}
	if name == "paged" {
		cfg.Headers = map[string]string{"X-Paged": "yes"}
	}
	return newTarget(t, cfg)
}

func TestActiveSubscriptions_ByLengthAndByValue_G4(t *testing.T) {
	for name, s := range subscribed() {
		b := &biller{}
		target := billed(t, b, name, s)
		if !target.CountsSubscriptions() || len(target.Kinds()) != 0 {
			t.Errorf("%s: it holds %v", name, target.Kinds())
		}
		if n, err := target.ActiveSubscriptions(t.Context(), "acme/1"); err != nil || n != 2 {
			t.Errorf("%s: %d, %v; want 2", name, n, err)
		}
		if n, err := target.ActiveSubscriptions(t.Context(), "nobody&tenant=globex"); err != nil || n != 0 {
			t.Errorf("%s, of nobody: %d, %v; want 0", name, n, err)
		}
		if err := target.Check(t.Context()); err != nil {
			t.Errorf("%s: Check: %v", name, err)
		}
		for _, s := range b.seen {
			if !strings.HasPrefix(s, "GET /subs") && s != "POST /search" {
				t.Errorf("%s: called %s", name, s)
			}
		}
	}
}

// Absence is never consent.
func TestActiveSubscriptions_WhatIsNoNumberIsAnError(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	const down = store.Unavailable
	is := func(body string) http.HandlerFunc { return written("application/json", body) }
	cases := append(faults(release, "http://stranger.example/"), []fault{
		{"404", status(404, "Content-Type", "application/json"), store.NotFound, "", 0},
		{"204", status(204), down, "", 0},
		{"nothing", is(`{}`), down, "", 0},
		{"null", is(`{"data":null,"total":null}`), down, "", 0},
		{"an error with 200", is(`{"error":"no such tenant"}`), down, "", 0},
		{"objects", is(`{"data":{},"total":{}}`), down, "", 0},
		{"a negative number", is(`{"data":[{"status":"active"}],"total":-1}`), down, "", 0},
		{"a fraction", is(`{"data":[{"status":"active"}],"total":0.5}`), down, "", 0},
		{"a boolean", is(`{"data":false,"total":false}`), down, "", 0},
		{"a text", is(`{"data":"","total":"none"}`), down, "", 0},
	}...)
	for name, s := range subscribed() {
		b := &biller{}
		target := billed(t, b, name, s)
		for _, c := range cases {
			if name == "number" && (c.name == "a negative number" || c.name == "a fraction") {
				continue // an array has a length, whatever is in it
			}
			b.mu.Lock()
			b.wrong = c.do
			b.mu.Unlock()
			n, err := target.ActiveSubscriptions(t.Context(), "acme/1")
			if store.CodeOf(err) != c.list || n != 0 {
				t.Errorf("%s, %s: %d, %v (%s); want the code %s", name, c.name, n, err, store.CodeOf(err), c.list)
			}
			waits(t, c.name, err, c.wait)
		}
		if err := target.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "subscriptions") {
			t.Errorf("%s: Check: %v", name, err)
		}
		found, err := target.Diagnose(t.Context())
		if err != nil || len(found) == 0 || found[0].Severity != purge.SeverityError || found[0].Subject != "subscriptions" {
			t.Errorf("%s: Diagnose: %+v, %v", name, found, err)
		}
	}
}

func TestActiveSubscriptions_WithoutTheRequestItIsNotAsked(t *testing.T) {
	target := newTarget(t, sound())
	if target.CountsSubscriptions() {
		t.Error("it says that it counts subscriptions")
	}
	if n, err := target.ActiveSubscriptions(t.Context(), "acme"); store.CodeOf(err) != store.Invalid {
		t.Errorf("%d, %v; want it refused", n, err)
	}
}
