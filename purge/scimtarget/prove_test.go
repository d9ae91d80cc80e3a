package scimtarget_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/store"
)

// plainServer is a SCIM server without /Schemas and ServiceProviderConfig, whose users
// have the attribute userType. It takes a filter on an attribute that nobody has for
// one that finds nothing.
type plainServer struct {
	mu      sync.Mutex
	users   [][2]string // id and userType, "" being none
	keeps   bool        // it lists what it has removed
	noPr    bool        // it does not know the operator pr
	deletes int
}

func (p *plainServer) target(t *testing.T, attribute string, confirmed bool) *scimtarget.Target {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	target, err := scimtarget.New(scimtarget.Config{Name: "directory", BaseURL: server.URL, PageSize: 2, Resources: []scimtarget.Resource{
		{Kind: store.KindUser, Endpoint: "/Users", Attribute: attribute, AttributeConfirmed: confirmed},
	}}, scimtarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func (p *plainServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	filter := r.URL.Query().Get("filter")
	switch {
	case r.Method == http.MethodDelete:
		p.deletes++
		if !p.keeps {
			p.users = slices.DeleteFunc(p.users, func(u [2]string) bool { return r.URL.Path == "/Users/"+u[0] })
		}
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path != "/Users":
		answer(w, 404, map[string]any{})
	case p.noPr && strings.HasSuffix(filter, " pr"):
		answer(w, 400, map[string]any{})
	default:
		var found []any
		for _, u := range p.users {
			if filter == "" || u[1] != "" && (filter == "userType pr" || filter == fmt.Sprintf("userType eq %q", u[1])) {
				resource := map[string]any{"id": u[0]}
				if u[1] != "" {
					resource["userType"] = u[1]
				}
				found = append(found, resource)
			}
		}
		start, count := 0, 0
		_, _ = fmt.Sscan(r.URL.Query().Get("startIndex"), &start)
		_, _ = fmt.Sscan(r.URL.Query().Get("count"), &count)
		page := found[min(start-1, len(found)):]
		listed(w, len(found), start, page[:min(count, len(page))])
	}
}

func TestTarget_G6_AnAttributeThatNothingShowsIsAnError(t *testing.T) {
	for _, c := range []struct {
		name      string
		users     [][2]string
		noPr      bool
		attribute string
		confirmed bool
		ok        bool
	}{
		{"misspelt", [][2]string{{"1", "globex"}}, false, "userTyp", false, false},
		{"misspelt, pr being unknown", [][2]string{{"1", "globex"}}, true, "userTyp", false, false},
		{"nobody has it", [][2]string{{"1", ""}}, false, "userType", false, false},
		{"nobody has it, and somebody made sure", [][2]string{{"1", ""}}, false, "userType", true, true},
		{"somebody else has it", [][2]string{{"1", ""}, {"2", "globex"}}, false, "userType", false, true},
		{"somebody else has it, pr being unknown", [][2]string{{"1", ""}, {"2", "globex"}}, true, "userType", false, true},
		{"there is nobody at all", nil, false, "userTyp", false, true},
	} {
		p := &plainServer{users: c.users, noPr: c.noPr}
		for _, call := range []func(*scimtarget.Target) error{
			func(s *scimtarget.Target) error { return s.Check(t.Context()) },
			func(s *scimtarget.Target) error {
				n, err := s.Count(t.Context(), "acme", store.KindUser)
				if n != 0 {
					t.Errorf("%s: Count = %d", c.name, n)
				}
				return err
			},
			func(s *scimtarget.Target) error { _, err := s.Purge(t.Context(), users(10)); return err },
		} {
			err := call(p.target(t, c.attribute, c.confirmed))
			if c.ok && err != nil || !c.ok && (store.CodeOf(err) != store.Precondition || purge.IsPermanent(err) || !strings.Contains(err.Error(), c.attribute)) {
				t.Errorf("%s: %v; want it to be fine: %t", c.name, err, c.ok)
			}
		}
	}
}

// The users of the last tenant show the attribute, and then nobody does.
func TestTarget_G6_AnAttributeThatWasShownStaysKnown(t *testing.T) {
	p := &plainServer{users: [][2]string{{"staff", ""}, {"1", "acme"}, {"2", "acme"}, {"3", "acme"}}}
	target := p.target(t, "userType", false)
	if did, err := target.Purge(t.Context(), users(10)); err != nil || did != (purge.Removed{Deleted: 3}) {
		t.Fatalf("Purge = %+v, %v", did, err)
	}
	if n, err := target.Count(t.Context(), "acme", store.KindUser); err != nil || n != 0 {
		t.Errorf("Count = %d, %v", n, err)
	}
}

// A server that answers 204 and lists for ever is not deleted from for ever, and each
// resource counts once.
func TestPurge_G5_ASoftDeleteIsAnErrorAndCountsOnce(t *testing.T) {
	for _, limit := range []int{1, 2, 100} {
		p := &plainServer{keeps: true, users: [][2]string{{"1", "acme"}, {"2", "acme"}, {"3", "acme"}}}
		target := p.target(t, "userType", false)
		var sum int64
		var err error
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			var did purge.Removed
			did, err = target.Purge(ctx, users(limit))
			cancel()
			if sum += did.Deleted; err != nil || !did.More {
				break
			}
		}
		if store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), "softly") || sum != 3 || p.deletes != 3 {
			t.Errorf("limit %d: %d removed of 3 by %d requests, %v", limit, sum, p.deletes, err)
		}
	}
}

// The id of a resource is in no error.
func TestErrors_ShowNoIDOfAResource(t *testing.T) {
	for _, bulk := range []string{"", offersBulk} {
		for _, status := range []int{303, 409, 412, 503} {
			d := &directory{bulk: bulk}
			_ = d.add("acme", store.KindUser, 2)
			d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodDelete:
					w.WriteHeader(status)
				case r.URL.Path == "/v2/Bulk":
					var results []any
					for _, u := range d.users {
						results = append(results, map[string]any{"location": "/Users/" + strings.ReplaceAll(u.id, "/", "%2F"), "status": fmt.Sprint(status)})
					}
					answer(w, 200, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"}, "Operations": results})
				case strings.HasPrefix(r.URL.Path, "/v2/Users/"):
					w.WriteHeader(http.StatusInternalServerError)
				default:
					return false
				}
				return true
			}
			d.users[0].id, d.users[1].id = "alice@example.com", "alice@example.org"
			_, err := d.serve(t, nil).Purge(t.Context(), users(10))
			if err == nil || strings.Contains(err.Error(), "alice") || !strings.Contains(err.Error(), "(id #") {
				t.Errorf("bulk %q, %d: %v; want a hash in place of the id", bulk, status, err)
			}
		}
	}
}
