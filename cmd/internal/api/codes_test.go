package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// codes are all the codes of package store, with the statuses that were agreed
// upon.
func codes() map[store.Code]int {
	return map[store.Code]int{
		store.Invalid: 400, store.Unauthenticated: 401, store.Forbidden: 403, store.NotFound: 404,
		store.Gone: 410, store.Conflict: 409, store.Precondition: 409, store.Exhausted: 429,
		store.Unavailable: 503, store.Internal: 500,
	}
}

// failing is a store whose Tenant fails.
type failing struct {
	store.Store
	err error
}

func (f *failing) Tenant(context.Context, string) (store.Tenant, error) {
	return store.Tenant{}, f.err
}

func TestCodes_EachHasItsStatusAndComesBack(t *testing.T) {
	for code, status := range codes() {
		if got := client.OutcomeOf(code).Status; got != status {
			t.Errorf("%s: status %d, want %d", code, got, status)
		}
		back := client.OutcomeOfStatus(status).Code
		if code == store.Precondition { // shares 409 with conflict
			continue
		}
		if back != code {
			t.Errorf("status %d: code %s, want %s", status, back, code)
		}
	}
}

func TestCodes_AnUnknownCodeIsInternal(t *testing.T) {
	if got := client.OutcomeOf("odd"); got.Code != store.Internal || got.Status != 500 {
		t.Errorf("outcome %+v", got)
	}
}

func TestCodes_AnUnknownStatusKeepsItsClass(t *testing.T) {
	for status, code := range map[int]store.Code{
		418: store.Invalid, 502: store.Unavailable, 504: store.Unavailable, 599: store.Internal, 302: store.Internal,
		405: store.Invalid, 408: store.Unavailable, 413: store.Invalid, 415: store.Invalid,
	} {
		if got := client.OutcomeOfStatus(status); got.Code != code || got.Status != status {
			t.Errorf("status %d: %+v, want the code %s", status, got, code)
		}
	}
}

func TestClient_ReturnsCodeFieldAndMessageOfEveryError(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		st := r.options.Store.(*failing)
		for code := range codes() {
			for _, field := range []string{"", "purgeAfterDays", "hold.reason", "odd/~name"} {
				want := store.Errorf(code, "the message, with a %s", "\"quote\"\nand <tags>").At(field)
				st.err = fmt.Errorf("%w", want)
				_, err := r.Tenant(t.Context(), "acme", false)
				var got *store.Error
				if !errors.As(err, &got) {
					t.Fatalf("%s: error %v is no *store.Error", code, err)
				}
				if got.Code != code || got.Field != field || got.Error() != want.Error() {
					t.Errorf("got %q %q %q, want %q %q %q", got.Code, got.Field, got, code, field, want)
				}
			}
		}
	}, func(o *Options) { o.Store = &failing{Store: o.Store} })
}

func TestClient_ReturnsTypedErrorsOfTheStore(t *testing.T) {
	until := store.Timestamp{Time: time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)}
	blocked := &store.BlockedError{TenantID: "acme", Block: store.Block{Reason: store.BlockHold, By: "acme-eu", Until: until}}
	gate := &store.GateError{Gate: store.Gate{Reason: store.GateHalted, Detail: "limits.perDay: 51 of 50"}}
	both(t, func(t *testing.T, r *rig) {
		st := r.options.Store.(*failing)

		st.err = blocked
		_, err := r.Tenant(t.Context(), "acme", false)
		var b *store.BlockedError
		if !errors.As(err, &b) || !reflect.DeepEqual(b, blocked) || err.Error() != blocked.Error() {
			t.Errorf("got %#v, want %#v", err, blocked)
		}
		wantCode(t, err, store.Precondition)

		st.err = gate
		_, err = r.Tenant(t.Context(), "acme", false)
		var g *store.GateError
		if !errors.As(err, &g) || !reflect.DeepEqual(g, gate) || err.Error() != gate.Error() {
			t.Errorf("got %#v, want %#v", err, gate)
		}
		wantCode(t, err, store.Unavailable)

		st.err = store.Errorf(store.Conflict, "while deleting: %w", blocked).At("version")
		_, err = r.Tenant(t.Context(), "acme", false)
		if !errors.As(err, &b) || err.Error() != st.err.Error() {
			t.Errorf("a wrapped one: got %v, want %v around a *store.BlockedError", err, st.err)
		}
		wantCode(t, err, store.Conflict)
		var e *store.Error
		if !errors.As(err, &e) || e.Field != "version" {
			t.Errorf("a wrapped one: the field is lost: %#v", err)
		}

		st.err = errors.Join(store.Errorf(store.NotFound, "first"), store.Errorf(store.Gone, "second"))
		_, err = r.Tenant(t.Context(), "acme", false)
		if err == nil || err.Error() != "first\nsecond" {
			t.Errorf("joined errors: got %v", err)
		}
		wantCode(t, err, store.NotFound)
	}, func(o *Options) { o.Store = &failing{Store: o.Store} })
}

func TestErrors_AContextThatEndedIsNoDefect(t *testing.T) {
	for _, err := range []error{context.Canceled, fmt.Errorf("wait: %w", context.DeadlineExceeded)} {
		if p, status := problemOf(err); p.Code != store.Unavailable || status != 503 {
			t.Errorf("%v: %s %d", err, p.Code, status)
		}
	}
	// Wrapped by the store, its code counts.
	if p, _ := problemOf(store.Errorf(store.Internal, "broken: %w", context.Canceled)); p.Code != store.Internal {
		t.Errorf("the code of the store was overruled: %s", p.Code)
	}
}

func TestClient_UnderstandsAnswersThatAreNotOurs(t *testing.T) {
	answer := func(status int, contentType, body string) error {
		c := client.Over(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Status: strconv.Itoa(status) + " Odd",
				Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}, nil
		}))
		_, err := c.Tenant(t.Context(), "acme", false)
		return err
	}
	wantCode(t, answer(502, "text/html", "<html>bad gateway</html>"), store.Unavailable)
	wantCode(t, answer(404, client.ContentJSON, `{"errors":[]}`), store.NotFound)
	wantCode(t, answer(409, client.ContentJSON, `{"errors":[{"detail":"no code"}]}`), store.Conflict)
	wantCode(t, answer(302, "text/html", ""), store.Internal)
	wantCode(t, answer(200, "text/html", "<html>hello</html>"), store.Unavailable) // and not an empty tenant
	wantCode(t, answer(200, client.ContentJSON, ``), store.Unavailable)
	wantCode(t, answer(200, client.ContentJSON, `{"id":"acme"`), store.Unavailable)
}

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
