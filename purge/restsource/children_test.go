package restsource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/restsource"
	"github.com/tenantpurge/purger/store"
)

// family is an API whose list may be asked for those below a tenant.
type family struct {
	api
	asked []string // parents
}

func (f *family) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.spoil != nil && f.spoil(w, r) {
		return
	}
	q := r.URL.Query()
	if !q.Has("parent") {
		list := api{tenants: f.tenants, size: f.size}
		list.ServeHTTP(w, r)
		return
	}
	parent := q.Get("parent")
	f.asked = append(f.asked, parent)
	below := api{size: f.size}
	for _, t := range f.tenants {
		if t["parent"] == parent {
			below.tenants = append(below.tenants, t)
		}
	}
	below.ServeHTTP(w, r)
}

func newFamily(size int, tenants ...[2]string) *family {
	f := &family{api: api{size: size}}
	for _, t := range tenants {
		v := map[string]any{"id": t[0], "state": "ACTIVE"}
		if t[1] != "" {
			v["parent"] = t[1]
		}
		f.tenants = append(f.tenants, v)
	}
	return f
}

// withChildren has the source ask for those below a tenant.
func withChildren(c *restsource.Config) {
	c.Children = restsource.List{URL: "/tenants?parent={id}", Items: "data", Total: "meta.total"}
}

func childPaging(p restsource.Paging) func(*restsource.Config) {
	return func(c *restsource.Config) { c.Children.Paging = p }
}

// children returns those below some tenants, as "parent>id".
func children(s purge.ChildSource, parents ...string) ([]string, error) {
	var got []string
	err := s.Children(context.Background(), parents, func(r purge.SourceRow) error {
		got = append(got, r.Tenant.ParentID+">"+r.Tenant.ID)
		return nil
	})
	return got, err
}

func TestChildren_G1_OfEveryPagingAreAll(t *testing.T) {
	for name, p := range pagings() {
		if p.Type == restsource.PagingLink { // that of the API leads to the list of all
			continue
		}
		for n := range 8 {
			f := newFamily(3, [2]string{"a", ""}, [2]string{"b", "a"})
			var want []string
			for i := range n {
				id := fmt.Sprintf("t%d", i)
				f.tenants = append(f.tenants, map[string]any{"id": id, "parent": "b", "state": "ACTIVE"})
				want = append(want, "b>"+id)
			}
			got, err := children(newSource(t, f, withChildren, childPaging(p)), "b")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s, %d below: %v\n%s", name, n, err, diff)
			}
		}
	}
	f := newFamily(9, [2]string{"a", ""}, [2]string{"b", "a"}, [2]string{"c", "b"}, [2]string{"d", "a"})
	got, err := children(newSource(t, f, withChildren), "a", "b", "c")
	if diff := cmp.Diff([]string{"a>b", "a>d", "b>c"}, got); err != nil || diff != "" {
		t.Errorf("of several: %v\n%s", err, diff)
	}
	stop := errors.New("stop")
	err = newSource(t, f, withChildren).Children(context.Background(), []string{"a"}, func(purge.SourceRow) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("an error of yield: %v", err)
	}
}

