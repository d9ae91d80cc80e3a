package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestPut_G8_IsOneChangeWithOneEntry(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme", Name: "Acme", Hostname: "acme.example.com", ActiveSubscriptions: 3})
		got, err := r.Put(t.Context(), "acme", client.TenantState{Version: 1, Name: ptr("New"), ActiveSubscriptions: ptr(0)})
		if err != nil {
			t.Fatal(err)
		}
		if got.Enabled || got.Status != store.StatusDisabled || got.Version != 2 || got.Name != "New" || got.ActiveSubscriptions != 0 ||
			got.Hostname != "acme.example.com" || got.PurgeAfterDays != 30 {
			t.Errorf("tenant %+v", got)
		}
		date := got.EstimatedPurgeDate
		got, err = r.Put(t.Context(), "acme", client.TenantState{Version: 2, Hostname: ptr("")})
		if err != nil || got.Version != 3 || got.Hostname != "" || !got.EstimatedPurgeDate.Equal(date.Time) {
			t.Errorf("disabled already: %+v, %v; want the date as it was", got, err)
		}
		if got, err = r.Put(t.Context(), "acme", client.TenantState{Version: 3}); err != nil || got.Version != 3 {
			t.Errorf("what it is already: %+v, %v; want no change", got, err)
		}
		if got, err = r.Put(t.Context(), "acme", client.TenantState{Enabled: true, Version: 3}); err != nil || !got.Enabled || got.Version != 4 {
			t.Errorf("enabled: %+v, %v", got, err)
		}
		page, err := r.Audit(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, e := range page.Data {
			actions = append(actions, string(e.Action))
		}
		if d := cmp.Diff([]string{"create", "deactivate", "edit", "reactivate"}, actions); d != "" {
			t.Errorf("audit (-want +got):\n%s", d)
		}
		if e := page.Data[1]; e.Detail["name"] != "changed" || e.Detail["purgeAfterDays"] != "30" || e.FromVersion != 1 || e.ToVersion != 2 {
			t.Errorf("entry %+v", e)
		}
	})
}

func TestPut_IsRefusedAsAWhole(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme", Name: "Acme"}, client.NewTenant{ID: "protected"})
		for body, field := range map[string]string{
			`{"enabled":false,"version":1,"hostname":"a b"}`:         "/hostname",
			`{"enabled":false,"version":1,"name":"a\nb"}`:            "/name",
			`{"enabled":false,"version":1,"activeSubscriptions":-1}`: "/activeSubscriptions",
			`{"enabled":false,"version":0}`:                          "/version",
			`{"enabled":false,"version":-1}`:                         "/version",
			`{"enabled":false,"version":"1"}`:                        "/version",
			`{"enabled":false,"version":99999999999999999999}`:       "/version",
			`{"enabled":"false","version":1}`:                        "/enabled",
			`{"enabled":null,"version":1}`:                           "/enabled",
			`{"enabled":false,"enabled":true,"version":1}`:           "/enabled",
			`{"enabled":false,"version":1,"name":null}`:              "/name",
			`{"enabled":false,"version":1,"status":"active"}`:        "/status",
			``: "/enabled",
			`{"enabled":false,"version":1,"name":"\ud800","id":"x"}`:  "/name",
			`{"enabled":false,"version":1,"purgeAfterDays":15}`:       "/purgeAfterDays",
			`{"enabled":false,"version":1,"activeSubscriptions":1.5}`: "/activeSubscriptions",
		} {
			res := raw(t, r, "PUT /api/v1/tenants/acme", body)
			if p := res.problem(t); res.status != http.StatusBadRequest || p.Source == nil || p.Source.Pointer != field {
				t.Errorf("%s: status %d: %s", body, res.status, res.body)
			}
		}
		_, err := r.Put(t.Context(), "protected", client.TenantState{Version: 1})
		wantCode(t, err, store.Precondition)
		_, err = r.Put(t.Context(), "nobody", client.TenantState{Version: 1})
		wantCode(t, err, store.NotFound)
		if got, err := r.Tenant(t.Context(), "acme", false); err != nil || got.Version != 1 || !got.Enabled {
			t.Errorf("after refusals: %+v, %v", got, err)
		}
	})
}

