package restsource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/restsource"
	"github.com/tenantpurge/purger/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a platform's API.
type api struct {
	tenants []map[string]any
	size    int
	// spoil, unless nil, may answer in its place.
	spoil func(w http.ResponseWriter, r *http.Request) bool
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.spoil != nil && a.spoil(w, r) {
		return
	}
	if r.Header.Get("Authorization") != "Bearer t0ken" {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "token"})
		return
	}
	if id, one := strings.CutPrefix(r.URL.EscapedPath(), "/v1/tenants/"); one {
		for _, t := range a.tenants {
			if url.PathEscape(fmt.Sprint(t["id"])) == id || t["id"] == unescape(id) {
				answer(w, http.StatusOK, map[string]any{"data": t})
				return
			}
		}
		answer(w, http.StatusNotFound, map[string]any{"error": "no such tenant"})
		return
	}
	q := r.URL.Query()
	from := 0
	switch {
	case q.Has("offset"):
		from, _ = strconv.Atoi(q.Get("offset"))
	case q.Has("page"):
		from, _ = strconv.Atoi(q.Get("page"))
		from = (from - 1) * a.size
	case q.Has("cursor"):
		from, _ = strconv.Atoi(strings.TrimPrefix(q.Get("cursor"), "after "))
	}
	from = min(from, len(a.tenants))
	to := min(from+a.size, len(a.tenants))
	body := map[string]any{"data": append([]map[string]any{}, a.tenants[from:to]...), "meta": map[string]any{"total": len(a.tenants), "request": time.Now().String()}}
	if to < len(a.tenants) {
		body["meta"].(map[string]any)["next"] = fmt.Sprintf("after %d", to)
		w.Header().Add("Link", `</v1/tenants?cursor=0>; rel="first", </v1/tenants?cursor=`+fmt.Sprint(to)+`>; title="a, b"; rel="next last"`)
	}
	answer(w, http.StatusOK, body)
}

func unescape(s string) string {
	v, _ := url.PathUnescape(s)
	return v
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// config is that of a source of the API at a URL.
func config(base string) restsource.Config {
	return restsource.Config{
		BaseURL: base + "/v1", Auth: httpcall.Auth{Bearer: "t0ken"},
		List: restsource.List{URL: "/tenants?all=1", Items: "data", Total: "meta.total"},
		Get:  restsource.Get{URL: "/tenants/{id}", Item: "data"},
		Fields: restsource.Fields{ID: "id", Parent: "parent", Name: "name", Host: "domain", Status: "state", DisabledAt: "off.at",
			PurgeAfterDays: "off.days", PurgeAt: "off.until"},
		Active: []string{"ACTIVE", "TRIAL"}, Disabled: []string{"SUSPENDED"},
	}
}

func newSource(t testing.TB, h http.Handler, change ...func(*restsource.Config)) *restsource.Source {
	t.Helper()
	server := httptest.NewServer(h)
	cfg := config(server.URL)
	for _, c := range change {
		c(&cfg)
	}
	s, err := restsource.New(cfg, restsource.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		server.Close()
	})
	return s
}

func paging(p restsource.Paging) func(*restsource.Config) {
	return func(c *restsource.Config) { c.List.Paging = p }
}

func pagings() map[string]restsource.Paging {
	return map[string]restsource.Paging{
		"link":      {Type: restsource.PagingLink},
		"cursor":    {Type: restsource.PagingCursor, Next: "meta.next", Param: "cursor"},
		"offset":    {Type: restsource.PagingOffset, Param: "offset", SizeParam: "limit", Size: 3},
		"page":      {Type: restsource.PagingPage, Param: "page", First: 1},
		"page from": {Type: restsource.PagingPage, Param: "page", First: 1, Size: 1000},
	}
}

