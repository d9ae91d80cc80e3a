package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestConfirmation_IsAskedForWhereServiceEnds(t *testing.T) {
	const right, wrong, dot = "X-Confirm-Hostname: ACME.example.com", "X-Confirm-Hostname: acme.example.org", "qlik-confirm-hostname: acme.example.com."
	for _, optional := range []bool{false, true} {
		r := newRig(t, func(o *Options) {
			o.Policy = func() Policy { return Policy{HostnameOptional: optional} }
		}, withSettings(t, func(s *purge.Settings) { s.ImmediateDelete = purge.DeleteNever })).inProcess(t)
		r.create(t, client.NewTenant{ID: "acme", Hostname: "acme.example.com"}, client.NewTenant{ID: "plain"})
		for _, c := range []struct {
			what, body string
			headers    []string
			refused    string // the header that is at fault; "" for none
			required   bool   // refused only where it is required
		}{
			{"POST /api/v1/tenants/acme/actions/deactivate", "", nil, qlikConfirmHeader, true},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{right}, "", false},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{dot}, "", false},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{dot, right}, "", false},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{wrong}, confirmHeader, false},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{dot, wrong}, confirmHeader, false},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{"X-Confirm-Hostname: acme.example.com:443"}, confirmHeader, false},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{"X-Confirm-Hostname: acme.example.com.."}, confirmHeader, false},
			{"POST /api/v1/tenants/acme/actions/deactivate", "", []string{"qlik-confirm-hostname: "}, qlikConfirmHeader, false},
			{"POST /api/v1/tenants/acme/actions/reactivate", "", nil, qlikConfirmHeader, true},
			{"POST /api/v1/tenants/acme/actions/reactivate", "", []string{wrong}, confirmHeader, false},
			{"POST /api/v1/tenants/acme/actions/reactivate", "", []string{right}, "", false},
			{"PATCH /api/v1/tenants/acme", "[]", nil, "", false},
			{"PATCH /api/v1/tenants/acme", "[]", []string{wrong}, confirmHeader, false},
			{"POST /api/v1/tenants/acme/hold", `{"reason":"x"}`, []string{wrong}, confirmHeader, false},
			{"POST /api/v1/tenants/plain/actions/deactivate", "", nil, "", false},
			{"POST /api/v1/tenants/plain/actions/deactivate", "", []string{right}, confirmHeader, false},
		} {
			res := raw(t, r, c.what, c.body, c.headers...)
			if c.refused == "" || c.required && optional {
				if res.status > 204 {
					t.Errorf("optional %t: %s with %q: status %d: %s", optional, c.what, c.headers, res.status, res.body)
				}
				continue
			}
			if p := res.problem(t); res.status != http.StatusBadRequest || p.Source == nil || p.Source.Parameter != c.refused {
				t.Errorf("optional %t: %s with %q: status %d: %s", optional, c.what, c.headers, res.status, res.body)
			}
		}
	}
}