func TestPatch_RefusesAliasesAndSaysWhatWouldBeRight(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme", Hostname: "acme.example.com"})
		const one = ": a tenant has one host name and no aliases; want /hostname or /hostnames/0"
		for operation, want := range map[string]client.Problem{
			`{"op":"replace","path":"/hostnames/1","value":"alias.example.com"}`: {Detail: `path "/hostnames/1"` + one},
			`{"op":"replace","path":"/hostnames/-","value":"alias.example.com"}`: {Detail: `path "/hostnames/-"` + one},
			`{"op":"replace","path":"/hostnames","value":["a.example.com"]}`:     {Detail: `path "/hostnames"` + one},
			`{"op":"replace","path":"/hostnamesX","value":"a.example.com"}`: {
				Detail: `path "/hostnamesX": want /name, /hostname, /hostnames/0 or /activeSubscriptions`},
		} {
			want.Code, want.Status, want.Title = store.Invalid, "400", "Invalid request"
			want.Source = &client.Source{Pointer: "/1/path"}
			res := raw(t, r, "PATCH /api/v1/tenants/acme", `[{"op":"replace","path":"/hostnames/0","value":"b.example.com"},`+operation+`]`)
			if d := cmp.Diff(want, res.problem(t)); d != "" {
				t.Errorf("%s (-want +got):\n%s", operation, d)
			}
		}
		got, err := r.Tenant(t.Context(), "acme", false)
		if err != nil || got.Version != 1 || got.Hostname != "acme.example.com" {
			t.Errorf("after refusals: %+v, %v", got, err)
		}
	})
}

func TestPatch_ChangesAllOrNothing(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme", Name: "Acme"})
		replace := func(path string, v any) client.PatchOperation {
			return client.PatchOperation{Op: "replace", Path: path, Value: v}
		}
		if err := r.Patch(t.Context(), "acme", []client.PatchOperation{
			replace("/name", "First"), replace("/hostname", "a.example.com"), replace("/activeSubscriptions", 2),
			replace("/name", "Second"), replace("/hostnames/0", "b.example.com"),
		}); err != nil {
			t.Fatal(err)
		}
		got, err := r.Tenant(t.Context(), "acme", false)
		if err != nil || got.Version != 2 || got.Name != "Second" || got.Hostname != "b.example.com" || got.ActiveSubscriptions != 2 {
			t.Errorf("tenant %+v, %v", got, err)
		}
		if err := r.Patch(t.Context(), "acme", nil); err != nil {
			t.Errorf("no operations: %v", err)
		}
		name := `{"op":"replace","path":"/name","value":"x"}`
		for body, pointer := range map[string]string{
			`[` + name + `,{"op":"replace","path":"/hostnames/1","value":"x"}]`:         "/1/path",
			`[` + name + `,{"op":"replace","path":"/status","value":"active"}]`:         "/1/path",
			`[` + name + `,{"op":"replace","path":"name","value":"x"}]`:                 "/1/path",
			`[` + name + `,{"op":"replace","path":"/name/~1","value":"x"}]`:             "/1/path",
			`[` + name + `,{"op":"replace","value":"x"}]`:                               "/1/path",
			`[` + name + `,{"op":"add","path":"/name","value":"x"}]`:                    "/1/op",
			`[` + name + `,{"path":"/name","value":"x"}]`:                               "/1/op",
			`[` + name + `,{"op":"replace","path":"/name"}]`:                            "/1/value",
			`[` + name + `,{"op":"replace","path":"/name","value":null}]`:               "/1/value",
			`[` + name + `,{"op":"replace","path":"/name","value":1}]`:                  "/1/value",
			`[` + name + `,{"op":"replace","path":"/name","value":"a\u202eb"}]`:         "/1/value",
			`[` + name + `,{"op":"replace","path":"/hostname","value":"a b"}]`:          "/1/value",
			`[` + name + `,{"op":"replace","path":"/activeSubscriptions","value":-1}]`:  "/1/value",
			`[` + name + `,{"op":"replace","path":"/activeSubscriptions","value":"1"}]`: "/1/value",
			`[` + name + `,{"op":"replace","path":"/name","value":"x","from":"/y"}]`:    "/1/from",
			`[` + name + `,{"op":"replace","op":"replace","path":"/name","value":"x"}]`: "/1/op",
			`[` + name + `,7]`:    "/1",
			`[` + name + `,null]`: "/1",
			`[` + name + `] x`:    "",
			name:                  "",
			`null`:                "",
			``:                    "",
			`"` + "\xff" + `"`:    "",
			`[` + strings.Repeat(name+",", 100) + name + `]`: "",
			strings.Repeat("[", 20_000):                      "",
		} {
			res := raw(t, r, "PATCH /api/v1/tenants/acme", body)
			got := ""
			if p := res.problem(t); p.Source != nil {
				got = p.Source.Pointer
			}
			if res.status != http.StatusBadRequest || got != pointer {
				t.Errorf("%.120s: status %d, pointer %q, want %q: %s", body, res.status, got, pointer, res.body)
			}
		}
		if res := raw(t, r, "PATCH /api/v1/tenants/acme", `[]`, "Content-Type: text/plain"); res.status != http.StatusUnsupportedMediaType {
			t.Errorf("plain text: status %d", res.status)
		}
		if res := raw(t, r, "PATCH /api/v1/tenants/acme", `[]`, "Content-Type: "+contentPatch); res.status != http.StatusNoContent || res.body != "" {
			t.Errorf("its own content type: status %d %q", res.status, res.body)
		}
		if err := r.Patch(t.Context(), "nobody", nil); store.CodeOf(err) != store.NotFound {
			t.Errorf("nobody: %v", err)
		}
		if got, err := r.Tenant(t.Context(), "acme", false); err != nil || got.Version != 2 {
			t.Errorf("after refusals: %+v, %v", got, err)
		}
	})
}

