package scimtarget_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/store"
)

// directory is a SCIM server that follows the RFCs to the letter, which the real
// one does not in the escaping of filters, and that can be made to fail.
type directory struct {
	// intercept, if set, may answer instead of the directory; it says so.
	intercept func(w http.ResponseWriter, r *http.Request) bool
	// versions demands If-Match.
	versions bool
	// noCase compares as an attribute that is not case-exact is.
	noCase bool
	bulk   string // the member of ServiceProviderConfig

	mu    sync.Mutex
	next  int
	users []*user
	calls []string
}

type user struct {
	id, version string
	tenants     []string
}

func (d *directory) serve(t testing.TB, change func(*scimtarget.Config)) *scimtarget.Target {
	t.Helper()
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	cfg := scimtarget.Config{
		Name: "directory", BaseURL: server.URL + "/v2",
		Resources: []scimtarget.Resource{{Kind: store.KindUser, Endpoint: "/Users", Attribute: "groups.value"}},
		PageSize:  10,
	}
	if change != nil {
		change(&cfg)
	}
	target, err := scimtarget.New(cfg, scimtarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

func (d *directory) add(tenant string, _ store.Kind, n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Each is a segment of a path, and a part of a JSON document.
	hostile := []string{"", " ", "/", "/..", "../", "%", "%2F", "%252f", "?a=b", "#", "&", "+", ";", ":", "=", `"`, "'", `\`, "é", "e\u0301", "\u202e", "{id}", "\n", "😀"}
	for range n {
		d.next++
		id := fmt.Sprintf("%s%d%[1]s", hostile[d.next%len(hostile)], d.next)
		d.users = append(d.users, &user{id, fmt.Sprintf(`W/"%d"`, d.next), []string{tenant}})
	}
	return nil
}

func (d *directory) left(tenant string, _ store.Kind) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var n int64
	for _, u := range d.users {
		if u.tenants[0] == tenant {
			n++
		}
	}
	return n, nil
}

func (d *directory) called(prefix string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, c := range d.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

var equals = regexp.MustCompile(`^groups\.value eq ("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")$`)

func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.calls = append(d.calls, r.Method+" "+r.URL.Path)
	d.mu.Unlock()
	if d.intercept != nil && d.intercept(w, r) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/v2")
	id := idIn(path)
	switch {
	case path == "/ServiceProviderConfig":
		bulk := d.bulk
		if bulk == "" {
			bulk = `{"supported":false}`
		}
		answer(w, 200, map[string]any{"filter": map[string]any{"supported": true, "maxResults": 200}, "bulk": json.RawMessage(bulk)})
	case strings.HasPrefix(path, "/Schemas/"):
		answer(w, 200, json.RawMessage(fmt.Sprintf(`{"id":"urn:ietf:params:scim:schemas:core:2.0:User",
			"attributes":[{"name":"groups","subAttributes":[{"name":"value","caseExact":%t}]}]}`, !d.noCase)))
	case path == "/Users":
		d.list(w, r)
	case path == "/Bulk":
		d.bulkDelete(w, r)
	case r.Method == http.MethodGet:
		for _, u := range d.users {
			if u.id == id {
				answer(w, 200, u.json())
				return
			}
		}
		answer(w, 404, map[string]any{})
	case r.Method == http.MethodDelete:
		w.WriteHeader(d.delete(id, r.Header.Get("If-Match")))
	default:
		answer(w, 501, map[string]any{})
	}
}

// idIn returns the id in the path of a user: one segment, decoded once.
func idIn(path string) string {
	id, err := url.PathUnescape(strings.TrimPrefix(path, "/Users/"))
	if err != nil || strings.Count(path, "/") != 2 {
		return ""
	}
	return id
}

func (u *user) json() any {
	values := []map[string]string{}
	for _, t := range u.tenants {
		values = append(values, map[string]string{"value": t})
	}
	return map[string]any{"id": u.id, "groups": values, "meta": map[string]string{"version": u.version}}
}

func (d *directory) delete(id, version string) int {
	for i, u := range d.users {
		switch {
		case u.id != id:
		case d.versions && version != u.version:
			return 412
		default:
			d.users = append(d.users[:i:i], d.users[i+1:]...)
			return 204
		}
	}
	return 404
}

func (d *directory) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	m := equals.FindStringSubmatch(q.Get("filter"))
	var tenant string
	if m == nil || json.Unmarshal([]byte(m[1]), &tenant) != nil {
		answer(w, 400, map[string]string{"scimType": "invalidFilter"})
		return
	}
	start, _ := strconv.Atoi(q.Get("startIndex"))
	count, _ := strconv.Atoi(q.Get("count"))
	var found []any
	for _, u := range d.users {
		for _, t := range u.tenants {
			if t == tenant || d.noCase && strings.EqualFold(t, tenant) {
				found = append(found, u.json())
				break
			}
		}
	}
	page := found[min(start-1, len(found)):]
	listed(w, len(found), start, page[:min(count, len(page))])
}

// listed answers a ListResponse.
func listed(w http.ResponseWriter, total, start int, resources []any) {
	answer(w, 200, map[string]any{
		"schemas":      []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"},
		"totalResults": total, "startIndex": start, "itemsPerPage": len(resources), "Resources": resources,
	})
}

func (d *directory) bulkDelete(w http.ResponseWriter, r *http.Request) {
	var request struct{ Operations []struct{ Path string } }
	if json.NewDecoder(r.Body).Decode(&request) != nil {
		answer(w, 400, map[string]any{})
		return
	}
	results := []any{}
	for _, op := range request.Operations {
		id := idIn(op.Path)
		results = append(results, map[string]any{
			"method": "DELETE", "location": "https://directory.example.com/v2" + op.Path, "status": strconv.Itoa(d.delete(id, "")),
		})
	}
	answer(w, 200, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"}, "Operations": results})
}