func TestConfirmation_OfADeletion(t *testing.T) {
	const right, wrong, x = "X-Confirm-Hostname: a.example.com", "X-Confirm-Hostname: b.example.com", "x-tenantid: acme"
	for _, c := range []struct {
		target  string
		headers []string
		status  int
	}{
		{"/api/v1/admin/tenants/acme", nil, 400},
		{"/api/v1/admin/tenants/acme", []string{right}, 200},
		{"/api/v1/admin/tenants/acme", []string{x}, 200},
		{"/api/v1/admin/tenants/acme", []string{x, wrong}, 400},
		{"/api/v1/admin/tenants/acme", []string{x, right}, 200},
		{"/api/v1/admin/tenants/acme", []string{"x-tenantid: ", right}, 400},
		{"/api/v1/admin/tenants/acme", []string{"x-tenantid: other"}, 400},
		{"/api/v1/admin/tenants/acme", []string{"x-tenantid: ACME"}, 400},
		{"/api/v1/admin/tenants/acme", []string{"x-tenantid: other", right}, 400},
		{"/api/v1/admin/tenants/acme?version=2", []string{"x-tenantid: other", right}, 400},
		{"/api/v1/admin/tenants/acme?version=2", nil, 200},
		{"/api/v1/admin/tenants/acme?version=2", []string{wrong}, 400},
		{"/api/v1/admin/tenants/acme?version=1", []string{right}, 409},
		{"/api/v1/tenants/acme?version=2", nil, 204},
		{"/api/v1/tenants/acme?version=2", []string{wrong}, 400},
		{"/api/2/tenants/acme?version=2", []string{right}, 204},
	} {
		r := newRig(t).inProcess(t)
		r.create(t, client.NewTenant{ID: "acme", Hostname: "a.example.com"})
		r.disable(t, 0, "acme")
		res := raw(t, r, "DELETE "+c.target, "", c.headers...)
		if res.status != c.status {
			t.Errorf("%s with %q: status %d, want %d: %s", c.target, c.headers, res.status, c.status, res.body)
		}
		if strings.Contains(strings.Join(c.headers, "\n"), "x-tenantid: other") {
			if p := res.problem(t); p.Source == nil || p.Source.Parameter != "x-tenantid" {
				t.Errorf("%s with %q: %s", c.target, c.headers, res.body)
			}
		}
		if _, err := r.store.Tenant(t.Context(), "acme"); (store.CodeOf(err) == store.Gone) != (c.status < 300) {
			t.Errorf("%s with %q: afterwards %v", c.target, c.headers, err)
		}
	}
}

func TestConfirmation_HostNamesAreComparedAsHostNames(t *testing.T) {
	for name, same := range map[string]bool{
		"k.example.com": true, "K.EXAMPLE.com": true, "k.example.com.": true,
		"": false, ".": false, "k.example.com..": false, " k.example.com": false, "k.example.co": false, "x.k.example.com": false,
		"\u212a.example.com": false, // KELVIN SIGN folds to k
	} {
		if got := sameHost(name, "k.example.com"); got != same {
			t.Errorf("%q: %t", name, got)
		}
	}
}

// renaming is a store in which somebody gives the tenant another host name just
// before it is changed or claimed.
type renaming struct {
	store.Store
	to string
}

func (s *renaming) rename(ctx context.Context, id string, o store.Origin) error {
	_, err := s.Store.Update(ctx, id, store.Update{Origin: o, Change: store.Edit(nil, &s.to, nil)})
	return err
}

// Update implements store.Store.
func (s *renaming) Update(ctx context.Context, id string, up store.Update) (store.Tenant, error) {
	if err := s.rename(ctx, id, up.Origin); err != nil {
		return store.Tenant{}, err
	}
	return s.Store.Update(ctx, id, up)
}

// Claim implements store.Store.
func (s *renaming) Claim(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if err := s.rename(ctx, id, req.Origin); err != nil {
		return store.Claim{}, err
	}
	return s.Store.Claim(ctx, id, req)
}

// The host name is that of the very record that is changed: an id that was given
// to another host meanwhile is not what the caller has confirmed.
func TestConfirmation_IsOfTheRecordThatIsChanged(t *testing.T) {
	r := newRig(t, func(o *Options) {
		slow := &renaming{Store: o.Store, to: "b.example.com"}
		engine, err := purge.New(purge.Options{Store: slow, Settings: o.Engine.Settings()})
		if err != nil {
			t.Fatal(err)
		}
		o.Store, o.Engine = slow, engine
	}).inProcess(t)
	for _, id := range []string{"active", "off"} {
		r.create(t, client.NewTenant{ID: id, Hostname: "a.example.com"})
	}
	r.disable(t, 0, "off")
	_, err := r.Deactivate(t.Context(), "active", client.DeactivateRequest{}, client.WithHostname("a.example.com"))
	wantCode(t, err, store.Invalid)
	_, err = r.Delete(t.Context(), "off", 0, client.WithHostname("a.example.com"))
	wantCode(t, err, store.Conflict)
	for id, status := range map[string]store.Status{"active": store.StatusActive, "off": store.StatusDisabled} {
		if got, err := r.store.Tenant(t.Context(), id); err != nil || got.Status != status || got.Hostname != "b.example.com" {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
}
