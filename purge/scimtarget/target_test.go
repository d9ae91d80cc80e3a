package scimtarget_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

const offersBulk = `{"supported":true,"maxOperations":7,"maxPayloadSize":100000}`

func users(limit int) purge.Request {
	return purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: limit}
}

// By the letter of the RFC, with every hostile id, and with twins that differ in
// case before and between what is the tenant's.
func TestConformance_ByTheLetter(t *testing.T) {
	for _, c := range []struct {
		name             string
		noCase, versions bool
		bulk             string
	}{
		{name: "OneByOne"},
		{name: "Bulk", bulk: offersBulk},
		{name: "NoCase", noCase: true},
		{name: "Versions", versions: true},
		{name: "BulkAndVersions", bulk: offersBulk, versions: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			targettest.Run(t, targettest.Harness{Many: 50, New: func(t *testing.T) targettest.System {
				d := &directory{noCase: c.noCase, versions: c.versions, bulk: c.bulk}
				var broken atomic.Bool
				d.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
					if broken.Load() {
						w.WriteHeader(http.StatusBadGateway)
					}
					return broken.Load()
				}
				return targettest.System{Target: d.serve(t, nil), Add: d.add, Left: d.left, Break: func() { broken.Store(true) }}
			}})
		})
	}
}

func TestTarget_G6_AKindThatItDoesNotHoldIsNotEmpty(t *testing.T) {
	d := &directory{}
	target := d.serve(t, nil)
	n, countErr := target.Count(t.Context(), "acme", store.KindAPIKey)
	did, purgeErr := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindAPIKey, Limit: 1})
	for _, err := range []error{countErr, purgeErr} {
		if store.CodeOf(err) != store.Invalid || !purge.IsPermanent(err) {
			t.Errorf("Count = %d, Purge = %+v: %v; want it refused for good", n, did, err)
		}
	}
	if len(d.calls) > 0 {
		t.Errorf("it called %q", d.calls)
	}
}

func TestPurge_G4_AnUnsoundListRemovesNothing(t *testing.T) {
	mine := map[string]any{"id": "a b/1", "groups": []map[string]string{{"value": "acme"}}}
	listing := func(total, start int, resources ...any) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { listed(w, total, start, resources) }
	}
	raw := func(status int, kind, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const schemas = `"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"]`
	for name, list := range map[string]func(http.ResponseWriter){
		"filter ignored":        listing(2, 1, mine, map[string]any{"id": "x", "groups": []map[string]string{{"value": "globex"}}}),
		"attribute not shown":   listing(1, 1, map[string]any{"id": "x"}),
		"of two tenants":        listing(1, 1, map[string]any{"id": "x", "groups": []map[string]string{{"value": "acme"}, {"value": "globex"}}}),
		"number for a tenant":   listing(1, 1, map[string]any{"id": "x", "groups": []map[string]any{{"value": 7}}}),
		"tenant in two cases":   listing(1, 1, map[string]any{"id": "x", "groups": []map[string]string{{"value": "acme"}}, "Groups": []map[string]string{{"value": "globex"}}}),
		"id in two cases":       listing(1, 1, map[string]any{"id": "x", "ID": "y", "groups": []map[string]string{{"value": "acme"}}}),
		"no id":                 listing(1, 1, map[string]any{"groups": []map[string]string{{"value": "acme"}}}),
		"less than it shows":    listing(0, 1, mine),
		"none of one":           listing(1, 1),
		"html":                  raw(200, "text/html", "<title>Sign in</title>"),
		"html said to be json":  raw(200, "application/json", "<title>Sign in</title>"),
		"no schema":             raw(200, "application/json", `{"totalResults":0}`),
		"no total":              raw(200, "application/json", `{`+schemas+`}`),
		"negative total":        raw(200, "application/json", `{`+schemas+`,"totalResults":-1}`),
		"empty":                 raw(200, "application/json", ``),
		"null":                  raw(200, "application/json", `null`),
		"no content":            raw(204, "application/json", ``),
		"not found":             raw(404, "application/json", `{}`),
		"forbidden":             raw(403, "application/json", `{}`),
		"an error":              raw(500, "application/json", `{`+schemas+`,"totalResults":0}`),
		"filter not understood": raw(400, "application/json", `{"scimType":"invalidFilter"}`),
		"too many":              raw(400, "application/json", `{"scimType":"tooMany"}`),
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{intercept: func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/Users" {
					list(w)
				}
				return r.URL.Path == "/v2/Users"
			}}
			_ = d.add("acme", store.KindUser, 1)
			target := d.serve(t, nil)
			n, err := target.Count(t.Context(), "acme", store.KindUser)
			if err == nil || purge.IsPermanent(err) || store.CodeOf(err) == store.Internal {
				t.Errorf("Count = %d, %v, want an error that is worth another attempt", n, err)
			}
			did, err := target.Purge(t.Context(), users(10))
			if err == nil || did.Deleted != 0 || d.called("DELETE") != 0 {
				t.Errorf("Purge = %+v, %v after %d requests to delete", did, err, d.called("DELETE"))
			}
		})
	}
}

