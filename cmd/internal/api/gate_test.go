package api

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// gateOf returns a gate over a store with a small forest: root (active) with sub,
// off (disabled) with child, each with a host name.
func gateOf(t *testing.T, policy GatePolicy) (*Gate, *rig) {
	t.Helper()
	r := newRig(t).inProcess(t)
	if err := r.store.LoadAccess(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []client.NewTenant{
		{ID: "root", Hostname: "root.example.com"}, {ID: "sub", ParentID: "root", Hostname: "sub.example.com"},
		{ID: "off"}, {ID: "child", ParentID: "off", Hostname: "child.example.com"},
	} {
		if _, err := r.Create(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	r.deactivate(t, "off")
	return NewGate(GateOptions{Keeper: r.store, Policy: func() GatePolicy { return policy }, Authenticate: bearerOf(map[string]Caller{
		"viewer": {Role: client.RoleViewer}, "tenant": {Role: client.RoleTenant, TenantID: "root"},
	})}), r
}

// deactivate begins a tenant's grace period.
func (r *rig) deactivate(t *testing.T, id string) {
	t.Helper()
	if _, err := r.store.Update(t.Context(), id, store.Update{
		Origin: store.Origin{Actor: store.Actor{ID: "x"}, At: time.Now()}, Change: store.Deactivate(0, store.Grace{}, nil),
	}); err != nil {
		t.Fatal(err)
	}
}

// bearerOf knows callers by their token.
func bearerOf(callers map[string]Caller) func(*http.Request) (Caller, error) {
	return func(r *http.Request) (Caller, error) {
		token, err := bearer(r.Header)
		if err != nil {
			return Caller{}, err
		}
		c, ok := callers[token]
		if !ok {
			return Caller{}, store.Errorf(store.Unauthenticated, "token: unknown")
		}
		return c, nil
	}
}

// askGate asks with headers such as "X-Tenant-Id: acme".
func askGate(t *testing.T, g *Gate, what string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	method, path := methodOf(what)
	req := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	req.RemoteAddr = "127.0.0.1:5000"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "From" {
			req.RemoteAddr = value
			continue
		}
		req.Header.Add(name, value)
	}
	rec := httptest.NewRecorder()
	watch(t, g).ServeHTTP(rec, req)
	return rec
}

func TestGate_AnswersForIdsAndHosts(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback})
	for _, c := range []struct {
		headers []string
		status  int
		code    string
	}{
		{[]string{"X-Tenant-Id: root"}, 204, ""},
		{[]string{"X-Tenant-Id: sub"}, 204, ""},
		{[]string{"X-Tenant-Id: off"}, 401, "TENANT_DEACTIVATED"},
		{[]string{"X-Tenant-Id: child"}, 401, "TENANT_DEACTIVATED"},
		{[]string{"X-Tenant-Id: nobody"}, 401, "TENANT_UNKNOWN"},
		{[]string{"X-Forwarded-Host: ROOT.example.com"}, 204, ""},
		{[]string{"X-Forwarded-Host: root.example.com.:8443"}, 204, ""},
		{[]string{"X-Forwarded-Host: child.example.com"}, 401, "TENANT_DEACTIVATED"},
		{[]string{"X-Forwarded-Host: nowhere.example.com"}, 401, "TENANT_UNKNOWN"},
		{[]string{"X-Forwarded-Host: [::1]:80"}, 401, "TENANT_UNKNOWN"},
		// About both: the worse one counts.
		{[]string{"X-Tenant-Id: root", "X-Forwarded-Host: sub.example.com"}, 204, ""},
		{[]string{"X-Tenant-Id: root", "X-Forwarded-Host: child.example.com"}, 401, "TENANT_DEACTIVATED"},
		{[]string{"X-Tenant-Id: off", "X-Forwarded-Host: root.example.com"}, 401, "TENANT_DEACTIVATED"},
		// What could mean one thing here and another at the upstream.
		{nil, 400, "invalid"},
		{[]string{"X-Tenant-Id: root", "X-Tenant-Id: sub"}, 400, "invalid"},
		{[]string{"X-Forwarded-Host: root.example.com", "X-Forwarded-Host: child.example.com"}, 400, "invalid"},
		{[]string{"X-Tenant-Id: ../root"}, 400, "invalid"},
		{[]string{"X-Tenant-Id: root,off"}, 400, "invalid"},
	} {
		for _, what := range []string{"GET /access", "POST /access/api/orders?x=1", "HEAD /access"} {
			rec := askGate(t, g, what, c.headers...)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.code) {
				t.Errorf("%s %q: %d %s, want %d %s", what, c.headers, rec.Code, rec.Body, c.status, c.code)
			}
		}
	}
}

