package restsource_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/restsource"
	"github.com/tenantpurge/purger/store"
)

// near is a transport that asks a handler without a connection, whose waits a bubble
// of synctest knows.
type near struct{ http.Handler }

func (n near) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	return w.Result(), nil
}

// nearSource returns a source of an API without a connection.
func nearSource(t *testing.T, h http.Handler, change ...func(*restsource.Config)) *restsource.Source {
	t.Helper()
	cfg := config("https://api.example.com")
	for _, c := range change {
		c(&cfg)
	}
	s, err := restsource.New(cfg, httpcall.Options{Transport: near{h}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// limited is an API that answers so many requests in each interval, and says to the
// others when the next begins.
type limited struct {
	http.Handler
	many   int
	each   time.Duration
	status int
	header string // "" says nothing

	mu      sync.Mutex
	began   time.Time
	n       int
	refused int
}

func (l *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if time.Since(l.began) >= l.each {
		l.began, l.n = time.Now(), 0
	}
	l.n++
	over := l.n > l.many
	if over {
		l.refused++
	}
	l.mu.Unlock()
	if !over {
		l.Handler.ServeHTTP(w, r)
		return
	}
	if l.header != "" {
		w.Header().Set("Retry-After", l.header)
	}
	w.WriteHeader(l.status)
}

// twenty is an API with 20 tenants, three on a page.
func twenty() *api {
	a := &api{size: 3}
	for i := range 20 {
		a.tenants = append(a.tenants, map[string]any{"id": fmt.Sprintf("t%02d", i), "state": "ACTIVE"})
	}
	return a
}

func TestTenants_AnAPIThatAsksToWaitIsAskedAgain(t *testing.T) {
	for _, c := range []struct {
		status int
		header string
	}{{429, "2"}, {503, "2"}, {429, ""}} {
		synctest.Test(t, func(t *testing.T) {
			l := &limited{Handler: twenty(), many: 3, each: 2 * time.Second, status: c.status, header: c.header}
			s := nearSource(t, l, paging(pagings()["cursor"]))
			began := time.Now()
			rows, err := snapshot(s)
			if err != nil || len(rows) != 20 || l.refused == 0 {
				t.Errorf("%d, Retry-After %q: %d rows, %v, %d requests refused; want all of them in the end", c.status, c.header, len(rows), err, l.refused)
			}
			if c.header != "" && (time.Since(began) != 4*time.Second || l.refused != 2) {
				t.Errorf("%d: it took %s, and %d requests were refused; want 2 waits of 2s", c.status, time.Since(began), l.refused)
			}
		})
	}
}

func TestTenant_AnAPIThatAsksToWaitIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limited{Handler: twenty(), many: 5, each: time.Second, status: 429, header: "1"}
		s := nearSource(t, l)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if _, err := s.Tenant(ctx, fmt.Sprintf("t%02d", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if l.refused == 0 {
			t.Error("nothing was refused")
		}
	})
}

// TestSource_WhoMayNotWaitSoLongFailsAtOnce, as does whoever comes meanwhile, without
// a request.
func TestSource_WhoMayNotWaitSoLongFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := nearSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		began := time.Now()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			_, err := s.Tenant(ctx, "a")
			cancel()
			if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "to wait for 1m0s") {
				t.Errorf("%v (%s)", err, store.CodeOf(err))
			}
		}
		if n != 1 || time.Since(began) != 0 {
			t.Errorf("%d requests in %s; want 1, and no wait", n, time.Since(began))
		}
	})
}

// TestTenants_AnAPIThatOnlyEverAsksToWaitIsGivenUp: however patient ctx is.
func TestTenants_AnAPIThatOnlyEverAsksToWaitIsGivenUp(t *testing.T) {
	for _, header := range []string{"1", "", "86400"} {
		synctest.Test(t, func(t *testing.T) {
			s := nearSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", header)
				w.WriteHeader(http.StatusTooManyRequests)
			}), func(c *restsource.Config) { c.Children.URL = "/tenants?parent={id}" })
			began := time.Now()
			_, err := snapshot(s)
			if store.CodeOf(err) != store.Unavailable || time.Since(began) > 5*time.Minute {
				t.Errorf("Retry-After %q: %v after %s", header, err, time.Since(began))
			}
			err = s.Children(t.Context(), []string{"a"}, func(purge.SourceRow) error { return nil })
			if store.CodeOf(err) != store.Unavailable {
				t.Errorf("Retry-After %q, those below a tenant: %v", header, err)
			}
		})
	}
}

func TestSource_HasARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limited{Handler: twenty(), many: 1, each: 200 * time.Millisecond, status: 429}
		s := nearSource(t, l, paging(pagings()["cursor"]), func(c *restsource.Config) { c.Rate = 5 })
		began := time.Now()
		if _, err := snapshot(s); err != nil { // 7 pages
			t.Error(err)
		}
		if _, err := s.Tenant(t.Context(), "t00"); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); l.refused > 0 || took != 1400*time.Millisecond {
			t.Errorf("8 requests took %s, %d were refused; want 5 a second", took, l.refused)
		}
	})
	for _, rate := range []float64{-1, 1001} {
		cfg := config("https://api.example.com")
		cfg.Rate = rate
		if _, err := restsource.New(cfg, restsource.Options{}); store.CodeOf(err) != store.Invalid {
			t.Errorf("rate %v: %v", rate, err)
		}
	}
}

// TestTenants_PagesWithoutTenantsEnd has a cursor that is new on every page, of a list
// that never ends.
func TestTenants_PagesWithoutTenantsEnd(t *testing.T) {
	n := 0
	s := nearSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n++; n > 5000 {
			answer(w, http.StatusInternalServerError, map[string]any{})
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": []any{}, "meta": map[string]any{"next": fmt.Sprintf("%01000d", n), "total": 1}})
	}), paging(pagings()["cursor"]))
	if _, err := snapshot(s); store.CodeOf(err) != store.Unavailable || n > 1001 {
		t.Errorf("%v after %d pages without a tenant", err, n)
	}
}

// TestTenants_SomePagesWithoutTenantsAreNoEnd: a list that is filtered page by page.
func TestTenants_SomePagesWithoutTenantsAreNoEnd(t *testing.T) {
	const pages = 1500
	n := 0
	s := nearSource(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		data, meta := []map[string]any{}, map[string]any{"total": 2}
		if n == pages/2 || n == pages {
			data = append(data, map[string]any{"id": fmt.Sprint(n), "state": "ACTIVE"})
		}
		if n < pages {
			meta["next"] = n
		}
		answer(w, http.StatusOK, map[string]any{"data": data, "meta": meta})
	}), paging(pagings()["cursor"]))
	rows, err := snapshot(s)
	if err != nil || len(rows) != 2 {
		t.Errorf("%d rows, %v; want 2", len(rows), err)
	}
}
