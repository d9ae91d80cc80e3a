package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// provoked are the answers that any endpoint gives, with what provokes them. The
// rest of the document is seen by the tests of what they are about.
func provoked() map[int]func(*Options) {
	refusing := func(err error) func(*Options) {
		return func(o *Options) { o.Authenticate = func(*http.Request) (Caller, error) { return Caller{}, err } }
	}
	return map[int]func(*Options){
		http.StatusUnauthorized:       refusing(store.Errorf(store.Unauthenticated, "want a bearer token")),
		http.StatusServiceUnavailable: refusing(store.Errorf(store.Unavailable, "the issuer does not answer")),
		http.StatusForbidden:          as("", ""),
		http.StatusTooManyRequests: func(o *Options) {
			o.Limits = func() Limits { return Limits{PerSubject: 1, Burst: 1} }
		},
		http.StatusInternalServerError: func(o *Options) {
			o.Authenticate = func(*http.Request) (Caller, error) { panic("a defect") }
		},
	}
}

// callable returns the operations of the API with a path that can be asked for.
func callable() map[string]node {
	all := map[string]node{}
	for what, o := range described().operations() {
		if strings.Contains(what, " /api/") {
			all[strings.NewReplacer("{id}", "acme", "{purge}", "x", "{approval}", "x", "{target}", "x").Replace(what)] = o
		}
	}
	return all
}

// TestOpenAPI_AnswersOfEveryEndpoint asks every endpoint for the answers that are
// common to all of them, as far as the document has them.
func TestOpenAPI_AnswersOfEveryEndpoint(t *testing.T) {
	for status, change := range provoked() {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // no second ends
				r := newRig(t, change).inProcess(t)
				if status == http.StatusTooManyRequests {
					raw(t, r, "GET /api/v1/status", "")
				}
				for what := range callable() {
					wantStatus(t, what, raw(t, r, what, ""), status)
				}
			})
		})
	}
	t.Run("400", func(t *testing.T) {
		r := newRig(t).inProcess(t)
		for what := range callable() {
			wantStatus(t, what, raw(t, r, what+"?no-such=1", ""), http.StatusBadRequest)
		}
	})
}

// TestOpenAPI_AnswersToBodies asks for the answers to bodies.
func TestOpenAPI_AnswersToBodies(t *testing.T) {
	r := newRig(t).inProcess(t)
	for what, o := range callable() {
		if o.get("responses", "415").there() {
			wantStatus(t, what, raw(t, r, what, "x", "Content-Type: text/plain"), http.StatusUnsupportedMediaType)
		}
		if o.get("responses", "413").there() {
			wantStatus(t, what, raw(t, r, what, strings.Repeat(" ", maxBody+1)), http.StatusRequestEntityTooLarge)
		}
		if !o.get("responses", "408").there() {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			conn := connect(t, newRig(t).handler)
			write(t, conn, fmt.Sprintf("%s HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", what))
			if status, body, _ := took(t, conn); status != http.StatusRequestTimeout {
				t.Errorf("%s: status %d, want 408: %s", what, status, body)
			}
		})
	}
}

// usedKeys is a store in which every key was used for another request.
type usedKeys struct{ *boltstore.Store }

// BeginReplay implements [store.Replayer].
func (usedKeys) BeginReplay(context.Context, store.Attempt) (*store.Answer, error) {
	return nil, store.Errorf(store.Conflict, "the key was used for another request")
}

// TestOpenAPI_AnswersToAKeyThatWasUsed makes every call that takes an
// Idempotency-Key with one that was used.
func TestOpenAPI_AnswersToAKeyThatWasUsed(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Store = usedKeys{o.Store.(*boltstore.Store)} }).inProcess(t)
	for what, o := range callable() {
		for _, p := range o.parameters() {
			if p.get("name").text() != client.HeaderIdempotencyKey {
				continue
			}
			wantStatus(t, what, raw(t, r, what, "", client.HeaderIdempotencyKey+": once"), http.StatusConflict)
			for _, status := range o.get("responses").members() {
				if status < "300" && !o.get("responses", status, "headers", client.HeaderReplayed).there() {
					t.Errorf("%s: %s without %s", what, status, client.HeaderReplayed)
				}
			}
		}
	}
}

// wantStatus fails the test unless an answer has the status.
func wantStatus(t *testing.T, what string, got answered, status int) {
	t.Helper()
	if got.status != status {
		t.Errorf("%s: status %d, want %d: %s", what, got.status, status, got.body)
	}
}

func TestDescription_IsServedToEveryoneAndKept(t *testing.T) {
	stranger := func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) { return Caller{}, store.Errorf(store.Unauthenticated, "who?") }
	}
	both(t, func(t *testing.T, r *rig) {
		what := "GET " + DescriptionPath
		first := raw(t, r, what, "")
		if first.status != 200 || first.body != string(openAPI) || first.header.Get("Content-Type") != "application/json" {
			t.Fatalf("status %d, %v, %d bytes", first.status, first.header, len(first.body))
		}
		tag := first.header.Get("ETag")
		for value, status := range map[string]int{tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304, `"other"`: 200, "": 200} {
			if res := raw(t, r, what, "", "If-None-Match: "+value); res.status != status || res.header.Get("ETag") != tag || (len(res.body) == 0) != (status == 304) {
				t.Errorf("If-None-Match: %s: status %d, want %d, with %d bytes", value, res.status, status, len(res.body))
			}
		}
		if res := raw(t, r, "HEAD "+DescriptionPath, ""); res.status != 200 || res.header.Get("Content-Length") != strconv.Itoa(len(openAPI)) {
			t.Errorf("HEAD: status %d, %v", res.status, res.header)
		}
		if res := raw(t, r, "POST "+DescriptionPath, ""); res.status != 405 || res.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: status %d, %v", res.status, res.header)
		}
		for _, path := range []string{DescriptionPath + "/", "/openapi.json/x", "/openapi%2ejson/.", "//openapi.json"} {
			if res := raw(t, r, "GET "+path, ""); res.status != 401 {
				t.Errorf("GET %s: status %d: %.100s", path, res.status, res.body)
			}
		}
	}, stranger)
}

// TestDescription_NeedsNoPlace reads it while all places are taken. That it takes none
// either is TestLimits_StrangersTakeNoPlaces.
func TestDescription_NeedsNoPlace(t *testing.T) {
	engine := &waiting{arrived: make(chan struct{}), leave: make(chan struct{})}
	r := newRig(t, func(o *Options) {
		o.Limits = func() Limits { return Limits{Concurrency: 1} }
		engine.Engine, o.Engine = o.Engine, engine
	}).inProcess(t)
	done := make(chan error, 1)
	go func() {
		_, err := r.Plan(t.Context())
		done <- err
	}()
	<-engine.arrived
	if res := raw(t, r, "GET "+DescriptionPath, ""); res.status != http.StatusOK {
		t.Errorf("status %d, %v: %.100s", res.status, res.header, res.body)
	}
	close(engine.leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
