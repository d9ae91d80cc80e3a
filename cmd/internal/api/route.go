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
	method string
	path   string      // below [client.Prefix], unless it begins with /api/
	role   client.Role // the least one that may call it
	params []string    // the query parameters that there are
	body   bodyKind
	handle func(http.ResponseWriter, *request) error
}

// url returns the path with what is before it.
func (e endpoint) url() string {
	if strings.HasPrefix(e.path, "/api/") {
		return e.path
	}
	return client.Prefix + e.path
}

// bodyKind says what an endpoint does with a body.
type bodyKind int

const (
	noBody     bodyKind = iota // refuses one
	ownBody                    // reads it itself, as JSON
	unkeptBody                 // reads it itself; the answer is a stream or a secret, and never kept
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
		{http.MethodGet, "/tenants", client.RoleViewer, []string{"status", "due", "parentId", "sort", "page", "limit"}, noBody, s.listTenants},
		{http.MethodGet, "/tenants/me", client.RoleTenant, nil, noBody, s.getMyTenant},
		{http.MethodGet, "/tenants/{id}", client.RoleTenant, []string{"allow_deleted"}, noBody, s.getTenant},
		{http.MethodPut, "/tenants/{id}", client.RoleOperator, nil, ownBody, s.putTenant},
		{http.MethodPatch, "/tenants/{id}", client.RoleOperator, nil, ownBody, s.patchTenant},
		{http.MethodDelete, "/tenants/{id}", client.RoleSuperAdmin, []string{"version"}, noBody, s.deleteDisabled},
		{http.MethodGet, client.PrefixAccounts + "/tenants/{id}", client.RoleTenant, []string{"allow_deleted"}, noBody, s.getTenant},
		{http.MethodPut, client.PrefixAccounts + "/tenants/{id}", client.RoleOperator, nil, ownBody, s.putTenant},
		{http.MethodDelete, client.PrefixAccounts + "/tenants/{id}", client.RoleSuperAdmin, []string{"version"}, noBody, s.deleteDisabled},
		{http.MethodGet, "/tenants/{id}/access", client.RoleTenant, nil, noBody, s.tenantAccess},
		{http.MethodPost, "/tenants/{id}/actions/deactivate", client.RoleOperator, nil, ownBody, s.deactivate},
		{http.MethodPost, "/tenants/{id}/actions/reactivate", client.RoleOperator, nil, ownBody, s.reactivate},
		{http.MethodPost, "/tenants/{id}/actions/retry", client.RoleOperator, nil, ownBody, s.retry},
		{http.MethodPost, "/tenants/{id}/hold", client.RoleOperator, nil, ownBody, s.hold},
		{http.MethodDelete, "/tenants/{id}/hold", client.RoleOperator, nil, noBody, s.release},
		{http.MethodDelete, "/admin/tenants/{id}", client.RoleSuperAdmin, []string{"version"}, noBody, s.deleteTenant},
		{http.MethodGet, "/plan", client.RoleViewer, nil, noBody, s.plan},
		{http.MethodPost, "/purges", client.RoleOperator, []string{"wait", "trigger"}, ownBody, s.startPass},
		{http.MethodGet, "/purges", client.RoleViewer, []string{"limit"}, noBody, s.listPasses},
		{http.MethodGet, "/purges/{purge}", client.RoleViewer, nil, noBody, s.getPurge},
		{http.MethodGet, "/receipts/{id}", client.RoleViewer, nil, noBody, s.receipt},
		{http.MethodGet, "/audit", client.RoleViewer, []string{"from", "limit"}, noBody, s.audit},
		{http.MethodGet, "/status", client.RoleViewer, nil, noBody, s.status},
		{http.MethodPost, "/pause", client.RoleSuperAdmin, nil, ownBody, s.pause},
		{http.MethodPost, "/resume", client.RoleSuperAdmin, nil, ownBody, s.resume},
		{http.MethodGet, client.PathApprovals, client.RoleViewer, nil, noBody, s.listApprovals},
		{http.MethodGet, client.PathApprovals + "/{approval}", client.RoleViewer, nil, noBody, s.getApproval},
		{http.MethodPost, client.PathApprovals + "/{approval}/actions/approve", client.RoleSuperAdmin, nil, ownBody, s.approve},
		{http.MethodPost, client.PathApprovals + "/{approval}/actions/reject", client.RoleSuperAdmin, nil, ownBody, s.reject},
		{http.MethodGet, client.PathTargets, client.RoleViewer, nil, noBody, s.listTargets},
		{http.MethodPost, client.PathTargets + "/{target}/actions/test", client.RoleOperator, nil, ownBody, s.testTarget},
		{http.MethodPost, client.PathTargets + "/{target}/actions/init", client.RoleSuperAdmin, nil, ownBody, s.initTarget},
		{http.MethodGet, client.PathTargets + "/{target}/findings", client.RoleOperator, nil, noBody, s.diagnose},
		{http.MethodGet, client.PathSource, client.RoleViewer, nil, noBody, s.sourceState},
		{http.MethodPost, client.PathSource + "/actions/sync", client.RoleOperator, nil, ownBody, s.syncSource},
		{http.MethodGet, client.PathSource + "/findings", client.RoleOperator, nil, noBody, s.diagnoseSource},
		{http.MethodPost, client.PathSource + "/actions/accept", client.RoleSuperAdmin, nil, ownBody, s.acceptSync},
		{http.MethodGet, "/export", client.RoleSuperAdmin, nil, noBody, s.export},
		{http.MethodPost, "/import", client.RoleSuperAdmin, []string{"dryRun", "onConflict", "supersede"}, unkeptBody, s.importFile},
		{http.MethodGet, "/store/stats", client.RoleViewer, nil, noBody, s.storeStats},
		{http.MethodPost, "/store/check", client.RoleOperator, nil, ownBody, s.check},
		{http.MethodPost, "/store/compact", client.RoleOperator, nil, ownBody, s.compact},
		{http.MethodPost, "/tokens", client.RoleSuperAdmin, nil, unkeptBody, s.issueToken},
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
		path := e.url()
		if all[path] == nil {
			all[path] = &resource{methods: map[string]endpoint{}}
		}
		if e.method == http.MethodPost || e.method == http.MethodDelete {
			e.handle = s.once(e)
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
	for _, id := range r.Header.Values(client.HeaderTenant) {
		if err := store.CheckID("x-tenantid", id); err != nil {
			return nil, inParameter(err)
		}
	}
	var err error
	if req.query, err = readQuery(r, e.params); err != nil {
		return nil, err
	}
	if e.body == noBody && r.ContentLength != 0 {
		return nil, store.Errorf(store.Invalid, "body: %s %s takes none", e.method, e.url())
	}
	return req, nil
}