func TestChildren_FollowLinks(t *testing.T) {
	s := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := "first"
		if r.URL.Query().Get("after") == "" {
			w.Header().Set("Link", "<"+r.URL.EscapedPath()+"?after=1>; rel=next")
		} else {
			id = "second"
		}
		answer(w, http.StatusOK, []any{map[string]any{"id": id, "parent": unescape(strings.TrimPrefix(r.URL.EscapedPath(), "/v1/below/"))}})
	}), func(c *restsource.Config) {
		c.Children = restsource.List{URL: "/below/{id}", Paging: restsource.Paging{Type: restsource.PagingLink}}
	})
	if got, err := children(s, "a/b"); err != nil || !cmp.Equal(got, []string{"a/b>first", "a/b>second"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestChildren_G4_IdsAreData(t *testing.T) {
	ids := []string{"a", "a/b", "a?b", "a#b", "a b", "%2e", "ü", `"`, "a:b", "..a", "{id}", "a&parent=b", "a+b", "a%20b"}
	f := newFamily(9)
	for i, id := range ids {
		f.tenants = append(f.tenants, map[string]any{"id": fmt.Sprint("c", i), "parent": id, "state": "ACTIVE"})
	}
	for name, p := range map[string]restsource.Paging{"one page": {}, "pages": {Type: restsource.PagingOffset, Param: "offset", SizeParam: "limit", Size: 9}} {
		f.asked = nil
		s := newSource(t, f, withChildren, childPaging(p))
		for i, id := range ids {
			if got, err := children(s, id); err != nil || !cmp.Equal(got, []string{fmt.Sprintf("%s>c%d", id, i)}) {
				t.Errorf("%s: below %q: %v, %v", name, id, got, err)
			}
		}
		if diff := cmp.Diff(ids, slices.Compact(f.asked)); diff != "" {
			t.Errorf("%s: asked about (-want +got):\n%s", name, diff)
		}
		for _, id := range []string{"", ".", ".."} {
			if got, err := children(s, id); err == nil {
				t.Errorf("%s: below %q: %v", name, id, got)
			}
		}
	}
}

func TestChildren_RowsThatAreNotUnderstoodAreYielded(t *testing.T) {
	s := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"meta": map[string]any{"total": 5}, "data": []any{
			map[string]any{"id": "status", "parent": "a", "state": "ODD"}, map[string]any{"id": []int{1}, "parent": "a", "state": "ACTIVE"},
			map[string]any{"id": "parent", "parent": map[string]any{}, "state": "ACTIVE"}, map[string]any{"id": "bare"}, 7,
		}})
	}), withChildren)
	want := []string{"a>status", "a>", "a>parent", "a>bare", "a>"}
	if got, err := children(s, "a"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestChildren_NoAnswerIsNeverNobody(t *testing.T) {
	at := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("parent") {
				return false
			}
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	const json = "application/json"
	for name, spoil := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"HTML":                 at(200, "text/html", "<html>"),
		"HTML, 404":            at(404, "text/html", "<html>"),
		"404 of what there is": at(404, json, `{"error":"no such route"}`),
		"410 of what there is": at(410, json, `{}`),
		"not JSON":             at(200, json, "{"),
		"no array":             at(200, json, `{"data":null,"meta":{"total":0}}`),
		"401":                  at(401, json, `{}`),
		"500":                  at(500, json, `{}`),
		"202":                  at(202, json, `{"data":[],"meta":{"total":0}}`),
		"no total":             at(200, json, `{"data":[]}`),
		"fewer than there are": at(200, json, `{"data":[],"meta":{"total":1}}`),
		"the whole list":       at(200, json, `{"data":[{"id":"a","state":"ACTIVE"}],"meta":{"total":1}}`),
		"those of others":      at(200, json, `{"data":[{"id":"x","parent":"y","state":"ACTIVE"}],"meta":{"total":1}}`),
		"a redirect": func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Has("parent") {
				http.Redirect(w, r, "/v1/tenants", http.StatusFound)
			}
			return r.URL.Query().Has("parent")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFamily(3, [2]string{"a", ""}, [2]string{"b", "a"})
			s := newSource(t, f, withChildren)
			if got, err := children(s, "a"); err != nil || len(got) != 1 {
				t.Fatalf("%v, %v", got, err)
			}
			f.spoil = spoil
			if got, err := children(s, "a"); store.CodeOf(err) != store.Unavailable || len(got) > 0 {
				t.Errorf("%v, %v", got, err)
			}
			if err := s.Check(context.Background()); store.CodeOf(err) != store.Unavailable {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

func TestChildren_OfATenantThatIsNotThereAreNone(t *testing.T) {
	f := newFamily(3, [2]string{"a", ""})
	s := newSource(t, f, withChildren, func(c *restsource.Config) { c.Children.URL = "/tenants/{id}/below" })
	if got, err := children(s, "nobody"); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	n := 0 // and a page that is not there is no end
	pages := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n++; n > 1 {
			answer(w, http.StatusNotFound, map[string]any{})
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": []any{map[string]any{"id": "b"}}, "meta": map[string]any{"total": 2, "next": "x"}})
	}), withChildren, childPaging(pagings()["cursor"]))
	if got, err := children(pages, "a"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("%v, %v", got, err)
	}
}

func TestChildren_OfOtherHostsAreNotAskedFor(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	defer other.Close()
	s := newSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "<"+other.URL+"/v1/tenants>; rel=next")
		answer(w, http.StatusOK, map[string]any{"data": []any{}, "meta": map[string]any{"total": 0}})
	}), withChildren, childPaging(restsource.Paging{Type: restsource.PagingLink}))
	if _, err := children(s, "a"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("Children: %v", err)
	}
}

