package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// onWire is an answer in memory that takes deadlines, as a connection does.
type onWire struct{ *httptest.ResponseRecorder }

// SetReadDeadline is for [http.ResponseController].
func (onWire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is for [http.ResponseController].
func (onWire) SetWriteDeadline(time.Time) error { return nil }

// EnableFullDuplex is for [http.ResponseController].
func (onWire) EnableFullDuplex() error { return nil }

// FuzzRequest gives requests, as they come from the wire, to the whole API on a real
// store: none makes it panic or answers with a defect, and each refusal is the
// envelope. What is unavailable is so because a gate was closed by a request before.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		get("GET /api/v1/tenants"), get("GET /api/v1/tenants/acme"), get("GET /api/v1/tenants?sort=estimatedPurgeDate&limit=1"), get("GET /api/v1/tenants?sort=estimatedPurgeDate&page=Zf__________YQ"),
		get("GET /api/v1/tenants/me"), get("GET /api/v1/tenants/acme/access"), get("GET /api/v1/audit?from=1&limit=2"), get("GET /api/v1/plan"), get("GET /api/v1/status"), get("GET /api/v1/purges"), get("GET /api/v1/export"),
		get("GET /api/v1/receipts/old"), get("GET /api/v1/approvals"), get("GET /api/v1/store/stats"), get("GET /api/2/tenants/acme?allow_deleted=true"), get("OPTIONS *"), get("CONNECT a:1"), get("GET http://a/api/v1/status"),
		get("DELETE /api/v1/tenants/off?version=2", "Idempotency-Key: a"), get("DELETE /api/v1/admin/tenants/off", "x-tenantid: off"), get("DELETE /api/v1/tenants/acme/hold"),
		post("POST /api/v1/tenants", `{"id":"sub","parentId":"acme","name":"x","activeSubscriptions":1,"licenseKey":"k"}`), post("POST /api/v1/tenants", `{}`, "Content-Type: application/json", "Idempotency-Key: b"),
		post("PUT /api/v1/tenants/acme", `{"enabled":false,"version":1,"name":"y"}`), post("PATCH /api/v1/tenants/acme", `[{"op":"replace","path":"/name","value":"x"}]`, "Content-Type: application/json-patch+json"),
		post("POST /api/v1/tenants/acme/actions/deactivate", `{"purgeAfterDays":15}`), post("POST /api/v1/tenants/acme/actions/reactivate", `{}`), post("POST /api/v1/tenants/acme/actions/retry", ``),
		post("POST /api/v1/tenants/acme/hold", `{"reason":"r","until":"2199-01-01T00:00:00.000Z"}`), post("POST /api/v1/purges?wait=true&trigger=run", ``), post("POST /api/v1/pause", `{"reason":"r"}`), post("POST /api/v1/resume", `{"reason":"r","allow":1}`),
		post("POST /api/v1/store/check", ``), post("POST /api/v1/tokens", `{"role":"viewer"}`), post("POST /api/v1/import?dryRun=true", "{\"type\":\"tenant\",\"id\":\"i\"}\n", "Content-Type: application/x-ndjson"),
		"PUT /api/v1/tenants/acme HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	r := newRig(f, func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) {
			return Caller{Actor: ProcessActor(), Role: client.RoleSuperAdmin, TenantID: "acme"}, nil
		}
		local, err := NewLocalTokens()
		if err != nil {
			f.Fatal(err)
		}
		o.Tokens = local
		st := o.Store.(store.Gatekeeper)
		if err := st.LoadAccess(f.Context()); err != nil {
			f.Fatal(err)
		}
		o.Gate = NewGate(GateOptions{Keeper: st})
	})
	for _, id := range []string{"acme", "off", "old"} {
		if _, err := r.store.Create(f.Context(), store.Tenant{ID: id}, store.Origin{Actor: store.Actor{ID: "x"}, At: time.Now()}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil {
			return // net/http refuses it itself
		}
		if strings.HasPrefix(req.URL.Path, "/api/v1/store/") && req.Method != http.MethodGet {
			return // takes long, and reads nothing of the request but its path
		}
		rec := httptest.NewRecorder()
		r.handler.ServeHTTP(onWire{rec}, req.WithContext(t.Context()))
		a := answered{rec.Code, rec.Header(), rec.Body.String()}
		switch {
		case a.status == http.StatusServiceUnavailable && tellsOfGate(a):
		case a.status >= http.StatusInternalServerError:
			t.Errorf("status %d: %s", a.status, a.body)
		case a.header.Get("Content-Type") == client.ContentJSON:
			checkRefusal(t, wire, a)
		case a.status >= http.StatusBadRequest && req.Method != http.MethodHead:
			t.Errorf("status %d of type %q: %q", a.status, a.header.Get("Content-Type"), a.body)
		}
	})
}

// tellsOfGate reports whether an answer tells of a closed gate.
func tellsOfGate(a answered) bool {
	var body client.ErrorBody
	return json.Unmarshal([]byte(a.body), &body) == nil && len(body.Errors) == 1 && body.Errors[0].Meta != nil && body.Errors[0].Meta.Gate != nil
}
