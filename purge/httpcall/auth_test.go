package httpcall_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

func TestAuth_HeadersAreWhatTheServerWants(t *testing.T) {
	for _, c := range []struct {
		auth httpcall.Auth
		own  string
		want string
	}{
		{auth: httpcall.Auth{}, want: ""},
		{auth: httpcall.Auth{Bearer: "t"}, want: "Bearer t"},
		{auth: httpcall.Auth{Bearer: "t", Scheme: "SSWS"}, want: "SSWS t"},
		{auth: httpcall.Auth{Username: "u", Password: "p"}, want: "Basic dTpw"},
		{auth: httpcall.Auth{Username: "sk_test"}, want: "Basic c2tfdGVzdDo="},
		{auth: httpcall.Auth{Bearer: "t"}, own: "Bearer other", want: "Bearer other"},
	} {
		var got string
		s := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") })
		r := httpcall.Request{URL: "/"}
		if c.own != "" {
			r.Header = http.Header{"Authorization": {c.own}}
		}
		if _, err := newClient(t, httpcall.Config{BaseURL: s.URL, Auth: c.auth}).Do(context.Background(), r); err != nil || got != c.want {
			t.Errorf("%+v: sent %q, %v; want %q", c.auth, got, err, c.want)
		}
	}
}

// issuer is an authorization server and an API that knows its tokens.
type issuer struct {
	issued    atomic.Int32
	valid     atomic.Int32 // the token that the API takes
	expiresIn int
	form      url.Values
	basic     string
	calls     atomic.Int32
	deny      bool
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		_ = r.ParseForm()
		i.form = r.PostForm
		i.basic, _, _ = r.BasicAuth()
		n := i.issued.Add(1)
		if !i.deny {
			i.valid.Store(n)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": string('a' + n), "token_type": "bearer", "expires_in": i.expiresIn})
		return
	}
	i.calls.Add(1)
	if r.Header.Get("Authorization") != "Bearer "+string('a'+i.valid.Load()) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.Copy(w, r.Body)
}

func TestAuth_OAuthTokensAreKeptUntilRefused(t *testing.T) {
	i := &issuer{expiresIn: 3600}
	s := serve(t, i.ServeHTTP)
	c := newClient(t, httpcall.Config{BaseURL: s.URL, Auth: httpcall.Auth{OAuth: httpcall.OAuth{
		TokenURL: s.URL + "/token", ClientID: "me", ClientSecret: "s", Scopes: []string{"a", "b"}, Params: map[string]string{"audience": "x"},
	}}})
	do := func() *httpcall.Response {
		t.Helper()
		a, err := c.Do(context.Background(), httpcall.Request{Method: http.MethodPost, URL: "/x", Body: []byte("hello")})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for range 3 {
		if a := do(); !a.OK() || string(a.Body) != "hello" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if i.issued.Load() != 1 {
		t.Errorf("%d tokens for three calls, want 1", i.issued.Load())
	}
	want := url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}, "audience": {"x"}}
	if diff := cmp.Diff(want, i.form); diff != "" || i.basic != "me" {
		t.Errorf("asked for a token as %q with (-want +got):\n%s", i.basic, diff)
	}
	i.valid.Store(20) // revoked
	if a := do(); !a.OK() || string(a.Body) != "hello" || i.issued.Load() != 2 {
		t.Errorf("after the token was revoked: %d %s, %d tokens", a.Status, a.Body, i.issued.Load())
	}
	i.valid.Store(20)
	i.deny = true // new tokens are refused as well
	before := i.calls.Load()
	if a := do(); a.Status != http.StatusUnauthorized || i.calls.Load() != before+2 {
		t.Errorf("a client that is refused: status %d after %d calls, want 401 after 2", a.Status, i.calls.Load()-before)
	}
}

func TestAuth_OAuthTokensExpire(t *testing.T) {
	i := &issuer{expiresIn: 1} // within the margin: it is used once
	s := serve(t, i.ServeHTTP)
	c := newClient(t, httpcall.Config{BaseURL: s.URL, Auth: httpcall.Auth{OAuth: httpcall.OAuth{TokenURL: s.URL + "/token", ClientID: "me", ClientSecret: "s", InBody: true}}})
	for range 2 {
		if a, err := c.Do(context.Background(), httpcall.Request{URL: "/x"}); err != nil || !a.OK() {
			t.Fatalf("%v, %v", a, err)
		}
	}
	if i.issued.Load() != 2 || i.form.Get("client_id") != "me" || i.form.Get("client_secret") != "s" || i.basic != "" {
		t.Errorf("%d tokens, the last asked for with %v", i.issued.Load(), i.form)
	}
}

func TestAuth_NoTokenIsNotALostAnswer(t *testing.T) {
	var called atomic.Int32
	api := serve(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want store.Code
		wait time.Duration
	}{
		{"wrong client", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, store.Unauthenticated, 0},
		{"busy", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "3"); w.WriteHeader(429) }, store.Unavailable, 3 * time.Second},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, store.Unavailable, 0},
		{"cut off", cut, store.Unavailable, 0},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, api.URL, http.StatusTemporaryRedirect)
		}, store.Unavailable, 0},
		{"html", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, store.Unavailable, 0},
		{"no token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
		}, store.Unavailable, 0},
	} {
		tokens := serve(t, c.h)
		client := newClient(t, httpcall.Config{BaseURL: api.URL, Auth: httpcall.Auth{OAuth: httpcall.OAuth{TokenURL: tokens.URL, ClientID: "c", ClientSecret: "s"}}})
		unsafe, _ := both(t, client, "/")
		if unsafe.Code() != c.want || unsafe.RetryAfter() != c.wait {
			t.Errorf("%s: %v (%s, %s); want %s, %s", c.name, unsafe, unsafe.Code(), unsafe.RetryAfter(), c.want, c.wait)
		}
	}
	if called.Load() != 0 {
		t.Errorf("the API was called %d times without a token", called.Load())
	}
}

// certificate returns a self-signed certificate and its key as PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "purger"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}

func TestAuth_MutualTLS(t *testing.T) {
	cert, key := certificate(t)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(cert))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))

	a, err := newClient(t, httpcall.Config{BaseURL: s.URL, CA: ca, Cert: cert, Key: key}).Do(context.Background(), httpcall.Request{URL: "/"})
	if err != nil || string(a.Body) != "purger" {
		t.Errorf("with the certificate: %v, %v", a, err)
	}
	for name, cfg := range map[string]httpcall.Config{
		"without a certificate":           {BaseURL: s.URL, CA: ca},
		"from a server that is not known": {BaseURL: s.URL, Cert: cert, Key: key},
	} {
		if _, err := newClient(t, cfg).Do(context.Background(), httpcall.Request{URL: "/"}); store.CodeOf(err) != store.Unavailable {
			t.Errorf("%s: %v; want unavailable", name, err)
		}
	}
}
