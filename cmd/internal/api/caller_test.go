package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// as makes every request one of a caller with a role.
func as(role client.Role, tenant string) func(*Options) {
	return func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) {
			return Caller{Actor: store.Actor{ID: "caller"}, Role: role, TenantID: tenant}, nil
		}
	}
}

// TestRoles_EachEndpointWantsItsOwn calls every endpoint with every role, in the
// form in which a caller that may would be told that something else is wrong.
func TestRoles_EachEndpointWantsItsOwn(t *testing.T) {
	least := map[string]client.Role{
		"POST /tenants": client.RoleOperator, "GET /tenants": client.RoleViewer, "GET /tenants/{id}": client.RoleTenant, "GET /tenants/{id}/access": client.RoleTenant,
		"POST /tenants/{id}/actions/deactivate": client.RoleOperator, "POST /tenants/{id}/actions/reactivate": client.RoleOperator,
		"POST /tenants/{id}/actions/retry": client.RoleOperator, "POST /tenants/{id}/hold": client.RoleOperator,
		"DELETE /tenants/{id}/hold": client.RoleOperator, "DELETE /admin/tenants/{id}": client.RoleSuperAdmin,
		"GET /plan": client.RoleViewer, "POST /purges": client.RoleOperator, "GET /purges": client.RoleViewer,
		"GET /receipts/{id}": client.RoleViewer, "GET /audit": client.RoleViewer, "GET /status": client.RoleViewer,
		"POST /pause": client.RoleSuperAdmin, "POST /resume": client.RoleSuperAdmin, "GET /export": client.RoleSuperAdmin,
		"POST /import": client.RoleSuperAdmin, "GET /store/stats": client.RoleViewer, "POST /store/check": client.RoleOperator,
		"POST /store/compact": client.RoleOperator, "GET /store/backup": client.RoleSuperAdmin, "POST /tokens": client.RoleSuperAdmin,
		"GET /tenants/me": client.RoleTenant, "PUT /tenants/{id}": client.RoleOperator, "PATCH /tenants/{id}": client.RoleOperator,
		"DELETE /tenants/{id}": client.RoleSuperAdmin, "GET /purges/{purge}": client.RoleViewer,
		"GET /api/2/tenants/{id}": client.RoleTenant, "PUT /api/2/tenants/{id}": client.RoleOperator,
		"DELETE /api/2/tenants/{id}": client.RoleSuperAdmin,
		"GET /approvals":             client.RoleViewer, "GET /approvals/{approval}": client.RoleViewer,
		"POST /approvals/{approval}/actions/approve": client.RoleSuperAdmin, "POST /approvals/{approval}/actions/reject": client.RoleSuperAdmin,
		"GET /targets": client.RoleViewer, "POST /targets/{target}/actions/test": client.RoleOperator,
		"POST /targets/{target}/actions/init": client.RoleSuperAdmin, "GET /targets/{target}/findings": client.RoleOperator,
		"GET /source/findings": client.RoleOperator,
		"GET /source":          client.RoleViewer, "POST /source/actions/sync": client.RoleOperator, "POST /source/actions/accept": client.RoleSuperAdmin,
	}
	for _, role := range append(client.Roles(), "") {
		t.Run("role "+string(role), func(t *testing.T) {
			r := newRig(t, as(role, "mine")).inProcess(t)
			endpoints := (&server{}).endpoints()
			if len(endpoints) != len(least) {
				t.Errorf("%d endpoints, %d in this table", len(endpoints), len(least))
			}
			for _, e := range endpoints {
				want, known := least[e.method+" "+e.path]
				if !known {
					t.Errorf("%s %s is not in this table", e.method, e.path)
				}
				// A parameter that no endpoint has: where the role is enough, it is
				// what is wrong.
				what := e.method + " " + strings.NewReplacer("{id}", "mine", "{purge}", "x", "{approval}", "x", "{target}", "x").Replace(e.url()) + "?no-such=1"
				status := http.StatusForbidden
				if role.AtLeast(want) && (role != client.RoleTenant || want == client.RoleTenant) {
					status = http.StatusBadRequest
				}
				if res := raw(t, r, what, ""); res.status != status {
					t.Errorf("%s: status %d, want %d: %s", what, res.status, status, res.body)
				}
			}
		})
	}
}

