package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestCreate_RegistersATenant(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		in := client.NewTenant{ID: "acme", Name: "Acme \u00fc <b>", Hostname: "acme.example.com", ActiveSubscriptions: 2}
		got, err := r.Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if got.CreatedAt.IsZero() || time.Since(got.CreatedAt.Time) > time.Minute {
			t.Errorf("createdAt %v", got.CreatedAt)
		}
		want := client.Tenant{ID: "acme", Name: in.Name, Hostname: in.Hostname, Status: store.StatusActive, Enabled: true, Version: 1,
			ActiveSubscriptions: 2, CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt,
			Hostnames: []string{in.Hostname}, Created: got.CreatedAt, LastUpdated: got.UpdatedAt,
			Links: &client.Links{Self: client.Link{Href: "/api/v1/tenants/acme"}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("answer (-want +got):\n%s", d)
		}
		read, err := r.Tenant(t.Context(), "acme", false)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, read); d != "" {
			t.Errorf("read back (-want +got):\n%s", d)
		}
		res := raw(t, r, "POST /api/v1/tenants", `{"id":"acme.eu","parentId":"acme"}`)
		if res.status != 201 || res.header.Get("Location") != "/api/v1/tenants/acme.eu" {
			t.Errorf("status %d, location %q: %s", res.status, res.header.Get("Location"), res.body)
		}
	})
}

func TestCreate_IsRefused(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"}, client.NewTenant{ID: "off"})
		r.disable(t, 0, "off")
		cases := map[string]struct {
			in    client.NewTenant
			code  store.Code
			field string
		}{
			"own tenant's id":    {client.NewTenant{ID: "me"}, store.Invalid, "id"},
			"bad id":             {client.NewTenant{ID: "../etc"}, store.Invalid, "id"},
			"taken id":           {client.NewTenant{ID: "acme"}, store.Conflict, ""},
			"unknown parent":     {client.NewTenant{ID: "x", ParentID: "nobody"}, store.NotFound, "parentId"},
			"bad parent":         {client.NewTenant{ID: "x", ParentID: " "}, store.Invalid, "parentId"},
			"own parent":         {client.NewTenant{ID: "x", ParentID: "x"}, store.Invalid, "parentId"},
			"disabled parent":    {client.NewTenant{ID: "x", ParentID: "off"}, store.Precondition, ""},
			"bad host":           {client.NewTenant{ID: "x", Hostname: "a b"}, store.Invalid, "hostname"},
			"control character":  {client.NewTenant{ID: "x", Name: "a\nb"}, store.Invalid, "name"},
			"negative subscribe": {client.NewTenant{ID: "x", ActiveSubscriptions: -1}, store.Invalid, "activeSubscriptions"},
		}
		for name, c := range cases {
			_, err := r.Create(t.Context(), c.in)
			var e *store.Error
			if !errors.As(err, &e) || e.Code != c.code || (c.field != "" && e.Field != c.field) {
				t.Errorf("%s: got %#v, want %s at %q", name, err, c.code, c.field)
			}
		}
		if _, err := r.Tenant(t.Context(), "x", false); store.CodeOf(err) != store.NotFound {
			t.Errorf("a refused tenant is there: %v", err)
		}
	})
}

func TestTenant_TombstonesOnlyWhenAskedFor(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme", Name: "Acme"}, client.NewTenant{ID: "acme-eu", ParentID: "acme"})
		r.disable(t, 0, "acme")
		if _, err := r.Delete(t.Context(), "acme", 0); err != nil {
			t.Fatal(err)
		}
		_, err := r.Tenant(t.Context(), "acme", false)
		wantCode(t, err, store.Gone)
		_, err = r.Tenant(t.Context(), "nobody", true)
		wantCode(t, err, store.NotFound)
		got, err := r.Tenant(t.Context(), "acme-eu", true)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != store.StatusDeleted || got.PurgedWith != "acme" || got.DeletedAt.IsZero() ||
			got.ResourcesDeleted == nil || got.ParentID != "acme" || got.Name != "" {
			t.Errorf("tombstone %+v", got)
		}
		r.create(t, client.NewTenant{ID: "kept"})
		if got, err := r.Tenant(t.Context(), "kept", true); err != nil || got.Status != store.StatusActive {
			t.Errorf("a kept tenant: %+v, %v", got, err)
		}
	})
}

