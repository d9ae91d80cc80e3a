package oauthtarget_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// A gateway answers for a DELETE that the server has carried out. Its 401 after that
// means gone, and not that the token is bad for ever.
func TestPurge_G5_ADeleteThatAGatewayAnsweredAfterTheEffectIsGone(t *testing.T) {
	for _, status := range []int{303, 408, 503} {
		f := newFake(t, 1)
		target := f.target(t, filepath.Join(t.TempDir(), "journal"))
		once := true
		f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodDelete || !once {
				return false
			}
			once = false
			f.mu.Lock()
			clear(f.tokens)
			f.mu.Unlock()
			w.WriteHeader(status)
			return true
		}
		did, err := target.Purge(t.Context(), clients(1))
		if did.Deleted != 0 || store.CodeOf(err) != store.Internal {
			t.Errorf("%d: Purge = %+v, %v; want a lost answer, so that the counts are a lower bound", status, did, err)
		}
		if did, err := target.Purge(t.Context(), clients(1)); err != nil || did != (purge.Removed{Gone: 1}) {
			t.Errorf("%d: Purge again = %+v, %v; want it to be gone", status, did, err)
		}
		count(t, target, "acme", 0)
	}
}

// Who asks too often is answered before anything is done: the token has to prove good
// again, and the count is exact.
func TestPurge_G5_A429SaysThatNothingWasDone(t *testing.T) {
	f := newFake(t, 1)
	target := f.target(t, filepath.Join(t.TempDir(), "journal"))
	f.intercept = on(http.MethodDelete, 429, asJSON, `{}`)
	if did, err := target.Purge(t.Context(), clients(1)); did.Deleted != 0 || store.CodeOf(err) != store.Exhausted {
		t.Errorf("Purge = %+v, %v", did, err)
	}
	f.intercept = nil
	if did, err := target.Purge(t.Context(), clients(1)); err != nil || did != (purge.Removed{Deleted: 1}) {
		t.Errorf("Purge again = %+v, %v", did, err)
	}
}

// The id of a client, and the registration URI with it, are in no error.
func TestErrors_ShowNoIDOfAClient(t *testing.T) {
	for _, status := range []int{401, 403, 404, 409, 429, 500, 503} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			f := newFake(t, 0)
			f.register("alice@example.com")
			f.intercept = on(method, status, asJSON, refused)
			_, err := f.target(t, filepath.Join(t.TempDir(), "journal")).Purge(t.Context(), clients(1))
			if err == nil || strings.Contains(err.Error(), "alice") || !strings.Contains(err.Error(), "#ff8d9819") {
				t.Errorf("%s %d: %v; want the hash in place of the id", method, status, err)
			}
		}
	}
}