func TestCount_APageThatIsNotTheOneAskedForIsAnError(t *testing.T) {
	d := &directory{noCase: true} // without case, pages are gone through
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/Users" || r.URL.Query().Get("startIndex") == "1" {
			return false
		}
		q := r.URL.Query()
		q.Set("startIndex", "1")
		r.URL.RawQuery = q.Encode()
		return false
	}
	_ = d.add("acme", store.KindUser, 30)
	if n, err := d.serve(t, nil).Count(t.Context(), "acme", store.KindUser); err == nil {
		t.Errorf("Count = %d from a server that ignores startIndex", n)
	}
}

// Another tenant is purged at the same time: its resources vanish from in front of
// ours, which move up past the place that was read.
func TestCount_G6_AListThatMovesIsCountedAgain(t *testing.T) {
	d := &directory{noCase: true}
	_ = d.add("ACME", store.KindUser, 12)
	_ = d.add("acme", store.KindUser, 3)
	var once atomic.Bool
	d.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("startIndex") == "11" && once.CompareAndSwap(false, true) {
			d.mu.Lock()
			d.users = d.users[10:]
			d.mu.Unlock()
		}
		return false
	}
	if n, err := d.serve(t, nil).Count(t.Context(), "acme", store.KindUser); err != nil || n != 3 {
		t.Errorf("Count = %d, %v, want 3", n, err)
	}
	if !once.Load() {
		t.Error("the list did not move")
	}
}

func TestPurge_WaitsAsLongAsTheServerAsks(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			d := &directory{}
			if method == http.MethodPost {
				d.bulk = offersBulk
			}
			_ = d.add("acme", store.KindUser, 20)
			target := d.serve(t, func(c *scimtarget.Config) { c.Parallel = 1 })
			if err := target.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			calls := 0
			d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != method {
					return false
				}
				if calls++; calls == 1 && method != http.MethodGet {
					return false
				}
				w.Header().Set("Retry-After", "17")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			did, err := target.Purge(t.Context(), users(20))
			var after purge.RetryAfter
			if !errors.As(err, &after) || after.RetryAfter() != 17*time.Second || store.CodeOf(err) == store.Internal {
				t.Errorf("Purge = %v, want an error that says 17s", err)
			}
			if left, _ := d.left("acme", store.KindUser); did.Deleted != 20-left || method != http.MethodGet && did.Deleted == 0 {
				t.Errorf("%d were reported with %d of 20 left", did.Deleted, left)
			}
		})
	}
}

func TestPurge_G4_WhatChangedHandsIsNotRemoved(t *testing.T) {
	for _, bulk := range []string{"", offersBulk} {
		d := &directory{versions: true, bulk: bulk}
		_ = d.add("acme", store.KindUser, 3)
		moved := d.users[1]
		d.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete || r.Method == http.MethodPost {
				d.mu.Lock()
				moved.tenants = []string{"globex"}
				d.mu.Unlock()
			}
			return false
		}
		target := d.serve(t, nil)
		if did, err := target.Purge(t.Context(), users(10)); err == nil {
			t.Errorf("Purge = %+v without an error", did)
		}
		did, err := target.Purge(t.Context(), users(10))
		mine, _ := d.left("acme", store.KindUser)
		theirs, _ := d.left("globex", store.KindUser)
		if err != nil || mine != 0 || theirs != 1 {
			t.Errorf("Purge again = %+v, %v: %d are left, and %d of the other tenant's 1", did, err, mine, theirs)
		}
	}
}