func snapshot(s purge.Source) ([]purge.SourceRow, error) {
	var rows []purge.SourceRow
	err := s.Tenants(context.Background(), func(r purge.SourceRow) error {
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

func TestTenants_OfEveryPagingAreAll(t *testing.T) {
	for name, p := range pagings() {
		for _, n := range []int{0, 1, 2, 3, 6, 7, 8} {
			a := &api{size: 3}
			var want []string
			for i := range n {
				id := fmt.Sprintf("t%d", i)
				a.tenants = append(a.tenants, map[string]any{"id": id, "state": "ACTIVE"})
				want = append(want, id)
			}
			rows, err := snapshot(newSource(t, a, paging(p)))
			var got []string
			for _, r := range rows {
				got = append(got, r.Tenant.ID)
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s, %d tenants: %v\n%s", name, n, err, diff)
			}
		}
	}
	a := &api{size: 3, tenants: []map[string]any{{"id": "a", "state": "ACTIVE"}, {"id": "b", "state": "ACTIVE"}}}
	if rows, err := snapshot(newSource(t, a)); len(rows) != 2 || err != nil {
		t.Errorf("in one page: %v, %v", rows, err)
	}
}

func TestTenants_YieldsEveryRowAsItIs(t *testing.T) {
	at := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	text := func(s string) *string { return &s }
	off := func(at, days, until any) map[string]any {
		return map[string]any{"at": at, "days": days, "until": until}
	}
	a := &api{size: 100, tenants: []map[string]any{
		{"id": "acme", "state": "TRIAL", "name": "Acme", "domain": "acme.example"},
		{"id": 42, "parent": "acme", "state": "SUSPENDED", "name": nil, "off": off("2026-01-05T12:00:00+02:00", 15, nil)},
		{"id": "until", "state": "SUSPENDED", "off": off("2026-01-05T10:00:00Z", nil, "2026-02-05T10:00:00Z")},
		{"id": "status", "state": "ARCHIVED"}, {"id": "none"}, {"id": "days", "state": "SUSPENDED", "off": off("2026-01-05T10:00:00Z", 1.5, nil)},
		{"id": "zero", "state": "SUSPENDED", "off": off("2026-01-05T10:00:00Z", 0, nil)}, {"id": "time", "state": "SUSPENDED", "off": off("yesterday", 15, nil)},
		{"id": []int{1}, "state": "ACTIVE"}, {"id": "last", "state": "ACTIVE"},
	}}
	s := newSource(t, a)
	rows, err := snapshot(s)
	if err != nil {
		t.Fatal(err)
	}
	want := []purge.SourceTenant{
		{ID: "acme", Status: store.StatusActive, Name: text("Acme"), Hostname: text("acme.example")},
		{ID: "42", ParentID: "acme", Status: store.StatusDisabled, DisabledAt: at, PurgeAfterDays: 15},
		{ID: "until", Status: store.StatusDisabled, DisabledAt: at, PurgeAt: at.AddDate(0, 1, 0)},
		{ID: "last", Status: store.StatusActive},
	}
	var got []purge.SourceTenant
	var bad []string
	for _, r := range rows {
		if r.Err != nil {
			bad = append(bad, r.Tenant.ID)
			continue
		}
		got = append(got, r.Tenant)
		one, err := s.Tenant(context.Background(), r.Tenant.ID)
		if diff := cmp.Diff(r.Tenant, one); err != nil || diff != "" {
			t.Errorf("Tenant(%q): %v\n%s", r.Tenant.ID, err, diff)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"status", "none", "days", "zero", "time", ""}, bad); diff != "" {
		t.Errorf("rows that make no sense: %s", diff)
	}
	for _, id := range bad[:5] {
		if _, err := s.Tenant(context.Background(), id); store.CodeOf(err) != store.Invalid {
			t.Errorf("Tenant(%q): %v", id, err)
		}
	}
}

func TestTenants_Times(t *testing.T) {
	at := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	for times, value := range map[string]any{"unix": at.Unix(), "unixMilli": at.UnixMilli(), "rfc3339": "2026-01-05T10:00:00Z"} {
		a := &api{tenants: []map[string]any{{"id": "a", "state": "SUSPENDED", "off": map[string]any{"at": value}}}}
		s := newSource(t, a, func(c *restsource.Config) { c.Times = times })
		if v, err := s.Tenant(context.Background(), "a"); err != nil || !v.DisabledAt.Equal(at) {
			t.Errorf("%s: %+v, %v", times, v, err)
		}
	}
}

func TestTenant_G4_IdsAreData(t *testing.T) {
	ids := []string{"a", "a/b", "a?b", "a#b", "a b", "%2e", "ü", `"`, "a:b", "..a", "{id}"}
	a := &api{}
	for _, id := range ids {
		a.tenants = append(a.tenants, map[string]any{"id": id, "state": "ACTIVE"})
	}
	s := newSource(t, a)
	for _, id := range ids {
		if v, err := s.Tenant(context.Background(), id); err != nil || v.ID != id {
			t.Errorf("%q: %+v, %v", id, v, err)
		}
	}
	for _, id := range []string{"", ".", ".."} {
		if _, err := s.Tenant(context.Background(), id); err == nil || store.CodeOf(err) == store.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
	// A server that takes another id for the same.
	lax := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"id": "ACME", "state": "ACTIVE"}})
	}))
	if _, err := lax.Tenant(context.Background(), "acme"); store.CodeOf(err) != store.Invalid {
		t.Errorf("another tenant: %v", err)
	}
}

