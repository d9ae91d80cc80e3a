package resttarget_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// misspelt returns kinds whose filter has a typing error, by how they remove.
func misspelt() map[string]resttarget.Kind {
	list := &resttarget.List{Call: resttarget.Call{URL: "/users?ownr={tenant}"}, Items: "data", ID: "id"}
	count := &resttarget.Count{Call: resttarget.Call{URL: "/users/count?ownr={tenant}"}, Value: "total"}
	all := &resttarget.Purge{Call: resttarget.Call{URL: "/users?ownr={tenant}"}, Deleted: "total"}
	return map[string]resttarget.Kind{
		"listed and deleted":       {List: list, Delete: deleteUser()},
		"all at once, and counted": {Count: count, Purge: all},
		"all at once, and listed":  {List: list, Purge: all},
	}
}

// everybodysAPI lists and counts everybody's unless it is told the owner as it wants to
// be, and notes what would remove.
func everybodysAPI(removals *int) *scripted {
	return &scripted{careless: true, answer: func(r *http.Request, _ string) (int, http.Header, string) {
		owner := r.URL.Query().Get("owner")
		switch {
		case r.Method == http.MethodDelete:
			*removals++
			return 200, nil, `{"total":2}`
		case owner == "" || owner == "acme":
			return 200, nil, `{"data":[{"id":"1"},{"id":"2"}],"total":2}`
		}
		return 200, nil, `{"data":[],"total":0}`
	}}
}

func TestPurge_G4_AFilterThatIsNotAppliedRemovesNothing(t *testing.T) {
	for name, k := range misspelt() {
		removals := 0
		target, _ := scriptedTarget(t, k, everybodysAPI(&removals))
		for range 2 {
			did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
			if store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), "the filter is not applied") || did.Deleted > 0 || removals > 0 {
				t.Errorf("%s: %+v, %v, %d removals; want an error and none", name, did, err, removals)
			}
		}
	}
}

func TestCheck_G4_TellsOfAFilterThatIsNotApplied(t *testing.T) {
	removals := 0
	for name, k := range misspelt() {
		target, _ := scriptedTarget(t, k, everybodysAPI(&removals))
		if err := target.Check(t.Context()); store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), "the filter is not applied") {
			t.Errorf("%s: Check: %v", name, err)
		}
		found, err := target.Diagnose(t.Context())
		if err != nil || len(found) == 0 || found[0].Severity != purge.SeverityError || !strings.Contains(found[0].Text, "the filter is not applied") {
			t.Errorf("%s: Diagnose: %+v, %v", name, found, err)
		}
	}
}

// TestPurge_TheFilterIsTriedOnce has the API not answer at first.
func TestPurge_TheFilterIsTriedOnce(t *testing.T) {
	for _, status := range []int{200, 400, 404} {
		removals, tried := 0, 0
		s := everybodysAPI(&removals)
		answer := s.answer
		s.answer = func(r *http.Request, body string) (int, http.Header, string) {
			if r.URL.Query().Get("owner") != "purger-probe" {
				return answer(r, body)
			}
			if tried++; tried == 1 {
				return 500, nil, `{}`
			}
			return status, nil, `{"data":[],"total":0}`
		}
		target, _ := scriptedTarget(t, resttarget.Kind{
			List:   &resttarget.List{Call: resttarget.Call{URL: "/users?owner={tenant}"}, Items: "data", ID: "id"},
			Delete: deleteUser(),
		}, s)
		for i := range 3 {
			did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1})
			if i == 0 && (store.CodeOf(err) != store.Unavailable || removals > 0) || i > 0 && (err != nil || did.Deleted != 1) {
				t.Errorf("status %d, step %d: %+v, %v, %d removals", status, i, did, err, removals)
			}
		}
		if tried != 2 {
			t.Errorf("status %d: the filter was tried %d times, want 2: an error, and an answer", status, tried)
		}
	}
}
