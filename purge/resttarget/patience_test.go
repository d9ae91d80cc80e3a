package resttarget_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// TestCount_ALimitInTheMidstOfAListDoesNotBeginItAgain has 14 pages of an API that
// answers 5 requests and then wants ten seconds. The time-out is less than the waits.
func TestCount_ALimitInTheMidstOfAListDoesNotBeginItAgain(t *testing.T) {
	const pages = 14
	for _, rate := range []float64{0, 1000} {
		synctest.Test(t, func(t *testing.T) {
			var began time.Time
			taken := 0
			s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
				if time.Since(began) >= 10*time.Second {
					began, taken = time.Now(), 0
				}
				if taken++; taken > 5 {
					return 429, http.Header{"Retry-After": {"10"}}, `{}`
				}
				at, _ := strconv.Atoi(r.URL.Query().Get("at"))
				next := ""
				if at++; at < pages {
					next = strconv.Itoa(at)
				}
				return 200, nil, fmt.Sprintf(`{"data":[{"id":"%d","org":"acme"}],"next":%q}`, at, next)
			}}
			target, err := resttarget.New(resttarget.Config{Name: "api", BaseURL: "https://api.example.com", Kinds: map[store.Kind]resttarget.Kind{store.KindUser: {
				List: &resttarget.List{Call: resttarget.Call{URL: "/users?org={tenant}"}, Items: "data", ID: "id", Owner: "org",
					Paging: resttarget.Paging{Type: "cursor", Param: "at", Next: "next"}}, Delete: deleteUser(),
			}}}, resttarget.Options{HTTP: httpcall.Options{Transport: s}})
			if err != nil {
				t.Fatal(err)
			}
			p := purge.DefaultPolicy()
			p.Rate, p.Timeout, p.Retries = rate, 5*time.Second, 0
			g, err := purge.Guarded(target, p, purge.GuardOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if n, err := g.Count(t.Context(), "acme", store.KindUser); err != nil || n != pages || len(s.asked) != pages+2 {
				t.Errorf("rate %v: Count = %d, %v, in %d requests; want %d in %d", rate, n, err, len(s.asked), pages, pages+2)
			}
		})
	}
}