func TestSource_NoAnswerIsNeverNotFoundNorTheEnd(t *testing.T) {
	page := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("offset") == "0" {
				return false // the first page is fine
			}
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, spoil := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"HTML":            page(200, "text/html", "<html>"),
		"HTML, 404":       page(404, "text/html", "<html>"),
		"not JSON":        page(200, "application/json", "{"),
		"empty":           page(200, "application/json", ""),
		"no array":        page(200, "application/json", `{"data":null,"meta":{"total":4}}`),
		"an error":        page(200, "application/json", `{"error":"x"}`),
		"401":             page(401, "application/json", `{}`),
		"403":             page(403, "application/json", `{}`),
		"500":             page(500, "application/json", `{}`),
		"503":             page(503, "application/json", `{}`),
		"202":             page(202, "application/json", `{"data":[],"meta":{"total":4}}`),
		"no total":        page(200, "application/json", `{"data":[]}`),
		"an end too soon": page(200, "application/json", `{"data":[],"meta":{"total":4}}`),
		"redirect": func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("offset") == "0" {
				return false
			}
			http.Redirect(w, r, "/v1/tenants?offset=0", http.StatusFound)
			return true
		},
		"cut": func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("offset") == "0" {
				return false
			}
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &api{size: 2, spoil: spoil}
			for i := range 4 {
				a.tenants = append(a.tenants, map[string]any{"id": fmt.Sprintf("t%d", i), "state": "ACTIVE"})
			}
			s := newSource(t, a, paging(pagings()["offset"]))
			if rows, err := snapshot(s); store.CodeOf(err) != store.Unavailable || len(rows) != 2 {
				t.Errorf("%d rows, %v", len(rows), err)
			}
			if _, err := s.Tenant(context.Background(), "t0"); store.CodeOf(err) != store.Unavailable {
				t.Errorf("Tenant: %v", err)
			}
		})
	}
	s := newSource(t, &api{size: 2})
	if _, err := s.Tenant(context.Background(), "t0"); store.CodeOf(err) != store.NotFound {
		t.Errorf("a tenant that is not there: %v", err)
	}
	stop := errors.New("stop")
	full := newSource(t, &api{size: 2, tenants: []map[string]any{{"id": "a", "state": "ACTIVE"}}})
	if err := full.Tenants(context.Background(), func(purge.SourceRow) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of yield: %v", err)
	}
}

func TestTenants_PagesThatGoRoundInACircleEnd(t *testing.T) {
	all := []map[string]any{{"id": "a", "state": "ACTIVE"}, {"id": "b", "state": "ACTIVE"}}
	for name, p := range pagings() {
		n := 0
		s := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Link", fmt.Sprintf(`</v1/tenants?n=%d>; rel=next`, n%2))
			answer(w, http.StatusOK, map[string]any{"data": all, "meta": map[string]any{"next": n % 2, "total": 2, "request": n}})
		}), paging(p))
		if _, err := snapshot(s); store.CodeOf(err) != store.Unavailable || n > 8 {
			t.Errorf("%s: %v after %d pages", name, err, n)
		}
	}
}

