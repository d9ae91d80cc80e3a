package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
)

// newOperations returns a client of the operations handler on the rig's store.
func newOperations(t *testing.T, r *rig, change func(*OperationsOptions)) *rig {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg, metrics.Build{Version: "1.2.3"})
	m.WatchStore(r.store)
	o := OperationsOptions{Gatherer: reg, Store: r.store, Scheduler: r.options.Scheduler, Version: "1.2.3<b>", Metrics: m}
	if change != nil {
		change(&o)
	}
	return (&rig{handler: OperationsHandler(o), operations: true}).inProcess(t)
}

func TestOperations_EachEndpointAnswers(t *testing.T) {
	r := newRig(t)
	ops := newOperations(t, r, nil)
	for what, want := range map[string]struct {
		status int
		says   string
	}{
		"GET /metrics":     {200, "purger_tenants{"},
		"HEAD /metrics":    {200, ""},
		"GET /-/healthy":   {200, "healthy\n"},
		"GET /-/ready":     {200, "ready\n"},
		"GET /":            {200, "purger"},
		"GET /nothing":     {404, ""},
		"GET /-/reload":    {405, ""},
		"DELETE /metrics":  {405, ""},
		"POST /-/ready":    {405, ""},
		"POST /-/reload":   {404, "there is nothing to reload"}, // whoever asks
		"GET /api/v1/plan": {404, ""},
	} {
		if res := raw(t, ops, what, ""); res.status != want.status || !strings.Contains(res.body, want.says) {
			t.Errorf("%s: status %d: %.300s", what, res.status, res.body)
		}
	}
	page := raw(t, ops, "GET /", "")
	for _, s := range []string{"/metrics", "/-/healthy", "/-/ready"} {
		if !strings.Contains(page.body, strings.TrimPrefix(s, "/")) {
			t.Errorf("the landing page has no link to %s", s)
		}
	}
	if strings.Contains(page.body, "1.2.3<b>") || !strings.Contains(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("landing page %v: %s", page.header, page.body)
	}
}

func TestOperations_MetricsSpeakOpenMetrics(t *testing.T) {
	ops := newOperations(t, newRig(t), nil)
	raw(t, ops, "GET /-/healthy", "")
	res := raw(t, ops, "GET /metrics", "", "Accept: application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(res.header.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(res.body, "# EOF\n") {
		t.Errorf("content type %q: ...%s", res.header.Get("Content-Type"), res.body[max(0, len(res.body)-80):])
	}
	if !strings.Contains(res.body, `purger_http_requests_total{code="200",route="GET /-/healthy"} 1`) {
		t.Error("the request before was not counted")
	}
}

func TestOperations_MetricsArePromtoolClean(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("promtool is missing: %v", err)
		}
		t.Skip("promtool is not installed")
	}
	ops := newOperations(t, newRig(t), nil)
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(raw(t, ops, "GET /metrics", "").body)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// unreadable is a store whose gates and statistics cannot be read.
type unreadable struct{ store.Store }

func (unreadable) Gates(context.Context) (store.Gates, error) {
	return store.Gates{}, store.Errorf(store.Unavailable, "the disk is gone")
}

func (unreadable) Stats(context.Context, time.Time) (store.Stats, error) {
	return store.Stats{}, store.Errorf(store.Unavailable, "the disk is gone")
}

func TestOperations_AStoreThatCannotBeReadIsToldByReadyAndScrape(t *testing.T) {
	r := newRig(t)
	ops := newOperations(t, r, func(o *OperationsOptions) {
		o.Store = unreadable{r.store}
		reg := prometheus.NewRegistry()
		metrics.New(reg, metrics.Build{}).WatchStore(unreadable{r.store})
		o.Gatherer = reg
	})
	for what, status := range map[string]int{"GET /-/ready": 503, "GET /metrics": 500, "GET /-/healthy": 200} {
		res := raw(t, ops, what, "")
		if res.status != status || status != 200 && !strings.Contains(res.body, "the disk is gone") {
			t.Errorf("%s: status %d: %.300s", what, res.status, res.body)
		}
	}
}

// beating is a scheduler with a fixed last beat.
type beating struct{ last time.Time }

func (beating) Wake()                                   {}
func (beating) Trigger(purge.Trigger) *scheduler.Ticket { return nil }
func (b beating) Status() scheduler.Status              { return scheduler.Status{LastBeat: b.last} }

func TestOperations_ReadyOnlyWhileTheLoopBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		began := time.Now()
		ops := newOperations(t, r, func(o *OperationsOptions) { o.Scheduler = beating{began} })
		for _, c := range []struct {
			at     time.Duration
			status int
		}{{0, 200}, {defaultStaleAge - time.Millisecond, 200}, {defaultStaleAge, 503}, {time.Hour, 503}} {
			time.Sleep(time.Until(began.Add(c.at)))
			if res := raw(t, ops, "GET /-/ready", ""); res.status != c.status {
				t.Errorf("after %s: status %d: %s", c.at, res.status, res.body)
			}
		}
		never := newOperations(t, r, func(o *OperationsOptions) { o.Scheduler = beating{} })
		if res := raw(t, never, "GET /-/ready", ""); res.status != 503 || !strings.Contains(res.body, "not begun") {
			t.Errorf("before the loop: status %d: %s", res.status, res.body)
		}
	})
}