func TestPurge_AListThatLagsIsAnErrorWithAnExactCount(t *testing.T) {
	d := &directory{}
	_ = d.add("acme", store.KindUser, 15)
	kept := slices.Clone(d.users)
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/Users" {
			return false
		}
		var all []any
		for _, u := range kept {
			all = append(all, u.json())
		}
		start := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("startIndex"), &start)
		listed(w, len(all), start, all[start-1:min(start+9, len(all))])
		return true
	}
	target := d.serve(t, nil)
	// It is waited for, as long as the time-out of the call allows.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	did, err := target.Purge(ctx, users(100))
	if store.CodeOf(err) != store.Precondition || purge.IsPermanent(err) || did.Deleted != 15 || d.called("DELETE") != 15 || ctx.Err() != nil {
		t.Errorf("Purge = %+v, %v after %d requests; want 15 removed once each, and an error that says so", did, err, d.called("DELETE"))
	}
	kept = nil
	if did, err := target.Purge(t.Context(), users(100)); err != nil || did.Deleted != 0 || did.More {
		t.Errorf("Purge when the list has caught up = %+v, %v", did, err)
	}
}

func TestPurge_BulkStaysWithinBothLimits(t *testing.T) {
	for _, c := range []struct{ operations, payload, bulks int }{{7, 100_000, 3}, {1000, 400, 4}} {
		d := &directory{bulk: fmt.Sprintf(`{"supported":true,"maxOperations":%d,"maxPayloadSize":%d}`, c.operations, c.payload)}
		_ = d.add("acme", store.KindUser, 20)
		d.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v2/Bulk" {
				return false
			}
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if n := bytes.Count(body, []byte("DELETE")); n > c.operations || len(body) > c.payload {
				t.Errorf("%d operations in %d bytes, want up to %d in %d", n, len(body), c.operations, c.payload)
			}
			return false
		}
		target := d.serve(t, func(c *scimtarget.Config) { c.PageSize = 20 })
		did, err := target.Purge(t.Context(), users(20))
		if err != nil || did.Deleted != 20 || d.called("POST") != c.bulks || d.called("DELETE") != 0 {
			t.Errorf("Purge = %+v, %v in %d requests, want %d", did, err, d.called("POST"), c.bulks)
		}
	}
}

func TestPurge_BulkThatTheServerRefuses(t *testing.T) {
	for status, bulks := range map[int]int{http.StatusRequestEntityTooLarge: 4, http.StatusNotImplemented: 1} {
		d := &directory{bulk: offersBulk}
		_ = d.add("acme", store.KindUser, 9)
		d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			refuse := r.URL.Path == "/v2/Bulk" && (status != http.StatusRequestEntityTooLarge || r.ContentLength > 250)
			if refuse {
				w.WriteHeader(status)
			}
			return refuse
		}
		did, err := d.serve(t, nil).Purge(t.Context(), users(100))
		if err != nil || did.Deleted != 9 {
			t.Errorf("status %d: Purge = %+v, %v, want 9 removed", status, did, err)
		}
		if got := d.called("POST /v2/Bulk"); got != bulks {
			t.Errorf("status %d: %d Bulk requests, want %d", status, got, bulks)
		}
	}
}

