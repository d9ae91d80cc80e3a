package client

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// quiet returns a server that is not started yet, closes with the test and logs nothing.
func quiet(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	t.Cleanup(srv.Close)
	return srv
}

// TestNew_WhatDoesNotReachTheAPISaysWhatToDo calls servers with which the client has
// no common language. To try again would not help: it is [ErrNotReachable].
func TestNew_WhatDoesNotReachTheAPISaysWhatToDo(t *testing.T) {
	plain, encrypted, mutual := quiet(t), quiet(t), quiet(t)
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	plain.Start()
	encrypted.StartTLS()
	mutual.StartTLS()
	trusted := func() http.RoundTripper { return mutual.Client().Transport.(*http.Transport).Clone() }
	at := func(scheme string, srv *httptest.Server) string {
		return scheme + strings.TrimLeft(srv.URL, "htps")
	}
	for name, c := range map[string]struct {
		server    string
		transport http.RoundTripper
		want      string
	}{
		"TLS to a plain server":   {at("https", plain), nil, at("https", plain) + ": it speaks no TLS; want " + plain.URL},
		"no TLS to one with it":   {at("http", encrypted), nil, at("http", encrypted) + ": it speaks TLS; want " + encrypted.URL},
		"an unknown CA":           {encrypted.URL, nil, "SSL_CERT_FILE"},
		"another name":            {strings.Replace(encrypted.URL, "127.0.0.1", "localhost", 1), trusted(), "want a URL with a name that the certificate is for"},
		"no client certificate":   {mutual.URL, trusted(), "want a client certificate"},
		"a port without a server": {"http://127.0.0.1:1", nil, "connection refused"},
	} {
		client, err := New(Options{Server: c.server, Transport: c.transport})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Status(t.Context())
		if !errors.Is(err, ErrNotReachable) || store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNew_ARefusalIsNotTakenForAnotherLanguage(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusBadRequest)
	}))
	defer srv.Close()
	client, err := New(Options{Server: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Status(t.Context()); errors.Is(err, ErrNotReachable) || store.CodeOf(err) != store.Invalid {
		t.Errorf("%v", err)
	}
}