func TestOperations_ReadyWithARealScheduler(t *testing.T) {
	r := newRig(t, withScheduler(t, nil)).inProcess(t)
	ops := newOperations(t, r, nil)
	if res := raw(t, ops, "GET /-/ready", ""); res.status != 503 {
		t.Errorf("before: status %d", res.status)
	}
	r.begin(t)
	if res := raw(t, ops, "GET /-/ready", ""); res.status != 200 {
		t.Errorf("while it runs: status %d: %s", res.status, res.body)
	}
}

func TestOperations_ReloadAnswersWithItsError(t *testing.T) {
	calls, fails := 0, error(nil)
	ops := newOperations(t, newRig(t), func(o *OperationsOptions) {
		o.Reload = func(context.Context) error { calls++; return fails }
		o.Logger = zap.NewNop()
	})
	ops = from(t, "127.0.0.1:5000", ops)
	for _, method := range []string{"POST", "PUT"} {
		if res := raw(t, ops, method+" /-/reload", ""); res.status != 200 {
			t.Errorf("%s: status %d: %s", method, res.status, res.body)
		}
	}
	fails = store.Errorf(store.Invalid, "purger.yaml:3: purge.schedule: ...")
	if res := raw(t, ops, "POST /-/reload", ""); res.status != 400 || !strings.Contains(res.body, "nothing has changed: purger.yaml:3") {
		t.Errorf("a bad file: status %d: %s", res.status, res.body)
	}
	fails = errors.New("odd")
	if res := raw(t, ops, "POST /-/reload", ""); res.status != 500 {
		t.Errorf("another error: status %d: %s", res.status, res.body)
	}
	if calls != 4 {
		t.Errorf("%d reloads", calls)
	}
	res := raw(t, ops, "POST /-/reload", "", "Origin: https://evil.example.com", "Sec-Fetch-Site: cross-site")
	if res.status != http.StatusForbidden || calls != 4 {
		t.Errorf("a page of another origin reloaded: status %d, %d reloads", res.status, calls)
	}
}

// from returns a client of the same operations handler, whose requests come from an
// address.
func from(t *testing.T, address string, ops *rig) *rig {
	t.Helper()
	return (&rig{operations: true, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = address
		ops.handler.ServeHTTP(w, r)
	})}).inProcess(t)
}

func TestOperations_AReloadFromElsewhereTakesASuperAdmin(t *testing.T) {
	for _, c := range []struct {
		from, who string
		status    int
	}{
		{"127.0.0.1:5000", "", 200}, {"[::1]:5000", "", 200}, {"[::ffff:127.0.0.1]:5000", "", 200},
		{"192.0.2.1:5000", "", 401}, {"[2001:db8::1]:5000", "", 401}, {"pipe", "", 401}, {"", "", 401},
		{"192.0.2.1:5000", "tenant", 403}, {"192.0.2.1:5000", "viewer", 403}, {"192.0.2.1:5000", "operator", 403},
		{"192.0.2.1:5000", "super_admin", 200}, {"192.0.2.1:5000", "outage", 503},
	} {
		calls := 0
		ops := newOperations(t, newRig(t), func(o *OperationsOptions) {
			o.Reload = func(context.Context) error { calls++; return nil }
			o.Authenticate = func(*http.Request) (Caller, error) {
				switch c.who {
				case "":
					return Caller{}, store.Errorf(store.Unauthenticated, "no token")
				case "outage":
					return Caller{}, store.Errorf(store.Unavailable, "no keys")
				}
				return Caller{Actor: store.Actor{ID: "jane"}, Role: client.Role(c.who)}, nil
			}
		})
		ops = from(t, c.from, ops)
		for _, method := range []string{"POST", "PUT"} {
			calls = 0
			res := raw(t, ops, method+" /-/reload", "")
			if res.status != c.status || (calls == 1) != (c.status == 200) || (c.status == 401) != (res.header.Get("WWW-Authenticate") == "Bearer") {
				t.Errorf("%s, %q from %q: status %d, %d reloads: %s", method, c.who, c.from, res.status, calls, res.body)
			}
		}
	}
	ops := newOperations(t, newRig(t), func(o *OperationsOptions) { o.Reload = func(context.Context) error { return nil } })
	if res := raw(t, ops, "POST /-/reload", ""); res.status != 401 {
		t.Errorf("where nobody is known: %d %s", res.status, res.body)
	}
}

// A scrape every few seconds is no news, unlike a call of the API.
func TestOperations_ScrapesAreLoggedAtDebug(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	ops := newOperations(t, newRig(t), func(o *OperationsOptions) { o.Logger = zap.New(core) })
	for _, what := range []string{"GET /metrics", "GET /-/ready", "POST /-/reload", "GET /-/healthy"} {
		raw(t, ops, what, "")
	}
	lines := logs.FilterMessage("request")
	if lines.FilterLevelExact(zapcore.DebugLevel).Len() < 2 || lines.FilterLevelExact(zapcore.InfoLevel).Len() != 1 {
		t.Errorf("%+v", lines.All())
	}
}
