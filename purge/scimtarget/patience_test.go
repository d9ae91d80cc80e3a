package scimtarget_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/store"
)

// within is a transport that reaches a handler without a connection, as the clock of
// a bubble wants it.
type within struct{ http.Handler }

func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	a := rec.Result()
	a.Request = r
	return a, nil
}

// TestTarget_ALimitInTheMidstOfAListDoesNotBeginItAgain has lists of 14 pages from a
// server that answers 5 requests and then wants ten seconds. The time-out is less than
// the waits.
func TestTarget_ALimitInTheMidstOfAListDoesNotBeginItAgain(t *testing.T) {
	for _, c := range []struct {
		refusal int
		tenants []string // in the order of the list
		act     func(context.Context, *purge.GuardedTarget) (int64, error)
		want    int64
	}{
		{http.StatusTooManyRequests, []string{"acme", "ACME"}, func(ctx context.Context, g *purge.GuardedTarget) (int64, error) {
			return g.Count(ctx, "acme", store.KindUser)
		}, 139},
		{http.StatusServiceUnavailable, []string{"ACME", "acme"}, func(ctx context.Context, g *purge.GuardedTarget) (int64, error) {
			did, err := g.Purge(ctx, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1})
			return did.Deleted, err
		}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var began time.Time
			asked, taken := 0, 0
			d := &directory{noCase: true, intercept: func(w http.ResponseWriter, _ *http.Request) bool {
				asked++
				if time.Since(began) >= 10*time.Second {
					began, taken = time.Now(), 0
				}
				if taken++; taken <= 5 {
					return false
				}
				w.Header().Set("Retry-After", "10")
				w.WriteHeader(c.refusal)
				return true
			}}
			for i, n := range []int{139, 1} {
				if err := d.add(c.tenants[i], store.KindUser, n); err != nil {
					t.Fatal(err)
				}
			}
			target, err := scimtarget.New(scimtarget.Config{
				Name: "directory", BaseURL: "https://directory.example.com/v2", PageSize: 10,
				Resources: []scimtarget.Resource{{Kind: store.KindUser, Endpoint: "/Users", Attribute: "groups.value"}},
			}, scimtarget.Options{HTTP: httpcall.Options{Transport: within{d}}})
			if err != nil {
				t.Fatal(err)
			}
			p := purge.DefaultPolicy()
			p.Timeout, p.Retries = 5*time.Second, 0
			g, err := purge.Guarded(target, p, purge.GuardOptions{})
			if err != nil {
				t.Fatal(err)
			}
			n, err := c.act(t.Context(), g)
			// Beside the pages what the server can do, the removal, and a refusal after every 5.
			if most := 14 + 2 + 1 + 4; err != nil || n != c.want || asked > most {
				t.Errorf("status %d: %d, %v, in %d requests; want %d in up to %d", c.refusal, n, err, asked, c.want, most)
			}
		})
	}
}
