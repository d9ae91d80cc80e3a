package oauthtarget_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

// fake is an authorization server with the clients "1", "2", ... of the tenant
// acme, that can be made to fail.
type fake struct {
	registry
	// intercept, if set, may answer instead; it says so.
	intercept func(w http.ResponseWriter, r *http.Request) bool
	// rotates gives out another token with every GET.
	rotates bool

	url    string
	mu     sync.Mutex
	tokens map[string]string // by client
	calls  []string
}

func newFake(t testing.TB, n int) *fake {
	t.Helper()
	f := &fake{tokens: map[string]string{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	for i := range n {
		f.register(fmt.Sprint(i + 1))
	}
	return f
}

// register registers a client of acme.
func (f *fake) register(id string) {
	f.mu.Lock()
	f.tokens[id] = "token-" + id
	f.mu.Unlock()
	f.put("acme", oauthtarget.Client{ID: id, URI: f.url + "/reg?client_id=" + id, Token: "token-" + id})
}

func (f *fake) target(t testing.TB, journal string) *oauthtarget.Target {
	t.Helper()
	target, err := oauthtarget.New(oauthtarget.Config{
		Name: "login", BaseURL: f.url, Journal: journal, Parallel: 1,
	}, oauthtarget.Options{Registry: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

func (f *fake) there() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tokens)
}

func (f *fake) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == method {
			n++
		}
	}
	return n
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.calls = append(f.calls, r.Method)
	intercept := f.intercept
	f.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	f.serve(w, r)
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := r.URL.Query().Get("client_id")
	token, ok := f.tokens[id]
	if !ok || r.Header.Get("Authorization") != "Bearer "+token {
		say(w, 401, "application/json", `{"error":"invalid_token"}`)
		return
	}
	if r.Method == http.MethodDelete {
		delete(f.tokens, id)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if f.rotates {
		token += "+"
		f.tokens[id] = token
	}
	say(w, 200, "application/json", fmt.Sprintf(`{"client_id":%q,"client_secret":"s","registration_access_token":%q}`, id, token))
}

func say(w http.ResponseWriter, status int, kind, body string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// on answers one method with something else.
func on(method string, status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			say(w, status, kind, body)
		}
		return r.Method == method
	}
}

const (
	asJSON  = "application/json"
	refused = `{"error":"invalid_token"}`
	page    = "<html><title>Sign in</title></html>"
)

func TestCount_G6_OnlyOurOwnDeleteMakesA401Gone(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		kind   string
		body   string
		gone   bool // after a DELETE of ours
	}{
		{"bad token", 401, asJSON, refused, true},
		{"not found", 404, asJSON, `{}`, true},
		{"not found, without a body", 404, "", "", true},
		{"gone", 410, "", "", true},
		{"401 of a proxy", 401, "text/html; charset=utf-8", page, false},
		{"401 of a proxy that says nothing", 401, "", page, false},
		{"401 that is empty", 401, "", "", false},
		{"404 of a proxy", 404, "text/html", page, false},
		{"forbidden", 403, asJSON, refused, false},
		{"an error", 500, asJSON, refused, false},
		{"200 with a page", 200, "text/html", page, false},
		{"200 with another client", 200, asJSON, `{"client_id":"2"}`, false},
		{"200 with nothing", 200, asJSON, `{}`, false},
		{"204", 204, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, 1)
			target := f.target(t, filepath.Join(t.TempDir(), "journal"))
			f.intercept = on(http.MethodGet, c.status, c.kind, c.body)
			if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err == nil {
				t.Errorf("Count = %d with no DELETE on record", n)
			}
			if did, err := target.Purge(t.Context(), clients(1)); err == nil || did.Deleted != 0 || f.called("DELETE") != 0 || purge.IsPermanent(err) {
				t.Errorf("Purge = %+v, %v with a token that did not prove good; %d were sent", did, err, f.called("DELETE"))
			}
			f.intercept = nil
			if did, err := target.Purge(t.Context(), clients(1)); err != nil || did.Deleted != 1 {
				t.Fatalf("Purge = %+v, %v", did, err)
			}
			f.intercept = on(http.MethodGet, c.status, c.kind, c.body)
			n, err := target.Count(t.Context(), "acme", store.KindOAuthClient)
			if n != 0 || (err == nil) != c.gone {
				t.Errorf("Count = %d, %v after our DELETE, want gone to be %t", n, err, c.gone)
			}
		})
	}
}

