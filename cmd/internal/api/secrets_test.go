package api

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge/client"
)

// leak is in everything that must not be told to the log.
const leak = "hunter2"

// textLog is a log in memory, as a daemon writes it.
type textLog struct{ strings.Builder }

// Sync is for zap.
func (*textLog) Sync() error { return nil }

// TestLog_HoldsNeitherTokenNorBody makes calls, bad ones too, whose tokens, bodies,
// queries and header fields are secret, with a log at debug. No line has any of it,
// each line of a request has the trace id of its answer, and the routes that are
// counted are those of the table.
func TestLog_HoldsNeitherTokenNorBody(t *testing.T) {
	log := &textLog{}
	reg := prometheus.NewPedanticRegistry()
	key, other := newSigning(t, jose.EdDSA, "1"), newSigning(t, jose.EdDSA, leak)
	w := newWires(t, func(o *Options) {
		o.Logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(log)), zapcore.DebugLevel))
		o.Metrics = metrics.New(reg, metrics.Build{})
		tokens := newTokens(t, writeKeys(t, key.jwk()))
		o.Authenticate, o.Remote = tokens.Authenticate, true
		local, err := NewLocalTokens()
		if err != nil {
			t.Fatal(err)
		}
		o.Tokens = local
	})
	// A tenant that there is, and secrets in the claims of those who ask.
	good := key.token(t, claimsOf(map[string]any{"roles": []string{"super_admin"}, "name": leak + " Doe", "email": leak + "@example.com"}))
	auth := "Authorization: Bearer " + good
	tokens := []string{good}
	refused := func(token string) string {
		tokens = append(tokens, token)
		return get("GET /api/v1/status", "Authorization: Bearer "+token)
	}
	requests := []string{
		post("POST /api/v1/tenants", `{"id":"acme","name":"`+leak+`","licenseKey":"`+leak+`","datacenter":"`+leak+`"}`, "Content-Type: application/json", auth),
		post("POST /api/v1/tokens", `{"role":"viewer"}`, "Content-Type: application/json", auth),
		post("POST /api/v1/pause", `{"reason":"`+leak+`"}`, "Content-Type: application/json", auth),
		post("POST /api/v1/tenants/acme/hold", `{"reason":"`+leak+`"}`, "Content-Type: application/json", auth, "Idempotency-Key: "+leak),
		refused(other.token(t, claimsOf(map[string]any{"sub": leak}))), refused(key.token(t, claimsOf(map[string]any{"aud": leak}))), refused(key.token(t, claimsOf(map[string]any{"iss": leak}))),
		refused(key.token(t, claimsOf(map[string]any{"exp": 1, "sub": leak}))), refused(key.token(t, claimsOf(map[string]any{"exp": leak}))), refused(forged(t, "none", nil, claimsOf(map[string]any{"sub": leak}))),
		refused(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+leak+`"}`)) + ".e30.e30"), refused(leak), refused(leak + "," + leak), get("GET /api/v1/status", "Authorization: Basic "+leak),
		get("GET /api/v1/tenants/"+leak+"%00", auth), get("GET /api/v1/tenants?page="+leak, auth), get("GET /api/v1/tenants?"+leak+"=1", auth), get("GET /"+leak, auth), get("GET /api/v1/status", auth, "Cookie: "+leak, "X-Confirm-Hostname: "+leak),
		get("DELETE /api/v1/tenants/acme/hold", auth, "X-Confirm-Hostname: "+leak), get("GET /api/v1/plan", auth, "x-tenantid: %"+leak), "BREW /api/v1/tenants/acme HTTP/1.1\r\nHost: " + leak + "\r\n" + auth + "\r\nConnection: close\r\n\r\n",
	}
	for _, c := range slices.Concat(badBodies(), badNumbers(), badPaths(), badHeaders()) {
		bad := strings.NewReplacer(`"id":"x"`, `"id":"x"`, "\r\nHost: purger\r\n", "\r\nHost: purger\r\n"+auth+"\r\n", `"x"`, `"`+leak+`"`, "s3cr3t", leak).Replace(c.request)
		requests = append(requests, regexp.MustCompile(`(?m)^Content-Length: .*\r\n`).ReplaceAllStringFunc(bad, func(string) string {
			_, body, _ := strings.Cut(bad, "\r\n\r\n")
			return "Content-Length: " + encoding(t, len(body)) + "\r\n"
		}))
	}
	traces := map[string]bool{}
	for _, request := range requests {
		for _, a := range answersOf(t, w.send(t, "tcp", request)) {
			if a.header.Get("Content-Type") != client.ContentJSON || a.status < 400 {
				continue
			}
			id, _ := a.json(t)["traceId"].(string)
			if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) || traces[id] {
				t.Errorf("trace id %q in %s", id, a.body)
			}
			traces[id] = true
		}
	}
	w.handling.Wait() // every line is written
	text := log.String()
	for _, token := range tokens {
		parts := append(strings.Split(token, "."), token)
		for _, part := range parts {
			if len(part) > len(leak) && strings.Contains(text, part) {
				t.Errorf("the log has %q of a token", part)
			}
		}
	}
	n := 0
	for line := range strings.Lines(text) {
		// Who asked to be called so by a key that is not known is the one exception:
		// without the name nobody finds the key that is missing.
		if strings.Contains(line, leak) && !strings.Contains(line, `no key fits a token with kid \"`+leak) {
			t.Errorf("a line holds what was sent: %s", line)
		}
		if strings.Contains(line, `"msg":"request"`) {
			n++
			if id := regexp.MustCompile(`"trace_id":"([0-9a-f]{32})"`).FindStringSubmatch(line); id == nil {
				t.Errorf("a line without a trace id: %s", line)
			} else {
				delete(traces, id[1])
			}
		}
	}
	if len(traces) > 0 {
		t.Errorf("%d of the answers have a trace id that the log has not", len(traces))
	}
	if reached := w.takeReached(); n != len(reached) || n < 180 {
		t.Errorf("%d lines for %d requests", n, len(reached))
	}
	w.wantKnownRoutes(t, reg)
}

// wantKnownRoutes checks that the routes that were counted are those of the table,
// with and without their methods.
func (w *wires) wantKnownRoutes(t *testing.T, reg prometheus.Gatherer) {
	t.Helper()
	known := map[string]bool{unmatched: true}
	for _, e := range (&server{}).endpoints() {
		known[e.url()], known[e.method+" "+e.url()] = true, true
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]bool{}
	for _, f := range families {
		if f.GetName() != "purger_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "route" {
					routes[l.GetValue()] = true
				}
			}
		}
	}
	for route := range routes {
		if !known[route] {
			t.Errorf("the route %q was counted", route)
		}
	}
	if len(routes) < 10 {
		t.Errorf("routes %v", routes)
	}
}
