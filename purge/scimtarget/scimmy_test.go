package scimtarget_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

const tenancy = "urn:ietf:params:scim:schemas:extension:purger:2.0:Tenancy"

// realm is a part of a running scimmy server that is a test's own.
type realm struct {
	url, token, attribute string
	endpoints             int // 1: users alone
}

func newRealm(t testing.TB, url, attribute string) *realm {
	return &realm{url, "realm-" + strings.ReplaceAll(t.Name(), "/", "-") + time.Now().Format(time.RFC3339Nano), attribute, 2}
}

// config returns the configuration of a target in the realm: users, and groups in
// the place of credentials.
func (r *realm) config() scimtarget.Config {
	attribute := tenancy + ":" + r.attribute
	return scimtarget.Config{
		Name:    "directory",
		BaseURL: r.url + "/scim/v2", Auth: httpcall.Auth{Bearer: r.token},
		Resources: []scimtarget.Resource{
			{Kind: store.KindUser, Endpoint: "/Users", Attribute: attribute},
			{Kind: store.KindCredential, Endpoint: "/Groups", Attribute: attribute},
		}[:r.endpoints],
	}
}

func (r *realm) target(t testing.TB, opt scimtarget.Options) *scimtarget.Target {
	t.Helper()
	target, err := scimtarget.New(r.config(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

// do calls what the server has for tests.
func (r *realm) do(method, path string, body, answer any) error {
	return targettest.Ask(method, r.url+path, r.token, body, answer)
}

func endpointOf(kind store.Kind) string {
	if kind == store.KindUser {
		return "/Users"
	}
	return "/Groups"
}

func (r *realm) add(tenant string, kind store.Kind, n int) error {
	return r.do(http.MethodPost, "/test/add", map[string]any{
		"tenant": tenant, "endpoint": endpointOf(kind), "attribute": r.attribute, "n": n,
	}, nil)
}

func (r *realm) left(tenant string, kind store.Kind) (n int64, err error) {
	query := url.Values{"tenant": {tenant}, "endpoint": {endpointOf(kind)}, "attribute": {r.attribute}}
	err = r.do(http.MethodGet, "/test/left?"+query.Encode(), nil, &n)
	return n, err
}

// log returns the requests to SCIM, without ids.
func (r *realm) log(t testing.TB) []string {
	t.Helper()
	var log []string
	if err := r.do(http.MethodGet, "/test/log", nil, &log); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name, mode, attribute string
		endpoints             int // users, or users and groups
	}{
		{"Bulk", "bulk", "tenantId", 2},
		{"OneByOne", "nobulk", "tenantId", 1},
		{"CaseInsensitive", "bulk", "account", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := targettest.StartNode(t, "SCIM_MODULES", c.mode)
			targettest.Run(t, targettest.Harness{New: func(t *testing.T) targettest.System {
				r := newRealm(t, url, c.attribute)
				r.endpoints = c.endpoints
				return targettest.System{
					Target: r.target(t, scimtarget.Options{}), Add: r.add, Left: r.left,
					Break: func() {
						if err := r.do(http.MethodPost, "/test/break", nil, nil); err != nil {
							t.Fatal(err)
						}
					},
				}
			}})
		})
	}
}

// cut loses the answers to what changes something, from the n-th on, after the
// server has carried it out.
type cut struct {
	from, seen atomic.Int64
}

func (c *cut) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || req.Method == http.MethodGet || c.seen.Add(1) < c.from.Load() {
		return resp, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body = io.NopCloser(io.MultiReader(iotestErr{}))
	return resp, nil
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errors.New("the connection was cut") }

func TestPurge_G5_ALostAnswerIsResumedAndCountedAsALowerBound(t *testing.T) {
	url := targettest.StartNode(t, "SCIM_MODULES", "bulk")
	for _, mode := range []string{scimtarget.BulkAuto, scimtarget.BulkNever} {
		t.Run(mode, func(t *testing.T) {
			r := newRealm(t, url, "tenantId")
			lossy := &cut{}
			lossy.from.Store(2)
			cfg := r.config()
			cfg.Bulk, cfg.Parallel = mode, 1
			target, err := scimtarget.New(cfg, scimtarget.Options{HTTP: httpcall.Options{Transport: lossy}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(r.add("acme", store.KindUser, 100), r.add("globex", store.KindUser, 5)); err != nil {
				t.Fatal(err)
			}
			did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100})
			left, _ := r.left("acme", store.KindUser)
			if store.CodeOf(err) != store.Internal || did.Deleted == 0 || did.Deleted >= 100-left {
				t.Fatalf("a purge whose second answer was lost = %+v, %v with %d left: want fewer reported than are gone, and the code internal", did, err, left)
			}
			lossy.from.Store(1 << 40)
			again, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100, Resumed: true})
			if err != nil || again.Deleted != left || again.More {
				t.Errorf("resumed = %+v, %v: want the %d that were left", again, err, left)
			}
			n, err := target.Count(t.Context(), "acme", store.KindUser)
			if bystander, _ := r.left("globex", store.KindUser); n != 0 || err != nil || bystander != 5 {
				t.Errorf("in the end Count = %d, %v, and the neighbour has %d of 5", n, err, bystander)
			}
		})
	}
}

