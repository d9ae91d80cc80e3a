package oauthtarget_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

// set changes what the server does.
func (f *fake) set(intercept func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.intercept = intercept
}

// cutGET loses the answer to every GET that the server has carried out, another token
// in it.
func (f *fake) cutGET(_ http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet {
		f.serve(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	return false
}

// renew gives client 1 another token at the server, and lists it with that.
func (f *fake) renew(there bool) {
	f.mu.Lock()
	if there {
		f.tokens["1"] = "renewed"
	}
	f.mu.Unlock()
	f.forget()
	f.put("acme", oauthtarget.Client{ID: "1", URI: f.url + "/reg?client_id=1", Token: "renewed"})
}

// sentAndRotated returns a server that gives out another token with each GET, with a
// client that a DELETE was sent to, and what counts its tenant's with the journal alone.
func sentAndRotated(t *testing.T, carriedOut bool) (*fake, func() *oauthtarget.Target) {
	t.Helper()
	f := newFake(t, 1)
	f.rotates = true
	journal := filepath.Join(t.TempDir(), "journal")
	var last *oauthtarget.Target
	target := func() *oauthtarget.Target { // another process
		if last != nil {
			_ = last.Close()
		}
		last = f.target(t, journal)
		return last
	}
	count(t, target(), "acme", 1)
	f.set(f.lost(carriedOut))
	if did, err := last.Purge(t.Context(), clients(5)); store.CodeOf(err) != store.Internal {
		t.Fatalf("Purge = %+v, %v", did, err)
	}
	f.set(nil)
	return f, target
}

// A DELETE is lost without effect, and then the answer to a GET with the token that is
// good from now on.
func TestTarget_G6_ARotationThatIsLostAfterADeleteIsNotTakenForGone(t *testing.T) {
	f, target := sentAndRotated(t, false)
	f.set(f.cutGET)
	_, _ = target().Count(t.Context(), "acme", store.KindOAuthClient)
	f.set(nil)
	if did, err := target().Purge(t.Context(), clients(5)); err != nil || did != (purge.Removed{Deleted: 1}) || f.there() != 0 {
		t.Errorf("Purge = %+v, %v, and %d is there that works", did, err, f.there())
	}
	count(t, target(), "acme", 0)
}

// As long as it is not known what a DELETE did, the client counts; the next one finds out.
func TestTarget_G5_ADeleteWithEffectIsFoundOutByTheNextOne(t *testing.T) {
	f, target := sentAndRotated(t, true)
	gets := f.called("GET")
	count(t, target(), "acme", 1)
	if n := f.called("GET"); n != gets {
		t.Errorf("%d GET were sent, each of which may cost the token", n-gets)
	}
	if did, err := target().Purge(t.Context(), clients(5)); err != nil || did != (purge.Removed{Gone: 1}) {
		t.Errorf("Purge = %+v, %v, want it to be gone", did, err)
	}
	count(t, target(), "acme", 0)
}

// A client that is not listed any more is not removed, and is asked for by GET.
func TestTarget_G6_ALostRotationOfAClientThatIsNotListedIsNotTakenForGone(t *testing.T) {
	for _, there := range []bool{true, false} {
		f, target := sentAndRotated(t, !there)
		f.forget()
		f.set(f.cutGET)
		if n, err := target().Count(t.Context(), "acme", store.KindOAuthClient); err == nil {
			t.Errorf("Count = %d without an answer", n)
		}
		f.set(nil)
		for range 2 {
			n, err := target().Count(t.Context(), "acme", store.KindOAuthClient)
			if store.CodeOf(err) != store.Precondition || purge.IsPermanent(err) || !strings.Contains(err.Error(), "listed again") || strings.Contains(err.Error(), "token-1") {
				t.Errorf("there: %t: Count = %d, %v; want an error that somebody can mend", there, n, err)
			}
		}
		f.renew(there)
		did, err := target().Purge(t.Context(), clients(5))
		if there {
			if err != nil || did != (purge.Removed{Deleted: 1}) || f.there() != 0 {
				t.Errorf("with a good token Purge = %+v, %v", did, err)
			}
			count(t, target(), "acme", 0)
			continue
		}
		if store.CodeOf(err) != store.Unauthenticated || did.Deleted+did.Gone != 0 || !strings.Contains(err.Error(), "take it off") {
			t.Errorf("of a client that is gone, with another token, Purge = %+v, %v", did, err)
		}
		f.forget() // by somebody who has looked
		count(t, target(), "acme", 0)
		count(t, target(), "acme", 0)
	}
}

// What says that there is no such client says so whatever the token is; and a GET that
// is refused cost no token.
func TestTarget_G6_AfterALostRotation404IsGoneAndARefusalIsNoDoubt(t *testing.T) {
	f, target := sentAndRotated(t, true)
	f.forget()
	f.set(on(http.MethodGet, 429, asJSON, `{}`))
	if n, err := target().Count(t.Context(), "acme", store.KindOAuthClient); store.CodeOf(err) != store.Exhausted {
		t.Errorf("Count = %d, %v", n, err)
	}
	f.set(nil)
	count(t, target(), "acme", 0)

	f, target = sentAndRotated(t, true)
	f.forget()
	f.set(f.cutGET)
	_, _ = target().Count(t.Context(), "acme", store.KindOAuthClient)
	f.set(on(http.MethodGet, 404, asJSON, `{}`))
	count(t, target(), "acme", 0)
}
