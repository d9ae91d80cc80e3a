package scimtarget_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestPurge_G4_IDsInFilterAreDataAlone(t *testing.T) {
	ids := []string{`a"b`, `a\b`, `a\"b`, `a\\"b`, `" or id pr or id eq "`, `a%22b`, `a b`, `a+b`, `a&count=0`, `a#b`, "a\u2028b", "a<b>&", "é", "e\u0301", "ａcme"}
	d := &directory{}
	target := d.serve(t, nil)
	for i, id := range ids {
		_ = d.add(id, store.KindUser, i+1)
	}
	for i, id := range ids {
		n, err := target.Count(t.Context(), id, store.KindUser)
		if err != nil || n != int64(i+1) {
			t.Errorf("Count(%q) = %d, %v, want %d", id, n, err, i+1)
		}
		did, err := target.Purge(t.Context(), purge.Request{TenantID: id, Kind: store.KindUser, Limit: 100})
		if err != nil || did.Deleted != int64(i+1) {
			t.Errorf("Purge(%q) = %+v, %v, want %d", id, did, err, i+1)
		}
	}
	for _, id := range []string{"a\x00b", "a\nb", "a\xffb"} {
		if n, err := target.Count(t.Context(), id, store.KindUser); store.CodeOf(err) != store.Invalid {
			t.Errorf("Count(%q) = %d, %v, want it refused", id, n, err)
		}
	}
}

// Whatever a server answers that is not a sound list of what was asked for, it is
// an error, and nothing is removed.
// TestPurge_G4_IDsOfResourcesAreDataAlone removes those of the directory, which are
// each hostile in its own way, and those of nobody else.
func TestPurge_G4_IDsOfResourcesAreDataAlone(t *testing.T) {
	const n = 60 // each twice at least
	for _, bulk := range []string{"", offersBulk} {
		d := &directory{bulk: bulk}
		_ = d.add("acme", store.KindUser, n)
		_ = d.add("globex", store.KindUser, n)
		did, err := d.serve(t, nil).Purge(t.Context(), users(2*n))
		left, _ := d.left("acme", store.KindUser)
		others, _ := d.left("globex", store.KindUser)
		if err != nil || did.Deleted != n || did.Gone != 0 || left != 0 || others != n {
			t.Errorf("bulk %q: Purge = %+v, %v, and %d are left, and %d of another tenant", bulk, did, err, left, others)
		}
	}
}

// TestPurge_G4_AnIDThatNamesAnotherPathIsRefused, and the others go.
func TestPurge_G4_AnIDThatNamesAnotherPathIsRefused(t *testing.T) {
	for _, bulk := range []string{"", offersBulk} {
		for _, id := range []string{".", ".."} {
			d := &directory{bulk: bulk}
			_ = d.add("acme", store.KindUser, 3)
			d.users[2].id = id
			did, err := d.serve(t, nil).Purge(t.Context(), users(3))
			if left, _ := d.left("acme", store.KindUser); store.CodeOf(err) != store.Unavailable || did.Deleted != 3-left || left == 0 {
				t.Errorf("Purge of %q = %+v, %v, and %d are left; want an error", id, did, err, left)
			}
			if d.called("DELETE /v2/Users/"+id) > 0 || d.called("DELETE /v2/Users") > d.called("DELETE /v2/Users/") {
				t.Errorf("it was called: %q", d.calls)
			}
		}
	}
}

// TestPurge_ABulkServerThatNamesOthersIsNotAskedForEver: it says each time of somebody
// else that he is gone, and goes on listing.
func TestPurge_ABulkServerThatNamesOthersIsNotAskedForEver(t *testing.T) {
	d := &directory{bulk: offersBulk}
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/Bulk" {
			return false
		}
		other := map[string]any{"method": "DELETE", "location": "/Users/somebody-else", "status": "404"}
		answer(w, 200, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"}, "Operations": []any{other, other, other}})
		return true
	}
	_ = d.add("acme", store.KindUser, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	did, err := d.serve(t, nil).Purge(ctx, users(3))
	if n := d.called("POST /v2/Bulk"); store.CodeOf(err) != store.Unavailable || ctx.Err() != nil || did.Deleted != 0 || n > 2 {
		t.Errorf("Purge = %+v, %v, after %d requests; want an error after 2", did, err, n)
	}
}