// Where unknown tenants are served, a host name that purger reads otherwise than
// the upstream would be a way around the gate.
func TestGate_WhatIsNotOneHostNameIsRefusedWhateverThePolicy(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback, AllowUnknown: true})
	for _, host := range []string{
		"child.example.com, root.example.com", "root.example.com,child.example.com", "child.example.com child.example.com",
		"child.example.com..", ".child.example.com", "child..example.com", "child.example.com:80:80", "child.example.com:http",
		"child.example.com:800000", "child.example.com/", "http://child.example.com", "jo@child.example.com", "child%2eexample.com",
		"child.example.com?", "child.example.com#", "child.example.com\\", "child.example.com;", "child\u3002example.com", "\u24d2hild.example.com",
		"child.example.com\t", "[child.example.com]", "[::1", "[::1]80", "[::1]:80:80", "::1", ":80", ".", "*", strings.Repeat("a", 64) + ".example.com",
		strings.Repeat("a.", 127) + "example.com",
	} {
		if rec := askGate(t, g, "GET /access", "X-Forwarded-Host: "+host); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `"parameter":"X-Forwarded-Host"`) {
			t.Errorf("%q: %d %s", host, rec.Code, rec.Body)
		}
		if rec := askGate(t, g, "GET /access", "X-Tenant-Id: root", "X-Forwarded-Host: "+host); rec.Code != http.StatusBadRequest {
			t.Errorf("%q beside an id: %d %s", host, rec.Code, rec.Body)
		}
	}
	for _, host := range []string{"child.example.com", "CHILD.Example.com.", "child.example.com:443", "child.example.com.:8443", "child.example.com:"} {
		if rec := askGate(t, g, "GET /access", "X-Forwarded-Host: "+host); rec.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d %s, want 401", host, rec.Code, rec.Body)
		}
	}
	for _, host := range []string{"nowhere.example.com", "[::1]", "[::1]:80", "[fe80::1%eth0]", "127.0.0.1:80", "localhost"} {
		if rec := askGate(t, g, "GET /access", "X-Forwarded-Host: "+host); rec.Code != http.StatusNoContent {
			t.Errorf("%q: %d %s, want 204", host, rec.Code, rec.Body)
		}
	}
}

// An id that is not known says nothing about the host beside it.
func TestGate_AnIDThatIsNotKnownIsNoWayAroundTheHost(t *testing.T) {
	g, r := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback, AllowUnknown: true})
	r.create(t, client.NewTenant{ID: "gone", Hostname: "gone.example.com"})
	r.deactivate(t, "gone")
	if _, err := r.engine.Delete(t.Context(), purge.Deletion{ID: "gone", Actor: store.Actor{ID: "x"}}); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"child.example.com": http.StatusUnauthorized, "gone.example.com": http.StatusUnauthorized, "GONE.example.com.:443": http.StatusUnauthorized,
		"root.example.com": http.StatusNoContent, "nowhere.example.com": http.StatusNoContent,
		"root.example.com, child.example.com": http.StatusBadRequest, "child.example.com..": http.StatusBadRequest,
	} {
		for _, headers := range [][]string{{"X-Tenant-Id: nobody"}, {"X-Tenant-Id: root"}, nil} {
			rec := askGate(t, g, "GET /access", append(headers, "X-Forwarded-Host: "+host)...)
			if rec.Code != want || want == http.StatusUnauthorized && !strings.Contains(rec.Body.String(), "TENANT_DEACTIVATED") {
				t.Errorf("%q and %q: %d %s; want %d", headers, host, rec.Code, rec.Body, want)
			}
		}
	}
}

// The body is the published one, byte for byte.
func TestGate_TheRefusalIsThePublishedOne(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback})
	rec := askGate(t, g, "GET /access", "X-Tenant-Id: off", "traceparent: 00-00000000000000009a3a5a25531c1e2d-b7ad6b7169203331-01")
	const want = `{"errors":[{"title":"Tenant has been deactivated. Contact your administrator for more details.","code":"TENANT_DEACTIVATED","status":"401"}],"traceId":"00000000000000009a3a5a25531c1e2d"}`
	if rec.Body.String() != want || rec.Header().Get("Content-Type") != "application/json" || rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v\n%s\nwant\n%s", rec.Header(), rec.Body, want)
	}
	if h := rec.Header().Values(headerRefusal); h != nil {
		t.Errorf("%s, unasked: %q", headerRefusal, h)
	}
	if again := askGate(t, g, "GET /access", "X-Tenant-Id: off").Body.String(); len(again) != len(want) || again == want {
		t.Errorf("a trace id of its own: %s", again)
	}
}

