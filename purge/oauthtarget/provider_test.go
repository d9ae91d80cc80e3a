package oauthtarget_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// registry knows what was registered in a test.
type registry struct {
	mu      sync.Mutex
	clients map[string][]oauthtarget.Client
}

func (r *registry) Clients(_ context.Context, tenantID string) ([]oauthtarget.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]oauthtarget.Client(nil), r.clients[tenantID]...), nil
}

func (r *registry) put(tenantID string, c oauthtarget.Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients == nil {
		r.clients = map[string][]oauthtarget.Client{}
	}
	r.clients[tenantID] = append(r.clients[tenantID], c)
}

// realm is a part of a running oidc-provider that is a test's own. What is registered
// in it is added to the registry, a file.
type realm struct {
	registry
	url, name, journal, file string
}

func newRealm(t testing.TB, url string) *realm {
	dir := t.TempDir()
	r := &realm{
		url: url, name: t.Name() + time.Now().Format(time.RFC3339Nano),
		journal: filepath.Join(dir, "oauth.journal"), file: filepath.Join(dir, "clients.jsonl"),
	}
	rewrite(t, r.file, registered("someone-else", oauthtarget.Client{ID: "none", URI: url + "/reg/none", Token: "none"}))
	return r
}

func (r *realm) target(t testing.TB, opt oauthtarget.Options) *oauthtarget.Target {
	t.Helper()
	target, err := oauthtarget.New(oauthtarget.Config{Name: "login", BaseURL: r.url, Journal: r.journal, Clients: r.file}, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

// do calls the server.
func (r *realm) do(method, path string, body, answer any) error {
	return targettest.Ask(method, r.url+path, "initial", body, answer)
}

// add registers clients, as RFC 7591 has it.
func (r *realm) add(tenant string, _ store.Kind, n int) error {
	var g errgroup.Group
	g.SetLimit(4)
	for range n {
		g.Go(func() error {
			var c struct {
				ID    string `json:"client_id"`
				URI   string `json:"registration_client_uri"`
				Token string `json:"registration_access_token"`
			}
			if err := r.do(http.MethodPost, "/reg", map[string]any{
				"redirect_uris": []string{"https://app.example.com/cb"}, "tenant": tenant, "realm": r.name,
			}, &c); err != nil {
				return err
			}
			return r.note(tenant, oauthtarget.Client{ID: c.ID, URI: c.URI, Token: c.Token})
		})
	}
	return g.Wait()
}

// note adds a client to the registry.
func (r *realm) note(tenant string, c oauthtarget.Client) error {
	r.put(tenant, c)
	if valid := store.CheckID("tenant_id", tenant) == nil; !valid {
		return nil // a neighbour whose id no tenant has
	}
	f, err := os.OpenFile(r.file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(registered(tenant, c)) // in one piece
	return errors.Join(err, f.Close())
}

func (r *realm) left(tenant string, _ store.Kind) (n int64, err error) {
	err = r.do(http.MethodGet, "/test/left?"+url.Values{"realm": {r.name}, "tenant": {tenant}}.Encode(), nil, &n)
	return n, err
}

func TestConformance(t *testing.T) {
	server := targettest.StartNode(t, "OIDC_MODULES")
	targettest.Run(t, targettest.Harness{Many: 100, New: func(t *testing.T) targettest.System {
		r := newRealm(t, server)
		return targettest.System{
			Target: r.target(t, oauthtarget.Options{}), Add: r.add, Left: r.left,
			Break: func() {
				if err := r.do(http.MethodPost, "/test/break?realm="+url.QueryEscape(r.name), nil, nil); err != nil {
					t.Fatal(err)
				}
			},
		}
	}})
}

func clients(limit int) purge.Request {
	return purge.Request{TenantID: "acme", Kind: store.KindOAuthClient, Limit: limit}
}

// cut loses the answers to DELETE, from the n-th on, after the server has carried
// it out.
type cut struct{ from, seen atomic.Int64 }

func (c *cut) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || req.Method != http.MethodDelete || c.seen.Add(1) < c.from.Load() {
		return resp, err
	}
	_ = resp.Body.Close()
	return nil, errors.New("the connection was cut")
}

func TestPurge_G5_ALostAnswerIsResumedFromTheJournal(t *testing.T) {
	r := newRealm(t, targettest.StartNode(t, "OIDC_MODULES"))
	if err := errors.Join(r.add("acme", "", 20), r.add("globex", "", 3)); err != nil {
		t.Fatal(err)
	}
	lossy := &cut{}
	lossy.from.Store(5)
	first := r.target(t, oauthtarget.Options{HTTP: httpcall.Options{Transport: lossy}})
	did, err := first.Purge(t.Context(), clients(20))
	left, _ := r.left("acme", "")
	if store.CodeOf(err) != store.Internal || did.Deleted != 4 || left >= 16 {
		t.Fatalf("a purge whose answers were lost from the fifth on = %+v, %v with %d left", did, err, left)
	}
	// The process ends; another one has the file alone.
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := r.target(t, oauthtarget.Options{})
	if n, err := second.Count(t.Context(), "acme", store.KindOAuthClient); err != nil || n != left {
		t.Errorf("Count after the restart = %d, %v, want %d", n, err, left)
	}
	again := clients(20)
	again.Resumed = true
	did, err = second.Purge(t.Context(), again)
	if err != nil || did.Deleted != left || did.More {
		t.Errorf("resumed = %+v, %v: want the %d that were left", did, err, left)
	}
	n, err := second.Count(t.Context(), "acme", store.KindOAuthClient)
	if bystander, _ := r.left("globex", ""); n != 0 || err != nil || bystander != 3 {
		t.Errorf("in the end Count = %d, %v, and the neighbour has %d of 3", n, err, bystander)
	}
}

func TestTarget_G6_AClientThatIsRegisteredWhileItsTenantIsPurgedIsNotLeftBehind(t *testing.T) {
	r := newRealm(t, targettest.StartNode(t, "OIDC_MODULES"))
	target := r.target(t, oauthtarget.Options{})
	count(t, target, "acme", 0) // the plan
	if err := errors.Join(r.add("acme", "", 3), r.add("globex", "", 2)); err != nil {
		t.Fatal(err)
	}
	if did, err := target.Purge(t.Context(), clients(10)); err != nil || did.Deleted != 3 {
		t.Errorf("Purge = %+v, %v, want 3", did, err)
	}
	if err := r.add("acme", "", 1); err != nil {
		t.Fatal(err)
	}
	count(t, target, "acme", 1) // the verification
	if did, err := target.Purge(t.Context(), clients(10)); err != nil || did.Deleted != 1 {
		t.Errorf("Purge = %+v, %v, want 1", did, err)
	}
	count(t, target, "acme", 0)
	mine, _ := r.left("acme", "")
	if other, err := r.left("globex", ""); mine != 0 || other != 2 || err != nil {
		t.Errorf("%d are left, and %d of 2 of the neighbour, %v", mine, other, err)
	}
}

func TestPurge_G6_ABadTokenIsNeverTakenForGone(t *testing.T) {
	r := newRealm(t, targettest.StartNode(t, "OIDC_MODULES"))
	if err := r.add("acme", "", 3); err != nil {
		t.Fatal(err)
	}
	revoked := r.clients["acme"][1]
	if err := r.do(http.MethodPost, "/test/revoke?client="+revoked.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	target := r.target(t, oauthtarget.Options{})
	for range 3 {
		did, err := target.Purge(t.Context(), clients(10))
		if store.CodeOf(err) != store.Unauthenticated || purge.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), httpcall.Hashed(revoked.ID)) || strings.Contains(fmt.Sprint(err), revoked.ID) || strings.Contains(fmt.Sprint(err), revoked.Token) {
			t.Errorf("Purge = %+v, %v, want unauthenticated, with the hash of the client's id, and neither that nor its token", did, err)
		}
		if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err == nil {
			t.Errorf("Count = %d without an error", n)
		}
	}
	if left, _ := r.left("acme", ""); left != 1 {
		t.Errorf("%d are left, want the one with the bad token", left)
	}
}

func TestCheck(t *testing.T) {
	r := newRealm(t, targettest.StartNode(t, "OIDC_MODULES"))
	if err := r.target(t, oauthtarget.Options{}).Check(t.Context()); err != nil {
		t.Errorf("Check of a server that is there: %v", err)
	}
	r = newRealm(t, "http://127.0.0.1:1")
	if err := r.target(t, oauthtarget.Options{}).Check(t.Context()); store.CodeOf(err) != store.Unavailable {
		t.Errorf("Check of nobody: %v", err)
	}
}
