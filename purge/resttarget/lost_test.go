package resttarget_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// flaky is an API with one user that answers the first requests of a method with a
// status.
type flaky struct {
	method  string
	status  int
	times   int
	effect  bool // it carries out what it answers so
	left    []string
	deletes int
}

func (f *flaky) guarded(t *testing.T, change func(*purge.Policy)) *purge.GuardedTarget {
	t.Helper()
	f.left = []string{"u1"}
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		fails := r.Method == f.method && f.times > 0
		there := len(f.left) > 0
		if r.Method == http.MethodDelete {
			f.deletes++
			if !fails || f.effect {
				f.left = []string{}
			}
		}
		switch {
		case fails:
			f.times--
			return f.status, nil, "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
		case r.Method != http.MethodDelete:
			return 200, nil, body(t, f.left)
		case there:
			return 204, nil, ""
		}
		return 404, nil, `{}`
	}}
	k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}}, Delete: deleteUser()}
	target, _ := scriptedTarget(t, k, s)
	p := purge.DefaultPolicy()
	if change != nil {
		change(&p)
	}
	g, err := purge.Guarded(target, p, purge.GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPurge_G5_AnAnswerOfAGatewayAfterTheEffectIsALowerBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{301, 303, 307, 408, 500, 502, 503, 504} {
			f := &flaky{method: http.MethodDelete, status: status, times: 1, effect: true}
			did, err := f.guarded(t, nil).Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
			if err != nil || did != (purge.Removed{Inexact: true}) || len(f.left) != 0 {
				t.Errorf("%d: %+v, %v; want none of one, and not exact", status, did, err)
			}
		}
	})
}

// As long as no DELETE was sent, or it was refused before anything was done, the
// count stays exact: a system that is down when a purge begins does not cost that.
func TestPurge_G5_AnOutageBeforeAnythingWasSentKeepsTheCountExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range []*flaky{
			{method: http.MethodGet, status: 503, times: 2}, {method: http.MethodGet, status: 408, times: 2},
			{method: http.MethodGet, status: 302, times: 2}, {method: http.MethodDelete, status: 429, times: 2},
		} {
			name := fmt.Sprint(f.method, " ", f.status)
			did, err := f.guarded(t, nil).Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
			if err != nil || did != (purge.Removed{Deleted: 1}) {
				t.Errorf("%s: %+v, %v; want one, exactly", name, did, err)
			}
		}
	})
}

// One tenant is enough to see that a system answers 503, as it was before the answer
// was taken for lost; 500 may be that tenant's trouble (G11).
func TestPurge_G11_AnOutageOpensTheBreakerForOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for status, open := range map[int]bool{302: true, 408: true, 503: true, 500: false} {
			f := &flaky{method: http.MethodDelete, status: status, times: 1000}
			g := f.guarded(t, func(p *purge.Policy) { p.Retries, p.BreakerFailures = 0, 3 })
			for range 10 {
				_, _ = g.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
			}
			if want := map[bool]int{true: 3, false: 10}[open]; f.deletes != want {
				t.Errorf("%d: %d DELETEs, want %d", status, f.deletes, want)
			}
		}
	})
}

// The id of a resource, an e-mail address here, is in no log, report or record.
func TestErrors_ShowNoIDOfAResource(t *testing.T) {
	synctest.Test(t, idsAreHidden)
}

func idsAreHidden(t *testing.T) {
	ctx := context.Background()
	const id, hash = "alice.liddell@example.com", "#3b166336"
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: t.TempDir(), MmapSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := store.Trim(time.Now().Add(-time.Hour))
	o := store.Origin{Actor: store.Actor{ID: "uid:1"}, At: time.Now()}
	if err := s.BeginImport(ctx, store.Import{Digest: "test"}, o); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportBatch(ctx, store.Batch{Tenants: []store.Tenant{{
		ID: "acme", Status: store.StatusDisabled, DisabledAt: at.Add(-30 * 24 * time.Hour), PurgeAfterDays: 30, EstimatedPurgeDate: at,
	}}}, o); err != nil {
		t.Fatal(err)
	}
	if err := s.EndImport(ctx, o); err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{301, 400, 409, 503, 200} {
		api := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
			if r.Method == http.MethodDelete {
				return status, nil, "<html>"
			}
			return 200, nil, body(t, []string{id})
		}}
		k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}}, Delete: deleteUser()}
		target, _ := scriptedTarget(t, k, api)
		set := purge.DefaultSettings()
		set.PerPass, set.Limits, set.BackoffInitial, set.BackoffMax = 0, store.Limits{}, time.Second, time.Second
		core, logs := observer.New(zapcore.DebugLevel)
		e, err := purge.New(purge.Options{Store: s, Settings: set, Targets: []purge.Target{target}, Logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // the wait of the attempt before is over
		report, err := e.Run(ctx, purge.TriggerRun)
		if err != nil || len(report.Tenants) != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		if text := report.Tenants[0].Error; !strings.Contains(text, "DELETE /users/{id} (id "+hash+")") {
			t.Errorf("%d: the report says %q; want the template and a hash", status, text)
		}
		kept, err := s.Tenant(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		trail, err := s.Audit(ctx, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		shown := []string{fmt.Sprintf("%+v", report), fmt.Sprintf("%+v %+v", kept, kept.Purge), fmt.Sprintf("%+v", trail)}
		for _, l := range logs.All() {
			shown = append(shown, fmt.Sprint(l.Message, l.ContextMap()))
		}
		if slices.ContainsFunc(shown, func(s string) bool { return strings.Contains(s, "liddell") }) {
			t.Errorf("%d: the id is shown: %v", status, shown)
		}
	}
}

// What cannot be told to the API is refused without being shown.
func TestErrors_ShowNoIDThatCannotBeSent(t *testing.T) {
	for name, d := range map[string]resttarget.Call{
		"a header": {URL: "/users", Headers: map[string]string{"X-Id": "{id}"}},
		"a filter": {URL: "/users?q=%22{id|quoted}%22"},
	} {
		api := &scripted{answer: func(*http.Request, string) (int, http.Header, string) {
			return 200, nil, body(t, []string{"alice\x01@example.com"})
		}}
		k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}}, Delete: &resttarget.Delete{Call: d}}
		target, _ := scriptedTarget(t, k, api)
		_, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
		if store.CodeOf(err) != store.Invalid || strings.Contains(err.Error(), "alice") || !strings.Contains(err.Error(), "{id}") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
