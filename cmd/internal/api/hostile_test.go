package api

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// exchange writes bytes to the rig's socket and returns what comes back.
func exchange(t *testing.T, r *rig, request string) string {
	t.Helper()
	conn, err := client.DialSocket(t.Context(), r.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			return out.String()
		}
	}
}

func TestPaths_G4_HostileIDsNeverReachTheStore(t *testing.T) {
	r := newRig(t).onSocket(t)
	r.create(t, client.NewTenant{ID: "acme"})
	secret := filepath.Join(r.dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]string{
		"/api/v1/tenants/%2e%2e":                        "400",
		"/api/v1/tenants/%2E":                           "400",
		"/api/v1/tenants/..":                            "404",
		"/api/v1/tenants/../tenants/acme":               "404",
		"/api/v1/tenants/./acme":                        "404",
		"/api/v1/tenants//acme":                         "404",
		"//api/v1/tenants/acme":                         "404",
		"/api/v1/tenants/acme/":                         "404",
		"/api/v1/tenants/":                              "404",
		"/api/v1/tenants/a%2Fb":                         "400",
		"/api/v1/tenants/acme%2Factions%2Fdeactivate":   "400",
		"/api/v1/tenants/..%2f..%2fsecret":              "400",
		"/api/v1/tenants/%00":                           "400",
		"/api/v1/tenants/acme%00":                       "400",
		"/api/v1/tenants/acme%0d%0aX-Header:%20y":       "400",
		"/api/v1/tenants/acme%20":                       "400",
		"/api/v1/tenants/%ff":                           "400",
		"/api/v1/tenants/%E2%80%AE":                     "400",
		"/api/v1/tenants/-acme":                         "400",
		"/api/v1/tenants/acme%252f":                     "400",
		"/api/v1/tenants/{id}":                          "400",
		"/api/v1/tenants/" + strings.Repeat("x", 129):   "400",
		"/api/v1/tenants/" + strings.Repeat("x", 128):   "404",
		"/api/v1/tenants/ACME":                          "404", // ids are exact
		"/api/v1/tenants/acme":                          "200",
		"/api/v1/tenants/%61cme":                        "200", // the same segment, written otherwise
		"/api/v1/receipts/..%2f..%2fsecret":             "400",
		"/api/v2/tenants/acme":                          "404",
		"/":                                             "404",
		"*":                                             "404",
		"/api/v1/tenants/acme%zz":                       "400", // refused by net/http itself
		"/api/v1/" + strings.Repeat("x/", 20_000) + "y": "431",
	} {
		got := exchange(t, r, "GET "+path+" HTTP/1.1\r\nHost: purger\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+status+" ") {
			t.Errorf("%.80s: want %s, got %.300s", path, status, got)
		}
		if strings.Contains(got, "\nX-Header") || strings.Contains(got, "secret\n") {
			t.Errorf("%.80s: %s", path, got)
		}
	}
}

func TestMethods_OthersAreRefusedWithTheOnesThatThereAre(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		for what, allow := range map[string]string{
			"PUT /api/v1/tenants":            "GET, POST",
			"HEAD /api/v1/store/backup":      "GET", // which would make a backup in vain
			"POST /api/v1/tenants/acme":      "DELETE, GET, PATCH, PUT",
			"PATCH /api/2/tenants/acme":      "DELETE, GET, PUT",
			"DELETE /api/v1/tenants/me":      "GET",
			"DELETE /api/v1/purges/x":        "GET",
			"OPTIONS /api/v1/status":         "GET",
			"BREW /api/v1/pause":             "POST",
			"GET /api/v1/tenants/acme/hold":  "DELETE, POST",
			"GET /api/v1/admin/tenants/acme": "DELETE",
		} {
			res := raw(t, r, what, "")
			if res.status != http.StatusMethodNotAllowed || res.header.Get("Allow") != allow {
				t.Errorf("%s: status %d, allow %q, want %q", what, res.status, res.header.Get("Allow"), allow)
			}
			if method, _ := methodOf(what); method != http.MethodHead {
				res.problem(t)
			}
		}
	})
}