func TestPurge_G5_AnAnswerToDeleteSaysOnlyWhatItSays(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		kind   string
		body   string
		code   store.Code
		forgot bool // the journal takes back that a DELETE was sent
	}{
		{"refused, the token having been good", 401, asJSON, refused, store.Unauthenticated, true},
		{"not found, it having been there", 404, asJSON, `{}`, store.Unauthenticated, true},
		{"not allowed", 403, asJSON, `{}`, store.Forbidden, true},
		{"no such method", 405, asJSON, `{}`, store.Forbidden, true},
		{"too many", 429, asJSON, `{}`, store.Exhausted, true},
		{"not available, as a gateway says whose connection ended", 503, asJSON, `{}`, store.Internal, false},
		{"a time-out of a gateway", 408, asJSON, `{}`, store.Internal, false},
		{"somewhere else", 303, asJSON, `{}`, store.Internal, false},
		{"an error", 500, asJSON, `{}`, store.Internal, false},
		{"a proxy's time is over", 504, asJSON, `{}`, store.Internal, false},
		{"200 with a page", 200, "text/html", page, store.Internal, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, 1)
			journal := filepath.Join(t.TempDir(), "journal")
			target := f.target(t, journal)
			f.intercept = on(http.MethodDelete, c.status, c.kind, c.body)
			did, err := target.Purge(t.Context(), clients(1))
			if did.Deleted != 0 || store.CodeOf(err) != c.code || purge.IsPermanent(err) {
				t.Errorf("Purge = %+v, %v (%s), want %s", did, err, store.CodeOf(err), c.code)
			}
			// Now nobody believes the token any more.
			f.intercept = on(http.MethodGet, 401, asJSON, refused)
			if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); (err != nil) != c.forgot {
				t.Errorf("Count = %d, %v, want an error to be %t", n, err, c.forgot)
			}
		})
	}
}

func TestPurge_RetryAfterIsHandedOn(t *testing.T) {
	f := newFake(t, 3)
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && f.there() < 3 {
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		return false
	}
	did, err := f.target(t, filepath.Join(t.TempDir(), "journal")).Purge(t.Context(), clients(5))
	var after purge.RetryAfter
	if did.Deleted != 1 || !errors.As(err, &after) || after.RetryAfter() != 9*time.Second {
		t.Errorf("Purge = %+v, %v, want 1 and 9s", did, err)
	}
}

// What was lost makes the count a lower bound, whatever else went wrong.
func TestPurge_G5_ALostAnswerIsReportedBeforeARefusal(t *testing.T) {
	f := newFake(t, 2)
	arrived, answered := make(chan struct{}), make(chan struct{})
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method != http.MethodDelete:
			return false
		case r.URL.Query().Get("client_id") == "1":
			<-arrived
			w.WriteHeader(http.StatusForbidden)
			close(answered)
		default:
			close(arrived)
			<-answered
			<-time.After(50 * time.Millisecond) // it is read by now, most likely
			w.WriteHeader(http.StatusBadGateway)
		}
		return true
	}
	target, err := oauthtarget.New(oauthtarget.Config{
		Name: "login", BaseURL: f.url, Journal: filepath.Join(t.TempDir(), "journal"), Parallel: 2,
	}, oauthtarget.Options{Registry: f})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if did, err := target.Purge(t.Context(), clients(2)); store.CodeOf(err) != store.Internal || did.Deleted != 0 {
		t.Errorf("Purge = %+v, %v (%s)", did, err, store.CodeOf(err))
	}
}

func TestTarget_G6_AKindThatItDoesNotHoldIsNotEmpty(t *testing.T) {
	target := newFake(t, 1).target(t, filepath.Join(t.TempDir(), "journal"))
	n, countErr := target.Count(t.Context(), "acme", store.KindUser)
	did, purgeErr := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1})
	for _, err := range []error{countErr, purgeErr} {
		if store.CodeOf(err) != store.Invalid || !purge.IsPermanent(err) {
			t.Errorf("Count = %d, Purge = %+v: %v; want it refused for good", n, did, err)
		}
	}
}

func TestCount_AClientThatIsListedTwiceIsOne(t *testing.T) {
	f := newFake(t, 1)
	f.put("acme", f.clients["acme"][0])
	target := f.target(t, filepath.Join(t.TempDir(), "journal"))
	if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err != nil || n != 1 {
		t.Errorf("Count = %d, %v", n, err)
	}
}