func TestDiagnose_TellsThatChildrenAreNotAskedFor(t *testing.T) {
	f := newFamily(3, [2]string{"a", ""}, [2]string{"b", "a"})
	for name, c := range map[string]struct {
		change func(*restsource.Config)
		tells  bool
		want   int // findings
		code   store.Code
	}{
		"without a URL":   {func(*restsource.Config) {}, false, 1, ""},
		"without parents": {func(c *restsource.Config) { c.Fields.Parent = "" }, false, 0, ""},
		"with one":        {withChildren, true, 0, ""},
		"with a wrong one": {func(c *restsource.Config) {
			withChildren(c)
			c.Children.URL = "/tenants?above={id}"
		}, true, 0, store.Unavailable},
		"without an answer": {func(c *restsource.Config) { c.Auth.Bearer = "x" }, false, 1, store.Unavailable},
	} {
		s := newSource(t, f, c.change)
		found, err := s.Diagnose(context.Background())
		if len(found) != c.want || store.CodeOf(err) != c.code || s.TellsChildren() != c.tells {
			t.Errorf("%s: %+v, %v; it tells: %t", name, found, err, s.TellsChildren())
		}
		if c.want == 1 && (found[0].Severity != purge.SeverityInfo || !strings.Contains(found[0].Text, "children.url")) {
			t.Errorf("%s: %+v", name, found)
		}
	}
	if got, err := children(newSource(t, f), "a"); err == nil {
		t.Errorf("without a URL: %v", got)
	}
	if err := newSource(t, newFamily(3), withChildren).Check(context.Background()); err != nil {
		t.Errorf("nobody is there: %v", err)
	}
}

func TestNew_NamesTheFieldOfTheChildren(t *testing.T) {
	for field, change := range map[string]func(*restsource.Config){
		"children.url":          func(c *restsource.Config) { c.Children.URL = "/tenants" },
		"fields.parent":         func(c *restsource.Config) { c.Fields.Parent = "" },
		"children.paging.type":  func(c *restsource.Config) { c.Children.Paging.Type = "scroll" },
		"children.paging.size":  func(c *restsource.Config) { c.Children.Paging.Size = -1 },
		"children.paging.first": func(c *restsource.Config) { c.Children.Paging.First = 2 },
		"children.paging.param": func(c *restsource.Config) { c.Children.Paging.Type = restsource.PagingPage },
		"children.paging.next": func(c *restsource.Config) {
			c.Children.Paging = restsource.Paging{Type: restsource.PagingCursor, Param: "c"}
		},
	} {
		cfg := config("https://api.example.com")
		withChildren(&cfg)
		change(&cfg)
		wantField(t, cfg, field)
	}
	for field, change := range map[string]func(*restsource.Config){
		"children.url":  func(c *restsource.Config) { c.Children.URL = "https://other.example.com/tenants?parent={id}" },
		"children.url ": func(c *restsource.Config) { c.Children.URL = "" }, // with the rest of it
	} {
		cfg := config("https://api.example.com")
		withChildren(&cfg)
		change(&cfg)
		if _, err := restsource.New(cfg, restsource.Options{}); store.CodeOf(err) != store.Invalid || !strings.Contains(err.Error(), "children.url") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