func TestTenants_PagesInTheOrderOfIDs(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		var want []string
		for i := range 25 {
			id := fmt.Sprintf("t-%02d", i)
			want = append(want, id)
			r.create(t, client.NewTenant{ID: id})
		}
		for _, limit := range []int{0, 1, 7, 25, 1000} {
			var got []string
			for tenant, err := range r.AllTenants(t.Context(), client.TenantQuery{Limit: limit}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, tenant.ID)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("limit %d (-want +got):\n%s", limit, d)
			}
		}
		page, err := r.Tenants(t.Context(), client.TenantQuery{Page: pageAfter(client.SortID, store.Cursor{ID: "t-23"})})
		if err != nil || len(page.Data) != 1 || page.Next != "" {
			t.Errorf("the last page: %+v, %v", page, err)
		}
		page, err = r.Tenants(t.Context(), client.TenantQuery{Page: pageAfter(client.SortID, store.Cursor{ID: "t-24"})})
		if err != nil || page.Data == nil || len(page.Data) != 0 {
			t.Errorf("past the end: %+v, %v", page, err)
		}
	})
}

func TestTenants_Filters(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "a"}, client.NewTenant{ID: "a-1", ParentID: "a"}, client.NewTenant{ID: "b"}, client.NewTenant{ID: "c"})
		r.disable(t, days(11), "b") // due
		r.disable(t, days(1), "c")  // not yet
		root, a := "", "a"
		for name, c := range map[string]struct {
			q    client.TenantQuery
			want []string
		}{
			"all":         {client.TenantQuery{}, []string{"a", "a-1", "b", "c"}},
			"active":      {client.TenantQuery{Status: store.StatusActive}, []string{"a", "a-1"}},
			"disabled":    {client.TenantQuery{Status: store.StatusDisabled}, []string{"b", "c"}},
			"failed":      {client.TenantQuery{Status: store.StatusFailed}, nil},
			"due":         {client.TenantQuery{Due: true}, []string{"b"}},
			"roots":       {client.TenantQuery{ParentID: &root}, []string{"a", "b", "c"}},
			"children":    {client.TenantQuery{ParentID: &a}, []string{"a-1"}},
			"roots, due":  {client.TenantQuery{ParentID: &root, Due: true}, []string{"b"}},
			"after, some": {client.TenantQuery{Page: pageAfter(client.SortID, store.Cursor{ID: "a-1"})}, []string{"b", "c"}},
		} {
			page, err := r.Tenants(t.Context(), c.q)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var got []string
			for _, tenant := range page.Data {
				got = append(got, tenant.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
	})
}

func TestQuery_IsStrict(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		for target, param := range map[string]string{
			"/tenants?stauts=active":                    "stauts",
			"/tenants?status=":                          "status",
			"/tenants?status=gone":                      "status",
			"/tenants?status=deleted":                   "status",
			"/tenants?status=active&status=none":        "status",
			"/tenants?due=yes":                          "due",
			"/tenants?due":                              "due",
			"/tenants?limit=0":                          "limit",
			"/tenants?limit=1001":                       "limit",
			"/tenants?limit=-1":                         "limit",
			"/tenants?limit=%2B5":                       "limit",
			"/tenants?limit=05":                         "limit",
			"/tenants?limit=1e2":                        "limit",
			"/tenants?limit=99999999999999999999":       "limit",
			"/tenants?after=acme":                       "after",
			"/tenants?page=":                            "page",
			"/tenants?page=acme":                        "page",
			"/tenants?page=aS4uLw":                      "page", // ../
			"/tenants?page=aWE&sort=estimatedPurgeDate": "page", // of the other order
			"/tenants?page=aWFiY2RlZmdoaWo&sort=estimatedPurgeDate": "page",
			"/tenants?page=ZQAA&sort=estimatedPurgeDate":            "page",
			"/tenants?page=ZQAAAAAAAAAAYQ":                          "page", // of the other order
			"/tenants?page=aWF=":                                    "page",
			"/tenants?sort=name":                                    "sort",
			"/tenants?sort=estimatedPurgeDate&status=active":        "status",
			"/tenants?parentId=%00":                                 "parentId",
			"/tenants?due=true;limit=1":                             "",
			"/tenants?%zz=1":                                        "",
			"/tenants/acme?allow_deleted=1":                         "allow_deleted",
			"/tenants/acme?version=1":                               "version",
			"/audit?from=0":                                         "from",
			"/audit?from=x":                                         "from",
			"/audit?limit=5000":                                     "limit",
			"/purges?limit=101":                                     "limit",
			"/status?verbose=true":                                  "verbose",
			"/tenants?" + strings.Repeat("x", 300) + "=1":           strings.Repeat("x", maxQuote),
		} {
			res := raw(t, r, "GET "+client.Prefix+target, "")
			p := res.problem(t)
			if res.status != 400 || p.Code != store.Invalid {
				t.Errorf("%s: status %d: %s", target, res.status, res.body)
			}
			if param != "" && (p.Source == nil || p.Source.Parameter != param || p.Source.Pointer != "") {
				t.Errorf("%s: source %+v, want the parameter %q", target, p.Source, param)
			}
			if len(p.Detail) > 300 {
				t.Errorf("%s: the message has %d bytes", target, len(p.Detail))
			}
		}
	})
}