func TestPurge_BulkStaysWithinWhatTheServerTakes(t *testing.T) {
	r := newRealm(t, targettest.StartNode(t, "SCIM_MODULES", "bulk"), "tenantId")
	if err := r.add("acme", store.KindUser, 95); err != nil {
		t.Fatal(err)
	}
	did, err := r.target(t, scimtarget.Options{}).Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1000})
	if err != nil || did.Deleted != 95 {
		t.Fatalf("Purge = %+v, %v", did, err)
	}
	// The server takes 40 operations, and 4,000 bytes.
	log := r.log(t)
	bulks := 0
	for _, call := range log {
		if call == "POST /Bulk" {
			bulks++
		}
	}
	if bulks != 3 || slices.Contains(log, "DELETE /Users/ID") {
		t.Errorf("95 users went in %d Bulk requests, want 3: %v", bulks, log)
	}
}

func TestPurge_EndpointsOfOneKindAreEmptiedInTheirOrder(t *testing.T) {
	r := newRealm(t, targettest.StartNode(t, "SCIM_MODULES", "bulk"), "tenantId")
	if err := errors.Join(r.add("acme", store.KindUser, 5), r.add("acme", store.KindCredential, 4)); err != nil {
		t.Fatal(err)
	}
	cfg := r.config()
	cfg.Resources[1].Kind = store.KindUser
	slices.Reverse(cfg.Resources) // groups first
	target, err := scimtarget.New(cfg, scimtarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if kinds := target.Kinds(); !slices.Equal(kinds, []store.Kind{store.KindUser}) {
		t.Errorf("Kinds = %v", kinds)
	}
	for _, want := range []struct {
		did           purge.Removed
		groups, users int64
	}{
		{purge.Removed{Deleted: 3, More: true}, 1, 5},
		{purge.Removed{Deleted: 3, More: true}, 0, 3},
		{purge.Removed{Deleted: 3, More: true}, 0, 0},
		{purge.Removed{}, 0, 0},
	} {
		did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 3})
		groups, _ := r.left("acme", store.KindCredential)
		users, _ := r.left("acme", store.KindUser)
		n, countErr := target.Count(t.Context(), "acme", store.KindUser)
		if err != nil || did != want.did || groups != want.groups || users != want.users || countErr != nil || n != groups+users {
			t.Errorf("Purge = %+v, %v with %d groups and %d users left, and Count = %d, %v; want %+v", did, err, groups, users, n, countErr, want)
		}
	}
}

// The lexer of scimmy ends a string at a quote that is escaped, so that what
// follows becomes a part of the filter.
func TestPurge_G4_AFilterThatTheServerMisreadsRemovesNothing(t *testing.T) {
	r := newRealm(t, targettest.StartNode(t, "SCIM_MODULES", "bulk"), "tenantId")
	if err := r.add("acme", store.KindUser, 3); err != nil {
		t.Fatal(err)
	}
	target := r.target(t, scimtarget.Options{})
	for _, id := range []string{
		`x" or id pr or id eq "y`, `x\" or id pr or id eq \"y`, `" or id pr`, `"`, `\`, "x\" or " + tenancy + `:tenantId sw "a`,
	} {
		did, err := target.Purge(t.Context(), purge.Request{TenantID: id, Kind: store.KindUser, Limit: 10})
		if left, _ := r.left("acme", store.KindUser); left != 3 || did.Deleted != 0 {
			t.Fatalf("the purge of %q = %+v, %v and left %d of 3 of another tenant", id, did, err, left)
		}
	}
}

func TestCheck(t *testing.T) {
	url := targettest.StartNode(t, "SCIM_MODULES", "bulk")
	sound := newRealm(t, url, "tenantId")
	if err := sound.target(t, scimtarget.Options{}).Check(t.Context()); err != nil {
		t.Errorf("Check of a sound server: %v", err)
	}
	stranger := *sound
	stranger.token = "secret-of-nobody"
	err := stranger.target(t, scimtarget.Options{}).Check(t.Context())
	if store.CodeOf(err) != store.Unauthenticated || strings.Contains(fmt.Sprint(err), stranger.token) || purge.IsPermanent(err) {
		t.Errorf("Check with a token that is not known: %v", err)
	}
	// scimmy answers a filter on what is not there with an empty list.
	misspelt := *sound
	misspelt.attribute = "tenantID2"
	target := misspelt.target(t, scimtarget.Options{})
	if err := target.Check(t.Context()); store.CodeOf(err) != store.Precondition {
		t.Errorf("Check with an attribute that is not in its schema: %v", err)
	}
	if n, err := target.Count(t.Context(), "acme", store.KindUser); err == nil {
		t.Errorf("Count by an attribute that is not in its schema = %d without an error", n)
	}
	found, err := newRealm(t, url, "account").target(t, scimtarget.Options{}).Diagnose(t.Context())
	if err != nil || len(found) != 3 || found[0].Severity != purge.SeverityWarning || !strings.Contains(found[0].Text, "case-exact") {
		t.Errorf("Diagnose of an attribute without case = %+v, %v", found, err)
	}
}