// The token that a GET gives out is kept before it is used: the one before it is
// no longer good.
func TestRotation_TheNewestTokenOutlivesARestart(t *testing.T) {
	f := newFake(t, 4)
	f.rotates = true
	journal := filepath.Join(t.TempDir(), "journal")
	for range 3 {
		target := f.target(t, journal)
		for range 2 {
			if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err != nil || n != 4 {
				t.Fatalf("Count = %d, %v", n, err)
			}
		}
		_ = target.Close()
	}
	target := f.target(t, journal)
	if did, err := target.Purge(t.Context(), clients(10)); err != nil || did.Deleted != 4 {
		t.Errorf("Purge = %+v, %v", did, err)
	}
	if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err != nil || n != 0 {
		t.Errorf("Count = %d, %v", n, err)
	}
	if kept, err := os.ReadFile(journal); err != nil || !strings.Contains(string(kept), "token-1++++++") {
		t.Errorf("the journal has no token that was given out: %v", err)
	}
}

func TestPurge_WhatIsBackIsRemovedAgain(t *testing.T) {
	f := newFake(t, 2)
	target := f.target(t, filepath.Join(t.TempDir(), "journal"))
	if did, err := target.Purge(t.Context(), clients(5)); err != nil || did.Deleted != 2 {
		t.Fatalf("Purge = %+v, %v", did, err)
	}
	f.mu.Lock()
	f.tokens["2"] = "token-2" // from a backup
	f.mu.Unlock()
	if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err != nil || n != 1 {
		t.Errorf("Count = %d, %v, want the one that is back", n, err)
	}
	if did, err := target.Purge(t.Context(), clients(5)); err != nil || did.Deleted != 1 || f.there() != 0 {
		t.Errorf("Purge = %+v, %v with %d there", did, err, f.there())
	}
}

func TestPurge_G4_OnlyTheConfiguredHostIsShownAToken(t *testing.T) {
	f, other := newFake(t, 1), newFake(t, 1)
	target := f.target(t, filepath.Join(t.TempDir(), "journal"))
	f.put("acme", other.clients["acme"][0])
	did, err := target.Purge(t.Context(), clients(5))
	if store.CodeOf(err) != store.Forbidden || did.Deleted != 1 || len(other.calls) != 0 {
		t.Errorf("Purge = %+v, %v, and the other host was called %d times", did, err, len(other.calls))
	}
}

// victim makes the test binary purge, to be killed.
const victim = "PURGER_OAUTHTARGET_VICTIM"

func TestVictim(t *testing.T) {
	args := strings.Split(os.Getenv(victim), " ")
	if len(args) != 2 {
		t.Skip("run by TestPurge_G5_KilledBetweenEffectAndAnswer in a process of its own")
	}
	f := &fake{url: args[0]}
	for i := range 10 {
		id := fmt.Sprint(i + 1)
		f.put("acme", oauthtarget.Client{ID: id, URI: f.url + "/reg?client_id=" + id, Token: "token-" + id})
	}
	did, err := f.target(t, args[1]).Purge(t.Context(), clients(10))
	t.Errorf("nobody killed it: %+v, %v", did, err)
}

func TestPurge_G5_KilledBetweenEffectAndAnswer(t *testing.T) {
	for _, carriedOut := range []bool{true, false} {
		for _, at := range []int{1, 4, 10} {
			t.Run(fmt.Sprintf("CarriedOut=%t/%d", carriedOut, at), func(t *testing.T) {
				f := newFake(t, 10)
				journal := filepath.Join(t.TempDir(), "journal")
				cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
				cmd.Env = append(os.Environ(), victim+"="+f.url+" "+journal)
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				started, killed := make(chan struct{}), make(chan struct{})
				f.mu.Lock() // whom the other process calls knows nothing of this goroutine
				f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method != http.MethodDelete || f.called("DELETE") != at {
						return false
					}
					if carriedOut {
						f.serve(httptest.NewRecorder(), r)
					}
					<-started
					_ = cmd.Process.Kill()
					<-killed
					return true
				}
				f.mu.Unlock()
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				close(started)
				err := cmd.Wait()
				close(killed)
				if err == nil || strings.Contains(out.String(), "FAIL") {
					t.Fatalf("the process was not killed: %v\n%s", err, out.String())
				}
				want := f.there()
				target := f.target(t, journal)
				if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err != nil || n != int64(want) {
					t.Errorf("Count = %d, %v, want %d", n, err, want)
				}
				r := clients(10)
				r.Resumed = true
				did, err := target.Purge(t.Context(), r)
				if err != nil || did.Deleted != int64(want) || did.More || f.there() != 0 {
					t.Errorf("resumed = %+v, %v with %d there, want %d", did, err, f.there(), want)
				}
				if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); err != nil || n != 0 {
					t.Errorf("Count = %d, %v", n, err)
				}
			})
		}
	}
}