// A gateway that cannot pass on bodies gets that of a refusal in a header, and by
// that tells a refusal from a 401 that is about itself.
func TestGate_TheRefusalInAHeader(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback})
	for header, want := range map[string]bool{
		"X-Tenant-Id: off": true, "X-Tenant-Id: nobody": true, "X-Forwarded-Host: child.example.com": true,
		"X-Tenant-Id: root": false, "X-Tenant-Id: ../off": false, "From: 192.0.2.1:1": false,
	} {
		rec := askGate(t, g, "GET /access", header, "X-Access-Refusal: header")
		if got := rec.Header().Get("X-Access-Refusal"); want != (got != "") || want && got != rec.Body.String() {
			t.Errorf("%s: %d with %q and %q", header, rec.Code, got, rec.Body)
		}
	}
}

// Envoy takes 200 alone for consent.
func TestGate_ConsentAs200(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback})
	for header, want := range map[string]int{"X-Tenant-Id: root": 200, "X-Tenant-Id: off": 401, "X-Tenant-Id: nobody": 401, "X-Tenant-Id: ..": 400} {
		rec := askGate(t, g, "GET /access", header, "X-Access-Allowed: 200")
		if rec.Code != want || want == 200 && rec.Body.Len() > 0 {
			t.Errorf("%s: %d %s, want %d", header, rec.Code, rec.Body, want)
		}
	}
	if rec := askGate(t, g, "GET /access", "X-Tenant-Id: root", "X-Access-Allowed: 500"); rec.Code != http.StatusNoContent {
		t.Errorf("another value: %d", rec.Code)
	}
}

func TestGate_NoAnswerMayBeKept(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback})
	for _, header := range []string{"X-Tenant-Id: root", "X-Tenant-Id: off", "X-Tenant-Id: nobody", "X-Tenant-Id: .."} {
		if rec := askGate(t, g, "GET /access", header); rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", header, rec.Code, rec.Header())
		}
	}
}

// A gateway that passes on the user's request with its body is answered at once,
// and a body that never comes does not hold the connection for ever.
func TestGate_AnswersBeforeTheBody(t *testing.T) {
	for name, head := range map[string]string{
		"length": "Content-Length: 100\r\n\r\nhello", "chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"large": "Content-Length: 1000000000\r\n\r\nhello", "continue": "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
	} {
		for tenant, want := range map[string]int{"root": 204, "off": 401, "..": 400} {
			synctest.Test(t, func(t *testing.T) {
				g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousAlways})
				conn := connect(t, g)
				began := time.Now()
				write(t, conn, "POST /access/orders HTTP/1.1\r\nHost: gate\r\nX-Tenant-Id: "+tenant+"\r\n"+head)
				if status, body, after := took(t, conn); status != want || after != 0 {
					t.Errorf("%s: %d %s after %s, want %d at once", name, status, body, after, want)
				}
				if n, err := conn.Read(make([]byte, 1)); err == nil || time.Since(began) > bodyTimeout+time.Second {
					t.Errorf("%s: %d bytes more, the connection ended after %s, %v; want %s", name, n, time.Since(began), err, bodyTimeout)
				}
			})
		}
	}
}

// A connection without bodies is kept.
func TestGate_KeepsTheConnection(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousAlways})
	conn := connect(t, g)
	answers := bufio.NewReader(conn)
	for range 3 {
		for what, want := range map[string]int{
			"GET /access HTTP/1.1\r\nX-Tenant-Id: root": 204, "HEAD /access/x HTTP/1.1\r\nX-Tenant-Id: off": 401,
			"POST /access HTTP/1.1\r\nContent-Length: 0\r\nX-Tenant-Id: off": 401, "DELETE /access HTTP/1.1\r\nX-Tenant-Id: ..": 400,
		} {
			write(t, conn, what+"\r\nHost: gate\r\n\r\n")
			method, _, _ := strings.Cut(what, " ")
			res, err := http.ReadResponse(answers, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("%q: %v", what, err)
			}
			b, err := io.ReadAll(res.Body)
			_ = res.Body.Close() // of a connection that is kept
			if err != nil || res.StatusCode != want || res.Close || len(b) > 0 != (want != 204 && method != "HEAD") {
				t.Errorf("%q: %d %v %q, %v; want %d and the connection kept", what, res.StatusCode, res.Header, b, err, want)
			}
		}
	}
}

