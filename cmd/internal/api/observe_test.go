package api

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// logged returns an option that keeps the log, and the log.
func logged() (func(*Options), *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return func(o *Options) { o.Logger = zap.New(core) }, logs
}

func TestLog_OneLineARequestWithoutWhatItHolds(t *testing.T) {
	keep, logs := logged()
	both(t, func(t *testing.T, r *rig) {
		logs.TakeAll()
		raw(t, r, "POST /api/v1/tenants", `{"id":"acme","name":"Personal Name"}`)
		raw(t, r, "GET /api/v1/tenants/acme?allow_deleted=true", "")
		raw(t, r, "GET /api/v1/tenants/%0a%3c0%3e", "")
		raw(t, r, "POST /api/v1/tenants", `{"id":"acme"}`)
		raw(t, r, "GET /etc/passwd", "")
		raw(t, r, "BREW /api/v1/tenants/acme", "")
		want := []struct {
			level  zapcore.Level
			route  string
			status int64
			tenant any
		}{
			{zapcore.InfoLevel, "POST /api/v1/tenants", 201, nil},
			{zapcore.InfoLevel, "GET /api/v1/tenants/{id}", 200, "acme"},
			{zapcore.InfoLevel, "GET /api/v1/tenants/{id}", 400, nil},
			{zapcore.InfoLevel, "POST /api/v1/tenants", 409, nil},
			{zapcore.InfoLevel, "unmatched", 404, nil},
			{zapcore.InfoLevel, "/api/v1/tenants/{id}", 405, nil},
		}
		// The line is written after the answer: wait for the last by another request.
		lines := logs.FilterMessage("request").All()
		for len(lines) < len(want) {
			lines = logs.FilterMessage("request").All()
		}
		for i, w := range want {
			f := lines[i].ContextMap()
			if lines[i].Level != w.level || f["route"] != w.route || f["status"] != w.status || f["tenant"] != w.tenant {
				t.Errorf("line %d: %s %v, want %+v", i, lines[i].Level, f, w)
			}
			if f["actor"] != ProcessActor().ID || len(f["trace_id"].(string)) != 32 || f["took"] == nil {
				t.Errorf("line %d: %v", i, f)
			}
			if (f["error"] != nil) != (w.status >= 400) {
				t.Errorf("line %d: error %v", i, f["error"])
			}
			for k, v := range f {
				if s, ok := v.(string); ok && (strings.Contains(s, "Personal") || strings.Contains(s, "passwd")) {
					t.Errorf("line %d: %s holds %q", i, k, s)
				}
			}
		}
	}, keep)
}

func TestLog_ADefectIsAnError(t *testing.T) {
	keep, logs := logged()
	r := newRig(t, keep, func(o *Options) {
		o.Store = &failing{Store: o.Store, err: store.Errorf(store.Internal, "corrupt")}
	}).inProcess(t)
	raw(t, r, "GET /api/v1/tenants/acme", "")
	if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("%d lines at error", n)
	}
}

// panicking is a store whose Tenant panics.
type panicking struct{ store.Store }

func (panicking) Tenant(context.Context, string) (store.Tenant, error) { panic("a defect") }

func TestPanic_IsAnAnswerAndALineAndNotTheEnd(t *testing.T) {
	keep, logs := logged()
	both(t, func(t *testing.T, r *rig) {
		logs.TakeAll()
		res := raw(t, r, "GET /api/v1/tenants/acme", "")
		if p := res.problem(t); res.status != 500 || p.Code != store.Internal || strings.Contains(res.body, "a defect") {
			t.Errorf("status %d: %s", res.status, res.body)
		}
		if l := logs.FilterMessage("a request panicked").All(); len(l) != 1 || l[0].ContextMap()["panic"] != "a defect" {
			t.Errorf("lines %+v", l)
		}
		if res := raw(t, r, "GET /api/v1/status", ""); res.status != 200 {
			t.Errorf("afterwards: status %d", res.status)
		}
	}, keep, func(o *Options) { o.Store = panicking{o.Store} })
}

