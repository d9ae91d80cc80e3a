package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// unmatched is the label of requests whose path names nothing.
const unmatched = "unmatched"

// endpoint is one method on one path.
type endpoint struct {
	method, path string
	role         client.Role // the least one that may call it
	params       []string    // the query parameters that there are
	body         bodyKind
	handle       func(http.ResponseWriter, *request) error
}

// bodyKind says what an endpoint does with a body.
type bodyKind int

const (
	noBody  bodyKind = iota // refuses one
	ownBody                 // reads it itself
)

// request is a request whose path and query are sound.
type request struct {
	*http.Request
	caller Caller
	id     string // of the path; "" where it has none
	query  query
}

// endpoints returns every endpoint.
func (s *server) endpoints() []endpoint {
	return []endpoint{
		{http.MethodPost, "/tenants", client.RoleOperator, nil, ownBody, s.createTenant},
		{http.MethodGet, "/tenants", client.RoleViewer, []string{"status", "due", "parentId", "after", "limit"}, noBody, s.listTenants},
		{http.MethodGet, "/tenants/{id}", client.RoleTenant, []string{"allow_deleted"}, noBody, s.getTenant},
		{http.MethodPost, "/tenants/{id}/actions/deactivate", client.RoleOperator, nil, ownBody, s.deactivate},
		{http.MethodPost, "/tenants/{id}/actions/reactivate", client.RoleOperator, nil, ownBody, s.reactivate},
		{http.MethodPost, "/tenants/{id}/actions/retry", client.RoleOperator, nil, ownBody, s.retry},
		{http.MethodPost, "/tenants/{id}/hold", client.RoleOperator, nil, ownBody, s.hold},
		{http.MethodDelete, "/tenants/{id}/hold", client.RoleOperator, nil, noBody, s.release},
		{http.MethodDelete, "/admin/tenants/{id}", client.RoleSuperAdmin, []string{"version"}, noBody, s.deleteTenant},
		{http.MethodGet, "/plan", client.RoleViewer, nil, noBody, s.plan},
		{http.MethodPost, "/purges", client.RoleOperator, []string{"wait", "trigger"}, ownBody, s.startPass},
		{http.MethodGet, "/purges", client.RoleViewer, []string{"limit"}, noBody, s.listPasses},
		{http.MethodGet, "/receipts/{id}", client.RoleViewer, nil, noBody, s.receipt},
		{http.MethodGet, "/audit", client.RoleViewer, []string{"from", "limit"}, noBody, s.audit},
		{http.MethodGet, "/status", client.RoleViewer, nil, noBody, s.status},
		{http.MethodPost, "/pause", client.RoleSuperAdmin, nil, ownBody, s.pause},
		{http.MethodPost, "/resume", client.RoleSuperAdmin, nil, ownBody, s.resume},
		{http.MethodGet, "/export", client.RoleSuperAdmin, nil, noBody, s.export},
		{http.MethodPost, "/import", client.RoleSuperAdmin, []string{"dryRun", "onConflict", "supersede"}, ownBody, s.importFile},
		{http.MethodGet, "/store/stats", client.RoleViewer, nil, noBody, s.storeStats},
		{http.MethodPost, "/store/check", client.RoleOperator, nil, ownBody, s.check},
		{http.MethodPost, "/store/compact", client.RoleOperator, nil, ownBody, s.compact},
		{http.MethodPost, "/tokens", client.RoleSuperAdmin, nil, ownBody, s.issueToken},
		{http.MethodGet, "/store/backup", client.RoleSuperAdmin, nil, noBody, s.backup},
	}
}

// resource is a path with its methods.
type resource struct {
	methods map[string]endpoint
}

// resources returns the endpoints by their full path.
func (s *server) resources() map[string]*resource {
	all := map[string]*resource{}
	for _, e := range s.endpoints() {
		path := client.Prefix + e.path
		if all[path] == nil {
			all[path] = &resource{methods: map[string]endpoint{}}
		}
		all[path].methods[e.method] = e
	}
	return all
}

// ServeHTTP implements http.Handler.
func (res *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := res.methods[r.Method]
	if !ok {
		allowed := strings.Join(slices.Sorted(maps.Keys(res.methods)), ", ")
		w.Header().Set("Allow", allowed)
		fail(w, r, &refusal{http.StatusMethodNotAllowed,
			store.Errorf(store.Invalid, "method %.16q: want %s", r.Method, allowed)})
		return
	}
	req, err := e.read(r)
	if err == nil {
		noteTenant(w, req.id)
		err = e.handle(w, req)
	}
	if err != nil {
		fail(w, r, err)
	}
}

// read checks what of a request is the same for every endpoint.
func (e endpoint) read(r *http.Request) (*request, error) {
	req := &request{Request: r, caller: callerOf(r.Context())}
	if strings.Contains(e.path, "{id}") {
		req.id = r.PathValue("id")
	}
	if err := req.caller.may(e, req.id); err != nil {
		return nil, err
	}
	if strings.Contains(e.path, "{id}") {
		if err := store.CheckID("id", req.id); err != nil {
			return nil, inParameter(err)
		}
	}
	var err error
	if req.query, err = readQuery(r, e.params); err != nil {
		return nil, err
	}
	if e.body == noBody && r.ContentLength != 0 {
		return nil, store.Errorf(store.Invalid, "body: %s %s takes none", e.method, client.Prefix+e.path)
	}
	return req, nil
}