// TestTenants_ALinkThatCannotBeReadIsNotTheEnd has a list of two pages, in which the
// first one says where the second is.
func TestTenants_ALinkThatCannotBeReadIsNotTheEnd(t *testing.T) {
	for _, c := range []struct {
		name, header string
		next         any // in the body, unless there is a header
		want         int // tenants; -1 is an error
	}{
		{name: "two spaces", header: `</v1/tenants?n=1>; rel=first,  </v1/tenants?n=2>; rel=next`, want: 2},
		{name: "a tab", header: "</v1/tenants?n=1>; rel=first,\t</v1/tenants?n=2>; rel=next", want: 2},
		{name: "no end of the URL", header: `</v1/tenants?n=2; rel=next`, want: -1},
		{name: "no end of the quotes", header: `</v1/tenants?n=2>; rel="next`, want: -1},
		{name: "no brackets", header: `/v1/tenants?n=2; rel=next`, want: -1},
		{name: "two that differ", header: `</v1/tenants?n=2>; rel=next, </v1/tenants?n=3>; rel=next`, want: -1},
		{name: "an empty one", header: `<>; rel=next`, want: -1},
		{name: "a URL in the body", next: "/v1/tenants?n=2", want: 2},
		{name: "false in the body", next: false, want: 1},
		{name: "null in the body", next: nil, want: 1},
		{name: "no text in the body", next: "", want: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := restsource.Paging{Type: restsource.PagingLink}
			if c.header == "" {
				p.Next = "next"
			}
			s := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Query().Get("n") {
				case "":
					if c.header != "" {
						w.Header().Set("Link", c.header)
					}
					answer(w, http.StatusOK, map[string]any{"data": []any{map[string]any{"id": "a", "state": "ACTIVE"}}, "next": c.next})
				case "2":
					answer(w, http.StatusOK, map[string]any{"data": []any{map[string]any{"id": "b", "state": "ACTIVE"}}, "next": nil})
				default:
					t.Errorf("%s is asked for", r.URL)
				}
			}), paging(p), func(c *restsource.Config) { c.List.Total = "" })
			rows, err := snapshot(s)
			if c.want < 0 && store.CodeOf(err) != store.Unavailable || c.want >= 0 && (err != nil || len(rows) != c.want) {
				t.Errorf("%d tenants, %v; want %d", len(rows), err, c.want)
			}
		})
	}
}

func TestTenants_NextPagesOfOtherHostsAreNotRead(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	defer other.Close()
	s := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "<"+other.URL+"/v1/tenants>; rel=next")
		answer(w, http.StatusOK, map[string]any{"data": []any{}, "meta": map[string]any{"total": 0}})
	}), paging(restsource.Paging{Type: restsource.PagingLink}))
	if _, err := snapshot(s); store.CodeOf(err) != store.Unavailable {
		t.Errorf("Tenants: %v", err)
	}
}

func TestCheck(t *testing.T) {
	a := &api{size: 2}
	if err := newSource(t, a).Check(context.Background()); err != nil {
		t.Error(err)
	}
	wrong := newSource(t, a, func(c *restsource.Config) { c.Auth.Bearer = "s3cret" })
	if err := wrong.Check(context.Background()); store.CodeOf(err) != store.Unavailable || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Check: %v", err)
	}
	if err := newSource(t, a, func(c *restsource.Config) { c.List.Items = "items" }).Check(context.Background()); store.CodeOf(err) != store.Unavailable {
		t.Errorf("Check: %v", err)
	}
}

// wantField has New refuse a configuration for a field.
func wantField(t *testing.T, cfg restsource.Config, field string) {
	t.Helper()
	_, err := restsource.New(cfg, restsource.Options{})
	var coded *store.Error
	if !errors.As(err, &coded) || coded.Code != store.Invalid || coded.Field != field {
		t.Errorf("%s: %v", field, err)
	}
}

func TestNew_NamesTheField(t *testing.T) {
	for field, change := range map[string]func(*restsource.Config){
		"name":              func(c *restsource.Config) { c.Name = "a b" },
		"baseUrl":           func(c *restsource.Config) { c.BaseURL = "" },
		"list.url":          func(c *restsource.Config) { c.List.URL = "" },
		"get.url":           func(c *restsource.Config) { c.Get.URL = "/tenants" },
		"fields.id":         func(c *restsource.Config) { c.Fields.ID = "" },
		"fields.status":     func(c *restsource.Config) { c.Fields.Status = "" },
		"times":             func(c *restsource.Config) { c.Times = "julian" },
		"disabled":          func(c *restsource.Config) { c.Disabled = c.Active },
		"list.paging.type":  func(c *restsource.Config) { c.List.Paging.Type = "scroll" },
		"list.paging.size":  func(c *restsource.Config) { c.List.Paging.Size = -1 },
		"list.paging.first": func(c *restsource.Config) { c.List.Paging.First = 2 },
		"list.paging.param": func(c *restsource.Config) { c.List.Paging.Type = restsource.PagingOffset },
		"list.paging.next": func(c *restsource.Config) {
			c.List.Paging = restsource.Paging{Type: restsource.PagingCursor, Param: "c"}
		},
	} {
		cfg := config("https://api.example.com")
		change(&cfg)
		wantField(t, cfg, field)
	}
	cfg := config("https://api.example.com")
	cfg.List.URL = "https://other.example.com/tenants"
	if _, err := restsource.New(cfg, restsource.Options{}); store.CodeOf(err) != store.Invalid {
		t.Errorf("a host that is not configured: %v", err)
	}
}