func TestMe_IsTheCallersOwnTenant(t *testing.T) {
	r := newRig(t, as(client.RoleTenant, "mine")).inProcess(t)
	_, err := r.Me(t.Context())
	wantCode(t, err, store.NotFound) // it is not known yet
	if _, err := r.store.Create(t.Context(), store.Tenant{ID: "mine"}, store.Origin{Actor: store.Actor{ID: "x"}, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Me(t.Context()); err != nil || got.ID != "mine" {
		t.Errorf("tenant %+v, %v", got, err)
	}
}

// A license key is a secret of its owner.
func TestCreate_WhatIsOfOtherPlatformsIsNeitherKeptNorTold(t *testing.T) {
	keep, logs := logged()
	both(t, func(t *testing.T, r *rig) {
		logs.TakeAll()
		made := raw(t, r, "POST /api/v1/tenants", `{"datacenter":"hunter2","licenseKey":"hunter2"}`)
		id, _ := made.json(t)["id"].(string)
		if made.status != http.StatusCreated || len(id) != 36 || made.header.Get("Location") != "/api/v1/tenants/"+id {
			t.Errorf("status %d: %s", made.status, made.body)
		}
		all := made.body + raw(t, r, "GET /api/v1/tenants/"+id, "").body
		for _, body := range []string{
			`{"licenseKey":["hunter2"]}`, `{"licenseKey":"hunter2\u0000"}`, `{"licenseKey":"hunter2","licenseKey":"hunter2"}`,
			`{"datacenter":{"hunter2":1}}`, `{"datacenter":null}`, `{"licenseKey":"` + strings.Repeat("hunter2", 4000) + `"}`, `{"licenseKey":1234567}`,
		} {
			res := raw(t, r, "POST /api/v1/tenants", body)
			if all += res.body; res.status != http.StatusBadRequest {
				t.Errorf("%.60s: status %d", body, res.status)
			}
		}
		raw(t, r, "GET /api/v1/status", "")
		for _, line := range logs.All() {
			for _, v := range line.ContextMap() {
				if s, ok := v.(string); ok {
					all += s
				}
			}
		}
		if strings.Contains(all, "hunter2") || strings.Contains(all, "1234567") {
			t.Errorf("it is told: %s", all)
		}
	}, keep)
}
