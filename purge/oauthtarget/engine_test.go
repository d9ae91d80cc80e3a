package oauthtarget_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// newStore returns a store with a tenant, acme, that is due.
func newStore(t *testing.T) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	past := store.Origin{Actor: store.Actor{ID: "support"}, At: time.Now().Add(-31 * 24 * time.Hour)}
	if _, err := s.Create(t.Context(), store.Tenant{ID: "acme"}, past); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), "acme", store.Update{Origin: past, Change: store.Deactivate(30, store.DefaultGrace(), nil)}); err != nil {
		t.Fatal(err)
	}
	return s
}

// pass makes a pass, however long the tenant would have to wait for one, and returns
// its status.
func pass(t *testing.T, s *boltstore.Store, target purge.Target) (store.Status, purge.Report) {
	t.Helper()
	e, err := purge.New(purge.Options{Store: s, Targets: []purge.Target{target}, Settings: purge.DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	acme, err := s.Tenant(t.Context(), "acme")
	if err == nil && acme.Status == store.StatusPurging {
		_, err = s.Update(t.Context(), "acme", store.Update{Origin: store.Origin{Actor: store.Actor{ID: "ops"}, At: time.Now()}, Change: store.Retry()})
	}
	if err != nil {
		t.Fatal(err)
	}
	report, err := e.Run(t.Context(), purge.TriggerRun)
	if err != nil {
		t.Fatal(err)
	}
	acme, err = s.Tenant(t.Context(), "acme")
	switch {
	case store.CodeOf(err) == store.Gone:
		return store.StatusDeleted, report
	case err != nil:
		t.Fatal(err)
	}
	return acme.Status, report
}

func TestRun_G6_NoTenantIsDeletedWhileAClientOfItIsThere(t *testing.T) {
	f := newFake(t, 2)
	target, path := f.withFile(t)
	s := newStore(t)
	// With the last DELETE another client is registered.
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete || f.called("DELETE") != 2 {
			return false
		}
		f.serve(httptest.NewRecorder(), r)
		f.register("3")
		if err := os.WriteFile(path, []byte(f.lines()), 0o600); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	if status, report := pass(t, s, target); status != store.StatusPurging || f.there() != 1 {
		t.Errorf("the tenant is %s with %d clients there: %+v", status, f.there(), report.Tenants)
	}
	// Without the registry nobody knows.
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if status, report := pass(t, s, target); status != store.StatusPurging || f.there() != 1 {
		t.Errorf("the tenant is %s with %d clients there: %+v", status, f.there(), report.Tenants)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	status, report := pass(t, s, target)
	if status != store.StatusDeleted || f.there() != 0 {
		t.Errorf("the tenant is %s with %d clients there: %+v", status, f.there(), report.Tenants)
	}
	if r, err := s.Receipt(t.Context(), "acme"); err != nil || r.Deleted.OAuthClients != 3 {
		t.Errorf("receipt %+v, %v", r, err)
	}
}

// The registrations are in the store until the target is verified empty, and go with
// the tenant.
func TestRun_G6_TheDirectoryKnowsTheClientsUntilTheyAreGone(t *testing.T) {
	f := newFake(t, 2)
	s := newStore(t)
	var list []store.Resource
	for _, c := range f.clients["acme"] {
		data, err := json.Marshal(map[string]string{"registration_client_uri": c.URI, "registration_access_token": c.Token})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, store.Resource{TenantID: "acme", Kind: store.KindOAuthClient, ID: c.ID, Data: data})
	}
	list = append(list, store.Resource{TenantID: "acme", Kind: store.KindOAuthClient, ID: "3", Data: json.RawMessage(`{}`)})
	target, err := oauthtarget.New(oauthtarget.Config{Name: "login", BaseURL: f.url, Journal: filepath.Join(t.TempDir(), "journal")},
		oauthtarget.Options{Registry: oauthtarget.FromDirectory(s)})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	// Only now, as a client that is registered after the start.
	count(t, target, "acme", 0)
	if err := s.Put(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	count(t, target, "acme", 2)
	f.intercept = on(http.MethodDelete, 503, asJSON, `{}`)
	if status, report := pass(t, s, target); status != store.StatusPurging || f.there() != 2 {
		t.Errorf("the tenant is %s with %d clients there: %+v", status, f.there(), report.Tenants)
	}
	f.intercept = nil
	status, report := pass(t, s, target)
	r, err := s.Receipt(t.Context(), "acme")
	if status != store.StatusDeleted || f.there() != 0 || err != nil || fmt.Sprint(r.Targets["login"].OAuthClients, r.Deleted.OAuthClients) != "2 5" {
		t.Errorf("the tenant is %s with %d clients there: %+v; receipt %+v, %v", status, f.there(), report.Tenants, r, err)
	}
}