func TestGate_UnknownTenantsByTheConfiguration(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback, AllowUnknown: true})
	for _, header := range []string{"X-Tenant-Id: nobody", "X-Forwarded-Host: nowhere.example.com"} {
		if rec := askGate(t, g, "GET /access", header); rec.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", header, rec.Code, rec.Body)
		}
	}
	if rec := askGate(t, g, "GET /access", "X-Tenant-Id: off"); rec.Code != http.StatusUnauthorized {
		t.Errorf("a deactivated one is known: %d", rec.Code)
	}
}

func TestGate_WhoMayAskByTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		anonymous string
		headers   []string
		status    int
	}{
		{AnonymousLoopback, []string{"From: 127.0.0.1:1"}, 204},
		{AnonymousLoopback, []string{"From: [::1]:1"}, 204},
		{AnonymousLoopback, []string{"From: [::ffff:127.0.0.1]:1"}, 204},
		{AnonymousLoopback, []string{"From: 192.0.2.1:1"}, 401},
		{AnonymousLoopback, []string{"From: 192.0.2.1:1", "X-Forwarded-For: 127.0.0.1"}, 401},
		{AnonymousLoopback, []string{"From: 192.0.2.1:1", "Authorization: Bearer viewer"}, 204},
		{AnonymousLoopback, []string{"From: 192.0.2.1:1", "Authorization: Bearer tenant"}, 403},
		{AnonymousLoopback, []string{"From: 192.0.2.1:1", "Authorization: Bearer forged"}, 401},
		{AnonymousAlways, []string{"From: 192.0.2.1:1"}, 204},
		{AnonymousNever, []string{"From: 127.0.0.1:1"}, 401},
		{"", []string{"From: 127.0.0.1:1"}, 401},
	} {
		g, _ := gateOf(t, GatePolicy{Anonymous: c.anonymous})
		if rec := askGate(t, g, "GET /access", append(c.headers, "X-Tenant-Id: root")...); rec.Code != c.status {
			t.Errorf("%q %q: %d %s, want %d", c.anonymous, c.headers, rec.Code, rec.Body, c.status)
		}
	}
}

func TestGate_NoStaleAnswerAfterAnAcknowledgement(t *testing.T) {
	g, r := gateOf(t, GatePolicy{Anonymous: AnonymousLoopback})
	for range 50 {
		if _, err := r.Deactivate(t.Context(), "root", client.DeactivateRequest{}, client.WithHostname("root.example.com")); err != nil {
			t.Fatal(err)
		}
		if rec := askGate(t, g, "GET /access", "X-Tenant-Id: sub"); rec.Code != http.StatusUnauthorized {
			t.Fatalf("served after its parent's deactivation was acknowledged: %d", rec.Code)
		}
		if _, err := r.Reactivate(t.Context(), "root", client.WithHostname("root.example.com")); err != nil {
			t.Fatal(err)
		}
		if rec := askGate(t, g, "GET /access", "X-Tenant-Id: sub"); rec.Code != http.StatusNoContent {
			t.Fatalf("refused after a reactivation was acknowledged: %d", rec.Code)
		}
	}
}

func TestGate_AStoreThatCannotAnswerIsNoConsent(t *testing.T) {
	r := newRig(t)
	g := NewGate(GateOptions{Keeper: r.store, Policy: func() GatePolicy { return GatePolicy{Anonymous: AnonymousAlways, AllowUnknown: true} }})
	rec := askGate(t, g, "GET /access", "X-Tenant-Id: root")
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("before the tenants are read: %d %s", rec.Code, rec.Body)
	}
	if strings.Contains(rec.Body.String(), "loaded") {
		t.Errorf("users are told what is the matter with the daemon: %s", rec.Body)
	}
}

func TestTenantAccess_ByIdForKnownCallers(t *testing.T) {
	g, _ := gateOf(t, GatePolicy{})
	r := newRig(t, as(client.RoleViewer, ""), func(o *Options) { o.Gate = g }).inProcess(t)
	for id, status := range map[string]int{"root": 204, "child": 401, "nobody": 401} {
		if res := raw(t, r, "GET /api/v1/tenants/"+id+"/access", ""); res.status != status {
			t.Errorf("%s: %d %s", id, res.status, res.body)
		}
	}
	mine := newRig(t, as(client.RoleTenant, "root"), func(o *Options) { o.Gate = g }).inProcess(t)
	if res := raw(t, mine, "GET /api/v1/tenants/root/access", ""); res.status != http.StatusNoContent {
		t.Errorf("a tenant's own: %d", res.status)
	}
	if res := raw(t, mine, "GET /api/v1/tenants/child/access", ""); res.status != http.StatusForbidden {
		t.Errorf("another tenant's: %d", res.status)
	}
}
