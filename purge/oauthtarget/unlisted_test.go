package oauthtarget_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

// forget takes all clients off the registry.
func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clients = nil
}

// lost loses the answer to every DELETE.
func (f *fake) lost(carriedOut bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete {
			return false
		}
		if carriedOut {
			f.serve(httptest.NewRecorder(), r)
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
}

func TestCount_G6_AClientThatADeleteWasSentToIsAskedForUntilItIsGone(t *testing.T) {
	for _, rotates := range []bool{false, true} {
		f := newFake(t, 1)
		f.rotates = rotates
		journal := filepath.Join(t.TempDir(), "journal")
		target := f.target(t, journal)
		f.intercept = f.lost(false)
		if did, err := target.Purge(t.Context(), clients(5)); store.CodeOf(err) != store.Internal {
			t.Fatalf("Purge = %+v, %v", did, err)
		}
		f.intercept = nil
		listed := f.clients
		f.forget()
		for range 2 { // the second has the file alone
			for range 2 {
				n, err := target.Count(t.Context(), "acme", store.KindOAuthClient)
				if store.CodeOf(err) != store.Precondition || purge.IsPermanent(err) || !strings.Contains(err.Error(), "client #6b86b273") || strings.Contains(err.Error(), "token-1") {
					t.Errorf("Count = %d, %v, want that client 1 is there, by the hash of its id", n, err)
				}
			}
			// It may be anybody's by now.
			if did, err := target.Purge(t.Context(), clients(5)); err != nil || did.Deleted != 0 || f.called("DELETE") != 1 {
				t.Errorf("Purge = %+v, %v, and %d were sent", did, err, f.called("DELETE"))
			}
			count(t, target, "globex", 0)
			_ = target.Close()
			target = f.target(t, journal)
		}
		// A server that does not say is not believed.
		f.intercept = on(http.MethodGet, 503, asJSON, `{}`)
		if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); store.CodeOf(err) != store.Unavailable {
			t.Errorf("Count = %d, %v of a server that is down", n, err)
		}
		f.intercept = nil
		f.clients = listed
		count(t, target, "acme", 1)
		if did, err := target.Purge(t.Context(), clients(5)); err != nil || did.Deleted != 1 || f.there() != 0 {
			t.Errorf("listed again: Purge = %+v, %v with %d there", did, err, f.there())
		}
	}
}

func TestCount_G5_AClientThatIsTakenOffAfterItWasRemovedIsGone(t *testing.T) {
	f := newFake(t, 3)
	journal := filepath.Join(t.TempDir(), "journal")
	target := f.target(t, journal)
	f.intercept = f.lost(true)
	if did, err := target.Purge(t.Context(), clients(1)); store.CodeOf(err) != store.Internal {
		t.Fatalf("Purge = %+v, %v", did, err)
	}
	f.intercept = nil
	f.forget() // two of them while they are there, and no DELETE was sent: not the tenant's
	for range 2 {
		count(t, target, "acme", 0)
	}
	if n := f.called("GET"); n != 2 {
		t.Errorf("%d GET; want one before the DELETE, and one that says that it is gone", n)
	}
	_ = target.Close()
	// What is gone is named nowhere.
	_ = f.target(t, journal).Close()
	kept, err := os.ReadFile(journal)
	if err != nil || strings.Contains(string(kept), f.url) || strings.Contains(string(kept), "token-1") || strings.Contains(string(kept), "acme") {
		t.Errorf("%v; the journal is\n%s", err, kept)
	}
	if e := open(t, journal).Entry(oauthtarget.Key(f.url + "/reg?client_id=1")); e.State != oauthtarget.Gone {
		t.Errorf("%+v", e)
	}
}

// 401 to another token than the one that had proved good says nothing about the client.
func TestTarget_G6_ATokenThatIsNewInTheRegistryHasToProveGood(t *testing.T) {
	f := newFake(t, 1)
	target := f.target(t, filepath.Join(t.TempDir(), "journal"))
	f.intercept = f.lost(false)
	if did, err := target.Purge(t.Context(), clients(5)); store.CodeOf(err) != store.Internal {
		t.Fatalf("Purge = %+v, %v", did, err)
	}
	f.intercept = nil
	c := f.clients["acme"][0]
	renew := func(token string) {
		c.Token = token
		f.forget()
		f.put("acme", c)
	}
	renew("mistyped")
	if n, err := target.Count(t.Context(), "acme", store.KindOAuthClient); store.CodeOf(err) != store.Unauthenticated {
		t.Errorf("Count = %d, %v with a token that never was good", n, err)
	}
	if did, err := target.Purge(t.Context(), clients(5)); store.CodeOf(err) != store.Unauthenticated || did.Deleted != 0 {
		t.Errorf("Purge = %+v, %v with a token that never was good", did, err)
	}
	f.mu.Lock()
	f.tokens["1"] = "renewed"
	f.mu.Unlock()
	renew("renewed")
	count(t, target, "acme", 1)
	f.intercept = f.lost(true)
	if did, err := target.Purge(t.Context(), clients(5)); store.CodeOf(err) != store.Internal {
		t.Errorf("Purge = %+v, %v", did, err)
	}
	f.intercept = nil
	count(t, target, "acme", 0)
}

// The token that the journal has is not used for ever: an operator may correct the
// registry.
func TestRotation_ATokenThatIsChangedInTheRegistryIsNewer(t *testing.T) {
	f := newFake(t, 1)
	f.rotates = true
	target := f.target(t, filepath.Join(t.TempDir(), "journal"))
	count(t, target, "acme", 1)
	c := f.clients["acme"][0]
	c.Token = "renewed"
	f.mu.Lock()
	f.tokens["1"] = c.Token
	f.mu.Unlock()
	f.forget()
	f.put("acme", c)
	for range 3 {
		count(t, target, "acme", 1)
	}
	if did, err := target.Purge(t.Context(), clients(5)); err != nil || did.Deleted != 1 {
		t.Errorf("Purge = %+v, %v", did, err)
	}
}
