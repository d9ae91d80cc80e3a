package resttarget_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// token is what the API wants to see.
const token = "s3cret-t0ken"

// resource is what the API holds.
type resource struct {
	N      int    `json:"n"`
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	Kind   string `json:"kind"`
	Gone   bool   `json:"gone,omitempty"`
}

// api is a REST API with a journal of its own, which it reads when it starts.
// It lists in every style that there is.
type api struct {
	t       *testing.T
	journal *os.File
	// maxPage is the largest page that it gives, whatever it is asked for.
	maxPage int
	// interfere sees each request first, and reports whether it dealt with it.
	interfere func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	next  int
	held  map[string]*resource // by id
	order []*resource
}

// newAPI starts an API, or starts one again on the journal of another.
func newAPI(t *testing.T, path string) *api {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "journal")
	}
	a := &api{t: t, maxPage: 50, held: map[string]*resource{}}
	var err error
	if a.journal, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.journal.Close() })
	for lines := bufio.NewScanner(a.journal); lines.Scan(); {
		var r resource
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		a.apply(r)
	}
	return a
}

// apply takes a line of the journal into account.
func (a *api) apply(r resource) {
	if r.Gone {
		delete(a.held, r.ID)
		a.order = slices.DeleteFunc(a.order, func(o *resource) bool { return o.ID == r.ID })
		return
	}
	a.next = max(a.next, r.N)
	a.held[r.ID] = &r
	a.order = append(a.order, &r)
}

// write journals and applies.
func (a *api) write(r resource) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	if _, err := a.journal.Write(append(line, '\n')); err != nil {
		panic(err)
	}
	a.apply(r)
}

// add creates resources whose ids need every kind of escaping.
func (a *api) add(tenant string, kind store.Kind, n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range n {
		hostile := []string{"", "/x", "%2F", "?a=b", "#", "..", " ", `"`, "'", "\\", "é", "{id}", "&x=1", ";", "+", "\n"}
		id := fmt.Sprintf("%s-%d%s", kind, a.next+1, hostile[a.next%len(hostile)])
		a.write(resource{N: a.next + 1, ID: id, Tenant: tenant, Kind: string(kind)})
	}
	return nil
}

// left counts past the target.
func (a *api) left(tenant string, kind store.Kind) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int64(len(a.of(tenant, string(kind)))), nil
}

// of returns what a tenant has of a kind.
func (a *api) of(tenant, kind string) []*resource {
	var found []*resource
	for _, r := range a.order {
		if r.Tenant == tenant && r.Kind == kind {
			found = append(found, r)
		}
	}
	return found
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.interfere != nil && a.interfere(w, r) {
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		fail(w, http.StatusUnauthorized)
		return
	}
	a.serve(w, r)
}

// serve routes /v1/{kind}, /v1/{kind}/count, /v1/{kind}/search and
// /v1/{kind}/by-id/{id}.
func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	var path []string
	for s := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/v1/"), "/") {
		u, err := url.PathUnescape(s)
		if err != nil {
			fail(w, http.StatusBadRequest)
			return
		}
		path = append(path, u)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	q := r.URL.Query()
	switch kind := path[0]; {
	case r.Method == http.MethodGet && len(path) == 1:
		a.page(w, r, kind, q)
	case r.Method == http.MethodPost && len(path) == 2 && path[1] == "search":
		var body struct {
			Tenant        string
			Offset, Limit int
		}
		if json.NewDecoder(r.Body).Decode(&body) != nil {
			fail(w, http.StatusBadRequest)
			return
		}
		a.page(w, r, kind, url.Values{"tenant": {body.Tenant}, "style": {"offset"}, "at": {strconv.Itoa(body.Offset)}, "size": {strconv.Itoa(body.Limit)}})
	case r.Method == http.MethodGet && len(path) == 2 && path[1] == "count":
		answer(w, http.StatusOK, map[string]any{"count": len(a.of(q.Get("tenant"), kind))})
	case r.Method == http.MethodDelete && len(path) == 1:
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil {
			fail(w, http.StatusBadRequest)
			return
		}
		n := 0
		for _, res := range a.of(q.Get("tenant"), kind) {
			if n < limit {
				a.write(resource{ID: res.ID, Gone: true})
				n++
			}
		}
		answer(w, http.StatusOK, map[string]any{"deleted": n})
	case r.Method == http.MethodDelete && len(path) == 3 && path[1] == "by-id":
		if res := a.held[path[2]]; res == nil || res.Kind != kind {
			fail(w, http.StatusNotFound)
			return
		}
		a.write(resource{ID: path[2], Gone: true})
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusNotFound)
	}
}

// page answers a list in the style that is asked for.
func (a *api) page(w http.ResponseWriter, r *http.Request, kind string, q url.Values) {
	all := a.of(q.Get("tenant"), kind)
	if q.Get("tenant") == "" {
		for _, res := range a.order {
			if res.Kind == kind {
				all = append(all, res)
			}
		}
	}
	size := a.maxPage
	if n, err := strconv.Atoi(q.Get("size")); err == nil {
		size = min(n, a.maxPage)
	}
	at, _ := strconv.Atoi(q.Get("at"))
	from := 0
	switch q.Get("style") {
	case "none":
		size = len(all)
	case "link", "cursor":
		from, _ = slices.BinarySearchFunc(all, at+1, func(res *resource, n int) int { return cmp.Compare(res.N, n) })
	case "offset":
		from = min(at, len(all))
	case "page":
		from = min((at-1)*size, len(all))
	}
	items := all[from:min(from+size, len(all))]
	body := map[string]any{"data": items, "total": len(all), "more": from+len(items) < len(all), "next": nil}
	if items == nil {
		body["data"] = []any{}
	}
	if from+len(items) < len(all) {
		last := items[len(items)-1].N
		body["next"] = strconv.Itoa(last)
		u := *r.URL
		v := u.Query()
		v.Set("at", strconv.Itoa(last))
		u.RawQuery = v.Encode()
		w.Header().Add("Link", `</v1/first>; rel="first"; title="a, <b>; rel=next"`)
		w.Header().Add("Link", fmt.Sprintf(`<%s>; rel="next"`, u.String()))
		body["nextUrl"] = u.String()
	}
	answer(w, http.StatusOK, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, status int) {
	answer(w, status, map[string]any{"error": http.StatusText(status)})
}

// start serves the API on loopback until the test ends.
func start(t *testing.T, a *api) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}
