package httpcall_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// serve starts a server on loopback.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func newClient(t *testing.T, cfg httpcall.Config) *httpcall.Client {
	t.Helper()
	c, err := httpcall.New(cfg, httpcall.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// both runs a request as one that changes something and as one that does not.
func both(t *testing.T, c *httpcall.Client, url string) (unsafe, safe *httpcall.Error) {
	t.Helper()
	for _, method := range []string{http.MethodDelete, http.MethodGet} {
		r := httpcall.Request{Method: method, URL: url}
		a, err := c.Do(context.Background(), r)
		if err == nil && !a.OK() {
			err = httpcall.StatusError(r, a)
		}
		var e *httpcall.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s %s = %v; want an *Error", method, url, err)
		}
		if method == http.MethodDelete {
			unsafe = e
		} else {
			safe = e
		}
	}
	return unsafe, safe
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestDo_TellsLostFromNotSent(t *testing.T) {
	hang := make(chan struct{})
	var aboutToHang atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/cut", cut)
	mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"deleted":`)
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
		}
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(bytes.Repeat([]byte("0"), 1<<20))
		_ = z.Close()
	})
	mux.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { aboutToHang.Add(1); <-hang })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-hang
	})
	for _, status := range []int{301, 303, 307, 408, 425, 429, 500, 502, 503, 504} {
		mux.HandleFunc(fmt.Sprint("/", status), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	s := serve(t, mux.ServeHTTP)
	defer close(hang)
	c := newClient(t, httpcall.Config{BaseURL: s.URL, Timeout: 300 * time.Millisecond, MaxBody: 10_000})

	for _, path := range []string{"/cut", "/half", "/huge", "/bomb", "/hang", "/slow"} {
		unsafe, safe := both(t, c, path)
		if unsafe.Code() != store.Internal || !unsafe.Lost() {
			t.Errorf("DELETE %s: %s (%v); want the code of a lost answer", path, unsafe.Code(), unsafe)
		}
		if safe.Code() != store.Unavailable || safe.Lost() || errors.Is(safe, context.DeadlineExceeded) {
			t.Errorf("GET %s: %s (%v); want unavailable, and no error of a context in its chain", path, safe.Code(), safe)
		}
		for _, e := range []error{unsafe, safe} {
			if store.CodeOf(e) == "" || purge.IsPermanent(e) {
				t.Errorf("%s: %v is permanent or has no code", path, e)
			}
		}
	}
	if aboutToHang.Load() != 2 {
		t.Errorf("%d requests reached the server that hangs, want 2", aboutToHang.Load())
	}
	// A gateway answers so, too, when its connection ended: after the effect, perhaps.
	for _, status := range []int{301, 303, 307, 408, 503} {
		unsafe, safe := both(t, c, fmt.Sprint("/", status))
		if unsafe.Code() != store.Internal || !unsafe.Lost() || safe.Code() != store.Unavailable || safe.Lost() {
			t.Errorf("status %d: %v (%s), %v (%s); want it to be lost only when it was to change something", status, unsafe, unsafe.Code(), safe, safe.Code())
		}
		for _, e := range []*httpcall.Error{unsafe, safe} {
			var out purge.Outage
			if !errors.As(fmt.Errorf("wrapped: %w", e), &out) || !out.Outage() {
				t.Errorf("status %d: %v; want it to speak against the system as before", status, e)
			}
		}
	}
	for status, code := range map[int]store.Code{425: store.Unavailable, 429: store.Exhausted} {
		if unsafe, _ := both(t, c, fmt.Sprint("/", status)); unsafe.Code() != code || unsafe.Lost() || unsafe.Outage() {
			t.Errorf("status %d: %v (%s); want %s: it is said before anything is done", status, unsafe, unsafe.Code(), code)
		}
	}
	for _, status := range []int{500, 502, 504} {
		for _, method := range []string{http.MethodDelete, http.MethodGet} {
			r := httpcall.Request{Method: method, URL: fmt.Sprint("/", status)}
			a, err := c.Do(context.Background(), r)
			if err != nil {
				t.Fatal(err)
			}
			if e := httpcall.StatusError(r, a); e.Lost() != (method == http.MethodDelete) {
				t.Errorf("%s with status %d: lost is %t", method, status, e.Lost())
			}
		}
	}

	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	unsafe, _ := both(t, newClient(t, httpcall.Config{BaseURL: closed.URL}), "/")
	if unsafe.Code() != store.Unavailable || unsafe.Lost() {
		t.Errorf("DELETE without a server: %s (%v); want unavailable", unsafe.Code(), unsafe)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.Do(ctx, httpcall.Request{Method: http.MethodDelete, URL: "/hang"})
	if store.CodeOf(err) != store.Unavailable || errors.Is(err, context.Canceled) {
		t.Errorf("DELETE with an ended context: %v; want unavailable: nothing was sent", err)
	}
}

func TestDo_AServerWithoutTLSIsNamed(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	c := newClient(t, httpcall.Config{BaseURL: "https" + strings.TrimPrefix(s.URL, "http")})
	unsafe, _ := both(t, c, "/")
	if unsafe.Code() != store.Unavailable || unsafe.Lost() || !strings.Contains(unsafe.Error(), "HTTP response to HTTPS client") {
		t.Errorf("DELETE by https of a server with http: %s (%v); want unavailable, and why", unsafe.Code(), unsafe)
	}
}

// TestDo_EndlessBodyIsNotReadOn has a body that only ends when nobody reads it.
func TestDo_EndlessBodyIsNotReadOn(t *testing.T) {
	var written atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for chunk := make([]byte, 64<<10); ; {
			n, err := w.Write(chunk)
			if written.Add(int64(n)); err != nil || written.Load() > 1<<30 {
				return
			}
		}
	})
	c := newClient(t, httpcall.Config{BaseURL: s.URL, MaxBody: 10_000})
	_, safe := both(t, c, "/")
	s.CloseClientConnections()
	if n := written.Load(); n > 100<<20 || !strings.Contains(safe.Error(), "more than 10000 bytes") {
		t.Errorf("%d bytes were taken: %v", n, safe)
	}
}

func TestDo_SafePostIsNotLost(t *testing.T) {
	c := newClient(t, httpcall.Config{BaseURL: serve(t, cut).URL})
	_, err := c.Do(context.Background(), httpcall.Request{Method: http.MethodPost, URL: "/search", Body: []byte("{}"), Safe: true})
	if store.CodeOf(err) != store.Unavailable {
		t.Errorf("a search by POST that was cut off: %v; want unavailable", err)
	}
}

// TestDo_UnsafeRequestsAreSentOnce counts what the server gets when connections
// that were kept are closed under the client's feet.
func TestDo_UnsafeRequestsAreSentOnce(t *testing.T) {
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			n.Add(1)
			cut(w, r)
		}
	})
	c := newClient(t, httpcall.Config{BaseURL: s.URL})
	if _, err := c.Do(context.Background(), httpcall.Request{URL: "/warm"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(context.Background(), httpcall.Request{Method: http.MethodDelete, URL: "/x"}); err == nil {
		t.Error("no error")
	}
	if n.Load() != 1 {
		t.Errorf("the server got the DELETE %d times, want 1", n.Load())
	}
}

func TestDo_OnlyConfiguredHostsAreCalled(t *testing.T) {
	var strangers atomic.Int32
	stranger := serve(t, func(http.ResponseWriter, *http.Request) { strangers.Add(1) })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
		}
		if r.URL.Path == "/local" {
			http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
		}
	})
	host := strings.TrimPrefix(s.URL, "http://")
	_, port, _ := net.SplitHostPort(host)
	c := newClient(t, httpcall.Config{BaseURL: s.URL, Auth: httpcall.Auth{Bearer: "secret"}})
	for _, url := range []string{
		stranger.URL, "https://" + host + "/", "http://localhost:" + port + "/", "http://user@" + host + "/", "http://127.0.0.1/",
		"http:" + host, "ftp://" + host, "http://" + host + ".evil.example/", "", "relative", "http://[", "http://127.0.0.1:" + port + "@evil.example/",
	} {
		_, err := c.Do(context.Background(), httpcall.Request{URL: url})
		if code := store.CodeOf(err); code != store.Forbidden && code != store.Invalid {
			t.Errorf("GET %q = %v; want a refusal", url, err)
		}
	}
	for _, path := range []string{"/redirect", "/local"} {
		unsafe, safe := both(t, c, path)
		if unsafe.Code() != store.Internal || safe.Code() != store.Unavailable {
			t.Errorf("%s: %v, %v; want lost, and unavailable", path, unsafe, safe)
		}
	}
	if a, err := c.Do(context.Background(), httpcall.Request{URL: "//" + strings.TrimPrefix(stranger.URL, "http://")}); err != nil || a.URL.Host != host {
		t.Errorf("a path with two slashes went to %v, %v", a, err)
	}
	if strangers.Load() != 0 {
		t.Errorf("a host that is not configured was called %d times", strangers.Load())
	}

	further := newClient(t, httpcall.Config{Hosts: []string{stranger.URL}})
	if _, err := further.Do(context.Background(), httpcall.Request{URL: stranger.URL + "/x"}); err != nil || strangers.Load() != 1 {
		t.Errorf("a further host that is configured: %v", err)
	}
}

func TestDo_RetryAfter(t *testing.T) {
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, c := range []struct {
		header string
		want   time.Duration
	}{
		{"7", 7 * time.Second},
		{"0", 0},
		{"", 0},
		{"-5", 0},
		{"soon", 0},
		{now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
		{now.Add(-time.Hour).Format(http.TimeFormat), 0},
		{"999999999999", 24 * time.Hour},
		{"99999999999999999999", 0},
		{now.Add(100 * 24 * time.Hour).Format(http.TimeFormat), 24 * time.Hour},
	} {
		for _, status := range []int{429, 503} {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", now.Format(http.TimeFormat)) // the server's clock is another than ours
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(status)
			})
			unsafe, safe := both(t, newClient(t, httpcall.Config{BaseURL: s.URL}), "/")
			for _, e := range []*httpcall.Error{unsafe, safe} {
				var waits purge.RetryAfter
				if !errors.As(fmt.Errorf("wrapped: %w", e), &waits) || waits.RetryAfter() != c.want {
					t.Errorf("status %d, Retry-After %q: %s; want %s", status, c.header, e.RetryAfter(), c.want)
				}
				want := map[int]store.Code{429: store.Exhausted, 503: store.Unavailable}[status]
				if status == 503 && e == unsafe {
					want = store.Internal
				}
				if e.Status != status || e.Code() != want {
					t.Errorf("status %d: %+v, code %s", status, e, e.Code())
				}
			}
		}
	}
}

func TestDo_ErrorsShowNoSecrets(t *testing.T) {
	const secret = "hunter2"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			cut(w, r)
		case "/token":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"no such secret: hunter2"}`)
			return
		case "/tokenhtml":
			_, _ = io.WriteString(w, "<html>hunter2")
			return
		}
		w.Header().Set("Location", "https://hunter2.example/?token=hunter2")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, secret)
	})
	auths := []httpcall.Auth{
		{Bearer: secret}, {Username: "u", Password: secret},
		{OAuth: httpcall.OAuth{TokenURL: s.URL + "/token?x=" + secret, ClientID: "c", ClientSecret: secret}},
		{OAuth: httpcall.OAuth{TokenURL: s.URL + "/tokenhtml", ClientID: "c", ClientSecret: secret}},
		{OAuth: httpcall.OAuth{TokenURL: s.URL + "/cut?x=" + secret, ClientID: "c", ClientSecret: secret, InBody: true}},
	}
	for _, auth := range auths {
		c := newClient(t, httpcall.Config{BaseURL: s.URL, Auth: auth})
		for _, url := range []string{"/cut?api_key=" + secret, "/redirect?api_key=" + secret, "https://u:" + secret + "@elsewhere.example/?k=" + secret, "http://h/%zz" + secret} {
			_, err := c.Do(context.Background(), httpcall.Request{Method: http.MethodDelete, URL: url, Body: []byte(secret)})
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
	for _, cfg := range []httpcall.Config{
		{BaseURL: "https://u:hunter2@h"}, {BaseURL: "https://h/%zzhunter2"}, {Hosts: []string{"https://u:hunter2@h"}},
		{BaseURL: "https://h", Auth: httpcall.Auth{Bearer: "hunter2\n"}}, {BaseURL: "https://h", Cert: secret, Key: secret}, {BaseURL: "https://h", CA: secret},
	} {
		if _, err := httpcall.New(cfg, httpcall.Options{}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("New: %v", err)
		}
	}
}

// The id of a resource may be an e-mail address: errors tell two apart and show
// neither.
func TestDo_ErrorsShowNoIDOfAResource(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "cut") {
			cut(w, r)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	seen := map[string]bool{}
	for _, id := range []string{"alice@example.com", "bob@example.com", "alice@example.com/cut"} {
		c := newClient(t, httpcall.Config{BaseURL: s.URL})
		_, err := c.Do(context.Background(), httpcall.Request{Method: http.MethodDelete, URL: "/users/" + httpcall.Escape(id), Shown: "/users/{id}", Of: id})
		if err == nil || strings.Contains(err.Error(), "example.com") || !strings.Contains(err.Error(), "DELETE /users/{id} (id "+httpcall.Hashed(id)+")") || seen[err.Error()] {
			t.Errorf("%v; want the template and a hash", err)
		}
		seen[fmt.Sprint(err)] = true
	}
	for _, f := range []func(string) (string, error){httpcall.JSONString, httpcall.Quoted, httpcall.PathSegment} {
		if _, err := f("alice@example.com\xff\x00"); err != nil && strings.Contains(err.Error(), "alice") {
			t.Errorf("an id that cannot be sent: %v", err)
		}
	}
}

func TestDo_ConcurrentCallsAreObserved(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			cut(w, r)
		}
		_ = json.NewEncoder(w).Encode(r.URL.Path)
	})
	var mu sync.Mutex
	seen := map[int]int{}
	c, err := httpcall.New(httpcall.Config{BaseURL: s.URL + "/v1/", Header: map[string]string{"X-Org": "o"}}, httpcall.Options{Observe: func(o httpcall.Observation) {
		mu.Lock()
		defer mu.Unlock()
		seen[o.Status]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a, err := c.Do(context.Background(), httpcall.Request{URL: "/a%2Fb"}); err != nil || string(a.Body) != "\"/v1/a/b\"\n" {
				t.Errorf("%s, %v", a.Body, err)
			}
		})
	}
	wg.Wait()
	if seen[200] != 20 {
		t.Errorf("observed %v", seen)
	}
}