func TestWire_EmptyMembersAreLeftOut(t *testing.T) {
	r := newRig(t).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme"})
	res := raw(t, r, "GET /api/v1/tenants/acme", "")
	tenant := res.json(t)
	delete(tenant, "createdAt")
	delete(tenant, "updatedAt")
	delete(tenant, "created")
	delete(tenant, "lastUpdated")
	want := map[string]any{"id": "acme", "name": "", "status": "active", "enabled": true, "version": 1.0,
		"links": map[string]any{"self": map[string]any{"href": "/api/v1/tenants/acme"}}}
	if d := cmp.Diff(want, tenant); d != "" {
		t.Errorf("members (-want +got):\n%s", d)
	}
	if res.header.Get("Content-Type") != client.ContentJSON || res.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", res.header)
	}
}

func TestWire_AllMembersHaveTheirNames(t *testing.T) {
	at := time.Date(2023, 7, 15, 14, 1, 22, 0, time.UTC)
	got := wireTenant(store.Tenant{
		ID: "i", ParentID: "p", Name: "n", Hostname: "h", Status: store.StatusDisabled, Version: 3,
		CreatedAt: at, UpdatedAt: at, DisabledAt: at, PurgeAfterDays: 15, EstimatedPurgeDate: at.Add(days(15)),
		DisabledBy: store.Actor{ID: "uid:1", Name: "root"}, ActiveSubscriptions: 1,
		Hold:  &store.Hold{Reason: "r", Actor: store.Actor{ID: "a"}, Since: at, Until: at.Add(time.Hour)},
		Block: &store.Block{Reason: store.BlockHold, By: "i"},
		Purge: &store.Progress{PurgeID: "1"}, ReactivatedAt: at,
	})
	m := encode(t, got)
	for _, name := range []string{"id", "parentId", "name", "hostname", "status", "version", "createdAt", "updatedAt",
		"disabledAt", "purgeAfterDays", "estimatedPurgeDate", "disabledBy", "hold", "activeSubscriptions", "block", "purge", "reactivatedAt",
		"enabled", "hostnames", "created", "lastUpdated", "statusLastUpdatedAt", "links"} {
		if _, ok := m[name]; !ok {
			t.Errorf("member %q is missing", name)
		}
		delete(m, name)
	}
	if len(m) != 0 {
		t.Errorf("more members than agreed upon: %v", m)
	}
	hold := encode(t, got.Hold)
	want := map[string]any{"reason": "r", "actor": map[string]any{"id": "a"},
		"since": "2023-07-15T14:01:22.000Z", "until": "2023-07-15T15:01:22.000Z"}
	if d := cmp.Diff(want, hold); d != "" {
		t.Errorf("hold (-want +got):\n%s", d)
	}
}

// withSettings changes the settings of the rig's engine.
func withSettings(t *testing.T, change func(*purge.Settings)) func(*Options) {
	return func(o *Options) {
		s := o.Engine.Settings()
		change(&s)
		if err := o.Engine.(*purge.Engine).Configure(s); err != nil {
			t.Fatal(err)
		}
	}
}

// methodOf splits "METHOD /path".
func methodOf(what string) (method, target string) {
	method, target, _ = strings.Cut(what, " ")
	return method, target
}
