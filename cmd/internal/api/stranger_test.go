package api

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// TestRoles_UnknownAndNotYoursAreTheSameBytes asks, with every endpoint that has an
// id in its path and every role that may not call it, for a tenant that there is, one
// that there is not and one that cannot be: status, header and body are the same. So
// is the time, since the store is not asked at all: this one has nothing to ask.
func TestRoles_UnknownAndNotYoursAreTheSameBytes(t *testing.T) {
	const trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	asked := 0
	for _, role := range append(client.Roles(), "") {
		r := newRig(t, as(role, "mine"), func(o *Options) { o.Store = struct{ store.Store }{} }).inProcess(t)
		for _, e := range (&server{}).endpoints() {
			if !strings.Contains(e.path, "{id}") || role != client.RoleTenant && role.AtLeast(e.role) {
				continue
			}
			asked++
			var first answered
			for i, id := range []string{"other", "unknown", "%2e%2e", "me2", strings.Repeat("x", 500), "%00"} {
				what := e.method + " " + strings.Replace(e.url(), "{id}", id, 1)
				res := raw(t, r, what, "", trace)
				res.header.Del("Date")
				if i == 0 {
					first = res
				}
				if res.status != http.StatusForbidden || res.body != first.body || !maps.EqualFunc(res.header, first.header, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
					t.Errorf("role %q, %.60s: status %d, %v, %swant what another id gets:\n%v, %s", role, what, res.status, res.header, res.body, first.header, first.body)
				}
			}
		}
	}
	if asked < 30 {
		t.Errorf("%d refusals", asked)
	}
}
