package resttarget_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// scripted is a transport that answers from a function, and keeps what it was
// asked.
type scripted struct {
	answer func(r *http.Request, body string) (status int, header http.Header, answer string)
	// careless answers about a tenant that does not exist as well; else it is 404, and
	// not noted.
	careless bool
	mu       sync.Mutex
	asked    []string
}

// RoundTrip implements http.RoundTripper.
func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	sent := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		sent = string(b)
	}
	if !s.careless && strings.Contains(r.URL.String()+sent, "purger-probe") {
		return &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+sent))
	s.mu.Unlock()
	status, header, text := s.answer(r, sent)
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// scriptedTarget returns a target of one kind whose API is a script.
func scriptedTarget(t *testing.T, k resttarget.Kind, s *scripted) (*resttarget.Target, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	target, err := resttarget.New(resttarget.Config{Name: "api", BaseURL: "https://api.example.com/base", Kinds: map[store.Kind]resttarget.Kind{store.KindUser: k}},
		resttarget.Options{Logger: zap.New(core), HTTP: httpcall.Options{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	return target, logs
}

func deleteUser() *resttarget.Delete {
	return &resttarget.Delete{Call: resttarget.Call{URL: "/users/{id}"}}
}
