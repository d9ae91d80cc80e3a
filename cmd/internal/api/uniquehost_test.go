package api

import (
	"context"
	"net/http"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

func TestHostname_OfAnotherTenantIsAConflict(t *testing.T) {
	st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir(), UniqueHosts: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Check(context.Background()); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	r := newRig(t, func(o *Options) { o.Store = st }).inProcess(t)
	r.create(t, client.NewTenant{ID: "acme", Hostname: "shop.example.com"}, client.NewTenant{ID: "beta"})
	for what, body := range map[string]string{
		"POST /api/v1/tenants":       `{"id":"late","hostname":"SHOP.example.com"}`,
		"PUT /api/v1/tenants/beta":   `{"enabled":true,"version":1,"hostname":"shop.example.com"}`,
		"PUT /api/2/tenants/beta":    `{"enabled":true,"version":1,"hostname":"shop.example.com"}`,
		"PATCH /api/v1/tenants/beta": `[{"op":"replace","path":"/hostnames/0","value":"shop.example.com"}]`,
	} {
		res := raw(t, r, what, body)
		p := res.problem(t)
		if res.status != http.StatusConflict || p.Code != store.Conflict || p.Source == nil || p.Source.Pointer != "/hostname" {
			t.Errorf("%s: %d %s", what, res.status, res.body)
		}
	}
	if got, err := r.Tenant(t.Context(), "beta", false); err != nil || got.Hostname != "" || got.Version != 1 {
		t.Errorf("after refusals: %+v, %v", got, err)
	}
	if res := raw(t, r, "PUT /api/v1/tenants/acme", `{"enabled":true,"version":1,"hostname":"Shop.example.com"}`); res.status != http.StatusOK {
		t.Errorf("its own: %d %s", res.status, res.body)
	}
}