func TestPurge_G5_BulkResultsAreCountedOneByOne(t *testing.T) {
	const head = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],"Operations":[`
	for name, c := range map[string]struct {
		body    string
		deleted int64
		code    store.Code // of the error
	}{
		"numbers for statuses": {head + `{"status":204},{"status":404},{"status":204}]}`, 2, store.Precondition}, // still listed
		"too many requests":    {head + `{"status":"204"},{"status":"429"},{"status":"204"}]}`, 2, store.Exhausted},
		"an error within":      {head + `{"status":"204"},{"status":"500"},{"status":"429"}]}`, 1, store.Internal},
		"forbidden":            {head + `{"status":"403"},{"status":"204"},{"status":"204"}]}`, 2, store.Forbidden},
		"no status":            {head + `{"status":"204"},{},{"status":"204"}]}`, 2, store.Internal},
		"more than were asked": {head + `{"status":"204"},{"status":"204"},{"status":"204"},{"status":"204"}]}`, 0, store.Internal},
		"none":                 {head + `]}`, 0, store.Internal},
		"another message":      {`{"Operations":[{"status":"204"}]}`, 0, store.Internal},
		"html":                 {`<title>Maintenance</title>`, 0, store.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{bulk: offersBulk}
			_ = d.add("acme", store.KindUser, 3)
			d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/Bulk" {
					w.Header().Set("Content-Type", "application/scim+json")
					_, _ = io.WriteString(w, c.body)
				}
				return r.URL.Path == "/v2/Bulk"
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			did, err := d.serve(t, nil).Purge(ctx, users(3))
			if did.Deleted != c.deleted || did.Gone != int64(strings.Count(c.body, "404")) || store.CodeOf(err) != c.code {
				t.Errorf("Purge = %+v, %v (%s), want %d and %s", did, err, store.CodeOf(err), c.deleted, c.code)
			}
		})
	}
}

func TestPurge_AServerThatSaysNothingOfItself(t *testing.T) {
	d := &directory{bulk: offersBulk}
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		self := r.URL.Path == "/v2/ServiceProviderConfig" || strings.HasPrefix(r.URL.Path, "/v2/Schemas")
		if self {
			w.WriteHeader(http.StatusNotFound)
		}
		return self
	}
	_ = d.add("acme", store.KindUser, 25)
	target := d.serve(t, nil)
	if n, err := target.Count(t.Context(), "acme", store.KindUser); err != nil || n != 25 {
		t.Errorf("Count = %d, %v", n, err)
	}
	if did, err := target.Purge(t.Context(), users(100)); err != nil || did.Deleted != 25 || d.called("POST") != 0 {
		t.Errorf("Purge = %+v, %v with %d Bulk requests", did, err, d.called("POST"))
	}
	found, err := target.Diagnose(t.Context())
	if err != nil || len(found) != 2 || found[0].Severity != purge.SeverityWarning {
		t.Errorf("Diagnose = %+v, %v, want a warning that the attribute is not described", found, err)
	}
}

func TestPurge_G4_APageOfAProxyIsNoProofOfRemoval(t *testing.T) {
	d := &directory{intercept: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<title>Sign in</title>")
		}
		return r.Method == http.MethodDelete
	}}
	_ = d.add("acme", store.KindUser, 3)
	if did, err := d.serve(t, nil).Purge(t.Context(), users(3)); did.Deleted != 0 || store.CodeOf(err) != store.Internal {
		t.Errorf("Purge = %+v, %v, want no count and an answer that is lost", did, err)
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	sound := func() scimtarget.Config {
		return scimtarget.Config{
			Name: "directory", BaseURL: "https://d.example.com/scim/v2",
			Resources: []scimtarget.Resource{{Kind: store.KindUser, Endpoint: "/Users", Attribute: "externalId"}},
		}
	}
	if _, err := scimtarget.New(sound(), scimtarget.Options{}); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*scimtarget.Config){
		"name":                   func(c *scimtarget.Config) { c.Name = "store" },
		"baseUrl":                func(c *scimtarget.Config) { c.BaseURL = "" },
		"resources":              func(c *scimtarget.Config) { c.Resources = nil },
		"resources[0].kind":      func(c *scimtarget.Config) { c.Resources[0].Kind = "group" },
		"resources[0].endpoint":  func(c *scimtarget.Config) { c.Resources[0].Endpoint = "Users?x" },
		"resources[0].attribute": func(c *scimtarget.Config) { c.Resources[0].Attribute = `a" or id pr` },
		"resources[1].endpoint":  func(c *scimtarget.Config) { c.Resources = append(c.Resources, c.Resources[0]) },
		"pageSize":               func(c *scimtarget.Config) { c.PageSize = 1001 },
		"parallel":               func(c *scimtarget.Config) { c.Parallel = -1 },
		"bulk":                   func(c *scimtarget.Config) { c.Bulk = "always" },
	} {
		cfg := sound()
		change(&cfg)
		_, err := scimtarget.New(cfg, scimtarget.Options{})
		var e *store.Error
		if !errors.As(err, &e) || e.Code != store.Invalid || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