func TestMetrics_RequestsAreCountedByPattern(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	r := newRig(t, func(o *Options) { o.Metrics = metrics.New(reg, metrics.Build{}) }).inProcess(t)
	r.create(t, client.NewTenant{ID: "a"}, client.NewTenant{ID: "b"})
	for _, what := range []string{"GET /api/v1/tenants/a", "GET /api/v1/tenants/b", "GET /api/v1/tenants/c", "GET /x", "GET /y", "GET /api/v1/tenants//a"} {
		raw(t, r, what, "")
	}
	// Counted after the answer: one more exchange on the same connection orders it.
	raw(t, r, "GET /api/v1/status", "")
	for _, c := range []struct {
		route, code string
		want        float64
	}{
		{"POST /api/v1/tenants", "201", 2}, {"GET /api/v1/tenants/{id}", "200", 2},
		{"GET /api/v1/tenants/{id}", "404", 1}, {"unmatched", "404", 3},
	} {
		if got := counted(t, reg, "purger_http_requests_total", "route="+c.route, "code="+c.code); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.route, c.code, got, c.want)
		}
	}
}

func TestTrace_IsTheCallersWhereItHasOne(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		const id = "4bf92f3577b34da6a3ce929d0e0e4736"
		res := raw(t, r, "GET /api/v1/tenants/x", "", "traceparent: 00-"+id+"-00f067aa0ba902b7-01")
		if got := res.json(t)["traceId"]; got != id {
			t.Errorf("trace id %v", got)
		}
		var seen []any
		for range 3 {
			seen = append(seen, raw(t, r, "GET /api/v1/tenants/x", "", "traceparent: 00-x").json(t)["traceId"])
		}
		if seen[0] == seen[1] || seen[1] == seen[2] || seen[0] == id {
			t.Errorf("trace ids %v", seen)
		}
	})
}

func TestAuthenticate_ComesBeforeEverythingElse(t *testing.T) {
	refuse := store.Errorf(store.Unauthenticated, "no token")
	both(t, func(t *testing.T, r *rig) {
		for _, what := range []string{"GET /api/v1/tenants/acme", "GET /api/v1/tenants/%00", "GET /nowhere", "PUT /api/v1/status", "GET /api/v1/tenants?x=y"} {
			res := raw(t, r, what, "")
			if p := res.problem(t); res.status != 401 || p.Detail != "no token" {
				t.Errorf("%s: status %d: %s", what, res.status, res.body)
			}
		}
		_, err := r.Create(t.Context(), client.NewTenant{ID: "x"})
		wantCode(t, err, store.Unauthenticated)
		if _, err := r.store.Tenant(t.Context(), "x"); store.CodeOf(err) != store.NotFound {
			t.Errorf("a stranger created: %v", err)
		}
	}, func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) { return Caller{}, refuse }
	})
}

func TestAuthenticate_YieldsTheActorOfTheAuditTrail(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		if _, err := r.Create(t.Context(), client.NewTenant{ID: "acme"}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Deactivate(t.Context(), "acme", client.DeactivateRequest{}); err != nil {
			t.Fatal(err)
		}
		d, err := r.Delete(t.Context(), "acme", 0)
		if err != nil || d.Data.DeletedBy != (client.DeletedBy{ID: "jane", Name: "Jane Doe", Email: "jane@example.com"}) {
			t.Errorf("deleted by %+v, %v", d.Data.DeletedBy, err)
		}
		for e, err := range r.AllAudit(t.Context(), 1) {
			if err != nil || e.Actor != "jane" {
				t.Errorf("entry %+v, %v", e, err)
			}
		}
		if receipt, err := r.Receipt(t.Context(), "acme"); err != nil || receipt.DisabledBy != "jane" {
			t.Errorf("receipt %+v, %v", receipt, err)
		}
	}, func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) {
			return Caller{Actor: store.Actor{ID: "jane", Name: "Jane Doe", Email: "jane@example.com"}, Role: client.RoleSuperAdmin}, nil
		}
	})
}

func TestPeers_RefusesWithoutAConnection(t *testing.T) {
	rec := &memory{header: http.Header{}} // of a server without our ConnContext
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	newRig(t).handler.ServeHTTP(rec, req)
	if rec.status != 401 || !strings.Contains(rec.body.String(), "unauthenticated") {
		t.Errorf("status %d: %s", rec.status, rec.body.String())
	}
}

// memory is an answer in memory.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memory) Header() http.Header         { return m.header }
func (m *memory) WriteHeader(status int)      { m.status = status }
func (m *memory) Write(p []byte) (int, error) { return m.body.Write(p) }
