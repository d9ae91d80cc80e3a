//go:build long

// Package nginx_test runs the configuration of this folder, and that of Caddy next
// to it, with the real programs: in front of a real application, with the real
// daemon behind.
package nginx_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// application is what is behind a gateway. It remembers what reached it.
type application struct {
	address string
	mu      sync.Mutex
	seen    []seen
}

// seen is a request as it reached the application.
type seen struct {
	method, uri, host, body string
	header                  http.Header
}

func startApplication(t *testing.T) *application {
	t.Helper()
	a := &application{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		at := len(a.seen)
		a.seen = append(a.seen, seen{r.Method, r.RequestURI, r.Host, "", r.Header.Clone()})
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the application reads %s %s: %v", r.Method, r.RequestURI, err)
		}
		a.seen[at].body = string(b)
		if r.URL.Path == "/private" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprintf(w, "served %s for %s", r.URL.Path, r.Host)
	}))
	t.Cleanup(s.Close)
	a.address = s.Listener.Addr().String()
	return a
}

// take returns what was seen since it was last called.
func (a *application) take() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.seen
	a.seen = nil
	return s
}

// gateway is a program in front of an application, that asks a daemon.
type gateway struct {
	address string
	process *deploytest.Process
	app     *application
	daemon  *daemon
}

// startNginx starts the nginx of purger-gate.conf, with more patterns replaced.
func startNginx(t *testing.T, d *daemon, patterns map[string]string) *gateway {
	t.Helper()
	nginx := deploytest.Program(t, "nginx")
	g := &gateway{address: deploytest.FreeAddress(t), app: startApplication(t), daemon: d}
	all := map[string]string{
		`127\.0\.0\.1:9464`: d.address, `127\.0\.0\.1:8080`: g.app.address, `127\.0\.0\.1:8000`: g.address,
	}
	for pattern, with := range patterns {
		all[pattern] = with
	}
	dir := t.TempDir()
	gate := deploytest.Rewrite(t, "purger-gate.conf", dir, all)
	var temps strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temps, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	conf := deploytest.Write(t, dir, "nginx.conf", fmt.Sprintf("daemon off; master_process off; pid %s;\nevents {}\nhttp {\naccess_log off; client_max_body_size 1g;\n%sinclude %s;\n}\n",
		filepath.Join(dir, "pid"), temps.String(), gate))
	g.process = deploytest.Start(t, t, nginx, "-p", dir, "-e", "stderr", "-c", conf)
	awaitListener(t, g.process, g.address)
	return g
}

// startCaddy starts the Caddy of the Caddyfile.
func startCaddy(t *testing.T, d *daemon) *gateway {
	t.Helper()
	caddy := deploytest.Program(t, "caddy")
	g := &gateway{address: deploytest.FreeAddress(t), app: startApplication(t), daemon: d}
	host, port, _ := strings.Cut(g.address, ":")
	dir := t.TempDir()
	file := deploytest.Rewrite(t, "../caddy/Caddyfile", dir, map[string]string{
		`127\.0\.0\.1:9464`: d.address, `127\.0\.0\.1:8080`: g.app.address, `http://:8000`: "http://:" + port, `bind 127\.0\.0\.1`: "bind " + host,
	})
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("XDG_DATA_HOME", dir)
	g.process = deploytest.Start(t, t, caddy, "run", "--adapter", "caddyfile", "--config", file)
	awaitListener(t, g.process, g.address)
	return g
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	// closed says that there was none, which a gateway does with what is no HTTP.
	closed bool
}

// ask sends bytes as a client may, and reads the answer to them. The request must
// have the method that is given.
func (g *gateway) ask(t *testing.T, method, request string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatalf("%v\n%s", err, g.process.Log())
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(deploytest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	for err == nil && res.StatusCode < 200 { // to "Expect: 100-continue"
		res, err = http.ReadResponse(in, &http.Request{Method: method})
	}
	if err != nil {
		return answer{closed: true}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return answer{res.StatusCode, res.Header, string(b), false}
}

// get asks for a path at a host, with more headers.
func (g *gateway) get(t *testing.T, host, path string, headers ...string) answer {
	t.Helper()
	return g.ask(t, http.MethodGet, requestOf("GET", host, path, headers...))
}

// requestOf returns a request without a body.
func requestOf(method, host, path string, headers ...string) string {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: " + host, "Connection: close"}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// refused matches purger's answers for a tenant's user, byte for byte apart from
// the trace id.
var refused = map[string]*regexp.Regexp{
	"TENANT_DEACTIVATED": regexp.MustCompile(`^\{"errors":\[\{"title":"Tenant has been deactivated\. Contact your administrator for more details\.","code":"TENANT_DEACTIVATED","status":"401"\}\],"traceId":"([0-9a-f]{32})"\}$`),
	"TENANT_UNKNOWN":     regexp.MustCompile(`^\{"errors":\[\{"title":"Tenant is not known\.","code":"TENANT_UNKNOWN","status":"401"\}\],"traceId":"([0-9a-f]{32})"\}$`),
}

// mustRefuse looks at the answer to a client who is not served, and returns its
// trace id. Nothing of the request may have reached the application.
func (g *gateway) mustRefuse(t *testing.T, what, code string, a answer) string {
	t.Helper()
	m := refused[code].FindStringSubmatch(a.body)
	if a.status != http.StatusUnauthorized || m == nil || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %v %q; want 401 and %s", what, a.status, a.header, a.body, code)
		m = []string{"", ""}
	}
	g.mustReachNothing(t, what)
	return m[1]
}

func (g *gateway) mustReachNothing(t *testing.T, what string) {
	t.Helper()
	if s := g.app.take(); len(s) > 0 {
		t.Errorf("%s: it reached the application: %+v", what, s)
	}
}

// mustServe looks at the answer to a client who is served, and returns the request
// as it reached the application.
func (g *gateway) mustServe(t *testing.T, what string, a answer) seen {
	t.Helper()
	s := g.app.take()
	if a.status != http.StatusOK || !strings.HasPrefix(a.body, "served ") || len(s) != 1 {
		t.Fatalf("%s: %d %v %q, the application saw %+v\n%s", what, a.status, a.header, a.body, s, g.process.Log())
	}
	return s[0]
}
