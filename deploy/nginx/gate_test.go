//go:build long

package nginx_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

func TestNginx_OnlyWhomPurgerServesReachesTheApplication(t *testing.T) {
	g := startNginx(t, newDaemon(t, ""), nil)
	t.Run("verdicts", func(t *testing.T) { verdicts(t, g) })
	t.Run("bodies", func(t *testing.T) { bodies(t, g) })
	t.Run("forgeries", func(t *testing.T) {
		forgeries(t, g)
		// The question is not for clients.
		for _, path := range []string{"/purger-access", "/purger-access?x", "/%70urger-access", "/./purger-access", "//purger-access", "/x/../purger-access"} {
			if a := g.get(t, "root.example.com", path); a.status != http.StatusNotFound {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		g.mustReachNothing(t, "the question")
	})
	t.Run("outage", func(t *testing.T) { outage(t, g, http.StatusServiceUnavailable) })
}

func TestCaddy_OnlyWhomPurgerServesReachesTheApplication(t *testing.T) {
	g := startCaddy(t, newDaemon(t, ""))
	t.Run("verdicts", func(t *testing.T) { verdicts(t, g) })
	t.Run("bodies", func(t *testing.T) { bodies(t, g) })
	t.Run("forgeries", func(t *testing.T) { forgeries(t, g) })
	t.Run("outage", func(t *testing.T) { outage(t, g, http.StatusBadGateway) })
}

// A 401 that is about nginx and not about the client is none for the client.
func TestNginx_ThatPurgerDoesNotKnowServesNobody(t *testing.T) {
	g := startNginx(t, newDaemon(t, "api: {gate: {anonymous: never}}\n"), nil)
	for _, host := range []string{"root.example.com", "off.example.com"} {
		if a := g.get(t, host, "/"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"code":"unavailable"`) || strings.Contains(a.body, "oken") {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
		g.mustReachNothing(t, host)
	}
}

// Where nginx knows the tenant by something else, such as a table of paths, purger
// is asked about the id that the application is told.
func TestNginx_ByTenantID(t *testing.T) {
	g := startNginx(t, newDaemon(t, ""), map[string]string{
		`(map \$host \$purger_tenant \{\s*)default "";`: `map $$uri $$purger_tenant { default "none"; "~^/t/(?<named>[^/]+)/" $$named;`,
	})
	s := g.mustServe(t, "root", g.get(t, "shared.example.com", "/t/root/orders", "X-Tenant-Id: off"))
	if got := s.header["X-Tenant-Id"]; len(got) != 1 || got[0] != "root" {
		t.Errorf("the application was told of %q", got)
	}
	for path, code := range map[string]string{
		"/t/off/orders": "TENANT_DEACTIVATED", "/t/child/orders": "TENANT_DEACTIVATED", "/t/gone/orders": "TENANT_DEACTIVATED", "/t/nobody/": "TENANT_UNKNOWN",
		"/orders": "TENANT_UNKNOWN", "/t/%6fff/orders": "TENANT_DEACTIVATED", "/t/root/../off/orders": "TENANT_DEACTIVATED",
		"/t/root/%2e%2e/off/orders": "TENANT_DEACTIVATED", "/t//off/orders": "TENANT_DEACTIVATED", "/%74/off/orders": "TENANT_DEACTIVATED", "/t/root/..%2foff/orders": "TENANT_DEACTIVATED",
	} {
		g.mustRefuse(t, path, code, g.get(t, "shared.example.com", path, "X-Tenant-Id: root"))
	}
	// However a path is written, the application is told of the tenant that was judged.
	for _, path := range []string{"/t/off/../root/orders", "/t/off/%2e%2e/root/orders", "/t/off%2f..%2froot/orders", "/t/root%2Forders"} {
		s := g.mustServe(t, path, g.get(t, "shared.example.com", path, "X-Tenant-Id: off"))
		if got := s.header["X-Tenant-Id"]; len(got) != 1 || got[0] != "root" {
			t.Errorf("%s: the application was told of %q", path, got)
		}
	}
}

// verdicts are of the tenants as they are, and at once of those that change.
func verdicts(t *testing.T, g *gateway) {
	for _, host := range []string{"root.example.com", "sub.example.com", "SUB.example.com:8443"} {
		s := g.mustServe(t, host, g.get(t, host, "/orders?open=1"))
		if s.method != http.MethodGet || s.uri != "/orders?open=1" {
			t.Errorf("%s: the application saw %+v", host, s)
		}
	}
	for host, code := range map[string]string{
		"off.example.com": "TENANT_DEACTIVATED", "OFF.Example.COM:443": "TENANT_DEACTIVATED", "child.example.com": "TENANT_DEACTIVATED",
		"gone.example.com": "TENANT_DEACTIVATED", "nobody.example.com": "TENANT_UNKNOWN", "127.0.0.1": "TENANT_UNKNOWN",
	} {
		const trace = "00000000000000009a3a5a25531c1e2d"
		if got := g.mustRefuse(t, host, code, g.get(t, host, "/orders", "traceparent: 00-"+trace+"-b7ad6b7169203331-01")); got != trace {
			t.Errorf("%s: trace id %s, want that of traceparent", host, got)
		}
		one, two := g.mustRefuse(t, host, code, g.get(t, host, "/")), g.mustRefuse(t, host, code, g.get(t, host, "/"))
		if one == two {
			t.Errorf("%s: two answers have the trace id %s", host, one)
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions} {
			g.mustRefuse(t, method+" "+host, code, g.ask(t, method, requestOf(method, host, "/orders")))
		}
		if a := g.ask(t, http.MethodHead, requestOf("HEAD", host, "/")); a.status != http.StatusUnauthorized || a.body != "" {
			t.Errorf("HEAD %s: %d %q", host, a.status, a.body)
		}
		g.mustReachNothing(t, "HEAD")
	}
	// The application's own answers are its own.
	if a := g.get(t, "root.example.com", "/private"); a.status != http.StatusUnauthorized || !strings.HasPrefix(a.body, "served /private") {
		t.Errorf("the application's own 401: %d %s", a.status, a.body)
	}
	g.app.take()
	for range 2 {
		g.daemon.purger(t, "tenant", "deactivate", "root")
		g.mustRefuse(t, "sub, after a deactivation", "TENANT_DEACTIVATED", g.get(t, "sub.example.com", "/"))
		g.daemon.purger(t, "tenant", "reactivate", "root")
		g.mustServe(t, "sub, after a reactivation", g.get(t, "sub.example.com", "/"))
	}
}

// bodies reach the application whole, or not at all, and are not waited for.
func bodies(t *testing.T, g *gateway) {
	body := strings.Repeat("0123456789", 100_000)
	post := func(host string) string {
		return requestOf("POST", host, "/orders", fmt.Sprintf("Content-Length: %d", len(body)))
	}
	if s := g.mustServe(t, "POST", g.ask(t, http.MethodPost, post("root.example.com")+body)); s.body != body || s.method != http.MethodPost {
		t.Errorf("the application saw %s with %d bytes", s.method, len(s.body))
	}
	chunked := requestOf("POST", "root.example.com", "/orders", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n"
	if s := g.mustServe(t, "chunks", g.ask(t, http.MethodPost, chunked)); s.body != "hello" {
		t.Errorf("the application saw %q", s.body)
	}
	// Without a byte of the body.
	for _, more := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked", "Expect: 100-continue\r\nContent-Length: 1000000"} {
		g.mustRefuse(t, "POST, "+more, "TENANT_DEACTIVATED", g.ask(t, http.MethodPost, requestOf("POST", "off.example.com", "/orders", more)))
	}
	// A connection is for the next request, whatever became of the one before.
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(deploytest.Patience)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	for _, host := range []string{"off", "root", "off", "root"} {
		if _, err := fmt.Fprintf(conn, "POST /orders HTTP/1.1\r\nHost: %s.example.com\r\nContent-Length: 5\r\n\r\nhello", host); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%s on a connection that is kept: %v", host, err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close() // of a connection that is kept
		if want := map[string]int{"off": 401, "root": 200}[host]; err != nil || res.StatusCode != want {
			t.Errorf("%s on a connection that is kept: %d %s, %v", host, res.StatusCode, b, err)
		}
	}
	if s := g.app.take(); len(s) != 2 {
		t.Errorf("the application saw %+v", s)
	}
}

// forgeries are what clients of a tenant that is not served may try.
func forgeries(t *testing.T, g *gateway) {
	const off = "off.example.com"
	forged := map[string]string{"plain": requestOf("GET", off, "/")}
	for _, h := range []string{
		"X-Tenant-Id: root", "X-Tenant-Id: root\r\nX-Tenant-Id: root", "x-tenant-id:root", "X-Tenant-Id: ", "X_Tenant_Id: root",
		"X-Forwarded-Host: root.example.com", "X-Forwarded-Host: root.example.com\r\nX-Forwarded-Host: root.example.com", "X_Forwarded_Host: root.example.com",
		"X-Forwarded-Host: root.example.com, off.example.com", "Forwarded: host=root.example.com", "X-Host: root.example.com", "X-Original-Host: root.example.com",
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Server: root.example.com", "X-Original-URL: /public", "X-Rewrite-URL: /public", "X-HTTP-Method-Override: OPTIONS",
		"X-Access-Allowed: 200", "X-Access-Refusal: none", "X-Access-Refusal: {}", "Authorization: Bearer root", "Upgrade: websocket\r\nConnection: upgrade",
		"Connection: X-Forwarded-Host", "Connection: X-Tenant-Id, X-Forwarded-Host", "Connection: Host", "Expect: 100-continue", "Cookie: tenant=root",
	} {
		forged[h] = requestOf("GET", off, "/", h)
	}
	for _, path := range []string{"/access", "/access/", "/./orders", "/a/../orders", "/%2e%2e/orders", "/orders%2f", "//root.example.com/", "/?host=root.example.com", "/orders;root.example.com", "/orders%00", "/@root.example.com"} {
		forged["path "+path] = requestOf("GET", off, path)
	}
	forged["absolute, root in Host"] = requestOf("GET", "root.example.com", "http://off.example.com/")
	forged["absolute, with a user"] = requestOf("GET", "root.example.com", "http://root.example.com@off.example.com/")
	forged["two hosts, off first"] = requestOf("GET", off, "/", "Host: root.example.com")
	forged["two hosts, root first"] = requestOf("GET", "root.example.com", "/", "Host: off.example.com")
	forged["a folded host"] = "GET / HTTP/1.1\r\nHost: off.example.com\r\n root.example.com\r\nConnection: close\r\n\r\n"
	forged["HTTP/1.0"] = "GET / HTTP/1.0\r\nHost: off.example.com\r\n\r\n"
	forged["HTTP/1.0 without a host"] = "GET / HTTP/1.0\r\n\r\n"
	forged["without a host"] = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
	for _, host := range []string{
		"off.example.com.", "off.example.com:", "off.example.com:80:80", "off.example.com, root.example.com", "root.example.com, off.example.com",
		"root.example.com/off.example.com", "off.example.com/", "off.example.com?", "off.example.com#root.example.com", "root.example.com@off.example.com",
		"off.example.com@root.example.com", "off%2eexample.com", "off.example.com\\", "off.example.com\t", "\"off.example.com\"", "[off.example.com]",
		"off..example.com", ".off.example.com", "off.example.com..", "off.example.com\xe3\x80\x82", "localhost", "purger", "_", "*", "",
	} {
		forged[fmt.Sprintf("host %q", host)] = requestOf("GET", host, "/")
	}
	for what, request := range forged {
		method, _, _ := strings.Cut(request, " ")
		a := g.ask(t, method, request)
		if !a.closed && a.status < 400 {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
		if reached := g.app.take(); len(reached) > 0 {
			t.Errorf("%s: it reached the application: %+v", what, reached)
		}
	}
	// Whoever is served is the one whom the application is told of.
	for what, request := range map[string]string{
		"absolute, off in Host": requestOf("GET", off, "http://root.example.com/"), "no port": requestOf("GET", "root.example.com:80@off.example.com", "/"),
	} {
		a, reached := g.ask(t, http.MethodGet, request), g.app.take()
		for _, s := range reached {
			if got := s.header["X-Forwarded-Host"]; s.host != "root.example.com" || len(got) != 1 || got[0] != s.host {
				t.Errorf("%s: the application was told %s and %v", what, s.host, s.header)
			}
		}
		if len(reached) == 0 && a.status < 400 && !a.closed {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	// A second request in the first one's body or after it is judged by itself.
	for what, request := range map[string]string{
		"pipelined": "GET / HTTP/1.1\r\nHost: root.example.com\r\n\r\n" + requestOf("GET", off, "/stolen"),
		"CL.TE":     "POST / HTTP/1.1\r\nHost: root.example.com\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + requestOf("GET", off, "/stolen"),
		"TE.TE":     "POST / HTTP/1.1\r\nHost: root.example.com\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + requestOf("GET", off, "/stolen"),
		"two CL":    "POST / HTTP/1.1\r\nHost: root.example.com\r\nContent-Length: 0\r\nContent-Length: 50\r\n\r\n" + requestOf("GET", off, "/stolen"),
	} {
		g.ask(t, http.MethodGet, request)
		g.ask(t, http.MethodGet, requestOf("GET", off, "/")) // after what may still be under way
		for _, s := range g.app.take() {
			if s.host != "root.example.com" || strings.Contains(s.uri, "stolen") {
				t.Errorf("%s: it reached the application: %+v", what, s)
			}
		}
	}
	// Of a tenant that is served, too, the application hears of no other.
	s := g.mustServe(t, "headers", g.get(t, "root.example.com", "/", "X-Tenant-Id: off", "X-Tenant-Id: sub", "X_Tenant_Id: off",
		"X_Forwarded_Host: off.example.com", "X-Forwarded-Host: off.example.com", "Connection: X-Forwarded-Host"))
	if got := s.header["X-Forwarded-Host"]; s.header["X-Tenant-Id"] != nil || len(got) != 1 || got[0] != "root.example.com" || s.host != "root.example.com" {
		t.Errorf("the application was told %s and %v", s.host, s.header)
	}
	for name := range s.header {
		if strings.Contains(name, "_") {
			t.Errorf("the application was told %s, which some take for %s", name, strings.ReplaceAll(name, "_", "-"))
		}
	}
}

// outage is a purger that is killed, which serves nobody until it is back.
func outage(t *testing.T, g *gateway, status int) {
	g.mustServe(t, "before", g.get(t, "root.example.com", "/"))
	g.daemon.process.Kill()
	for _, host := range []string{"root.example.com", "off.example.com", "nobody.example.com"} {
		for range 3 {
			if a := g.get(t, host, "/"); a.status != status || strings.HasPrefix(a.body, "served") {
				t.Errorf("%s while purger is down: %d %s", host, a.status, a.body)
			}
		}
		g.mustReachNothing(t, host)
	}
	g.daemon.start(t)
	g.mustServe(t, "root, once purger is back", g.get(t, "root.example.com", "/"))
	g.mustRefuse(t, "off, once purger is back", "TENANT_DEACTIVATED", g.get(t, "off.example.com", "/"))
}