func TestRoles_ATenantSeesItselfAndNothingOfOthers(t *testing.T) {
	r := newRig(t, as(client.RoleTenant, "mine")).inProcess(t)
	for _, id := range []string{"mine", "other"} {
		if _, err := r.store.Create(t.Context(), store.Tenant{ID: id}, store.Origin{Actor: store.Actor{ID: "x"}, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if res := raw(t, r, "GET /api/v1/tenants/mine", ""); res.status != http.StatusOK || !strings.Contains(res.body, `"id":"mine"`) {
		t.Errorf("its own: status %d: %s", res.status, res.body)
	}
	for _, target := range []string{"/api/v1/tenants/me", "/api/v1/tenants/mine", "/api/2/tenants/mine"} {
		if res := raw(t, r, "GET "+target, ""); res.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", target, res.status, res.body)
		}
	}
	trace := "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	theirs := raw(t, r, "GET /api/v1/tenants/other", "", trace)
	unknown := raw(t, r, "GET /api/v1/tenants/unknown", "", trace)
	wrong := raw(t, r, "GET /api/v1/tenants/%2e%2e", "", trace)
	if theirs.status != http.StatusForbidden || theirs.body != unknown.body || theirs.body != wrong.body || unknown.status != theirs.status {
		t.Errorf("another tenant can be told from none:\n%d %s%d %s%d %s", theirs.status, theirs.body, unknown.status, unknown.body, wrong.status, wrong.body)
	}
}

// TestRoles_ATenantIsNotToldOfItsOperators fills everything in that a record can say,
// and asks as the tenant: what is told has names of its own alone.
func TestRoles_ATenantIsNotToldOfItsOperators(t *testing.T) {
	r := newRig(t, as(client.RoleTenant, "mine"), withSettings(t, func(s *purge.Settings) { s.ImmediateDelete = purge.DeleteAny })).inProcess(t)
	o := store.Origin{Actor: store.Actor{ID: "secret-id", Name: "Secret Name", Email: "secret@example.com"}, At: time.Now()}
	create := func(tenant store.Tenant, changes ...store.Change) {
		t.Helper()
		_, err := r.store.Create(t.Context(), tenant, o)
		for _, c := range changes {
			if err == nil {
				_, err = r.store.Update(t.Context(), tenant.ID, store.Update{Origin: o, Change: c})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	create(store.Tenant{ID: "secret-parent"})
	create(store.Tenant{ID: "mine", ParentID: "secret-parent", Name: "Mine", Hostname: "mine.example.com"})
	create(store.Tenant{ID: "secret-child", ParentID: "mine"}, store.SetHold("secret-reason", time.Time{}))
	for _, c := range []store.Change{store.SetHold("secret-reason", time.Time{}), store.Deactivate(10, store.DefaultGrace(), nil)} {
		if _, err := r.store.Update(t.Context(), "mine", store.Update{Origin: o, Change: c}); err != nil {
			t.Fatal(err)
		}
	}
	told := []string{"id", "name", "hostname", "hostnames", "status", "enabled", "version", "createdAt", "updatedAt", "disabledAt",
		"estimatedPurgeDate", "created", "lastUpdated", "statusLastUpdatedAt", "deletedAt", "links"}
	look := func(status store.Status, targets ...string) {
		t.Helper()
		for _, target := range targets {
			res := raw(t, r, "GET "+target, "")
			if res.status != http.StatusOK || strings.Contains(res.body, "secret") || strings.Contains(res.body, "Secret") {
				t.Errorf("%s: %d %s", target, res.status, res.body)
				continue
			}
			members := res.json(t)
			if members["id"] != "mine" || members["status"] != string(status) {
				t.Errorf("%s: %s", target, res.body)
			}
			for name := range members {
				if !slices.Contains(told, name) {
					t.Errorf("%s tells %s: %s", target, name, res.body)
				}
			}
		}
	}
	look(store.StatusDisabled, "/api/v1/tenants/me", "/api/v1/tenants/mine", "/api/2/tenants/mine", "/api/v1/tenants/mine?allow_deleted=true")
	for _, id := range []string{"secret-child", "mine"} {
		if _, err := r.store.Update(t.Context(), id, store.Update{Origin: o, Change: store.Release()}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.engine.Delete(t.Context(), purge.Deletion{ID: "secret-parent", Actor: o.Actor}); err != nil {
		t.Fatal(err)
	}
	look(store.StatusDeleted, "/api/v1/tenants/mine?allow_deleted=true", "/api/2/tenants/mine?allow_deleted=true")
}
