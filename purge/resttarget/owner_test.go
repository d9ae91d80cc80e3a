package resttarget_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// everybodys is a list that cannot be filtered, as that of Ory Kratos.
func everybodys(owner string, p resttarget.Paging) resttarget.Kind {
	return resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/identities"}, ID: "id", Owner: owner, Paging: p}, Delete: deleteUser()}
}

const identities = `[{"id":"1","metadata_admin":{"tenant_id":"acme"},"traits":{"email":"alice@example.com"}},{"id":"2","metadata_admin":{"tenant_id":"globex"},"schema_id":"x"}]`

func TestCount_G6_AnOwnerThatNobodyHasIsAnError(t *testing.T) {
	s := &scripted{answer: func(*http.Request, string) (int, http.Header, string) { return 200, nil, identities }}
	k := everybodys("metadata_admin.tenantId", resttarget.Paging{Type: "link"})
	target, _ := scriptedTarget(t, k, s)
	_, counted := target.Count(t.Context(), "acme", store.KindUser)
	_, purged := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
	for what, err := range map[string]error{"Count": counted, "Purge": purged, "Check": target.Check(t.Context())} {
		if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), `owner at "metadata_admin.tenantId"`) || !strings.Contains(err.Error(), `"id", "metadata_admin", "schema_id"`) {
			t.Errorf("%s: %v; want an error with the path, and the names in an item", what, err)
		} else if strings.Contains(err.Error(), "globex") || strings.Contains(err.Error(), "example.com") {
			t.Errorf("%s: %v; it shows a value", what, err)
		}
	}
	if found, _ := target.Diagnose(t.Context()); len(found) == 0 || found[0].Severity != purge.SeverityError {
		t.Errorf("doctor: %+v", found)
	}
	k.List.OwnerConfirmed = true
	target, _ = scriptedTarget(t, k, s)
	if n, err := target.Count(t.Context(), "acme", store.KindUser); err != nil || n != 0 {
		t.Errorf("confirmed: Count = %d, %v", n, err)
	}
}

// When the last tenant is purged, those that are nobody's remain. Once an owner was
// seen the path is known to be right.
func TestCount_WhatIsNobodysRemainsWhenTheLastTenantIsGone(t *testing.T) {
	list := `[{"id":"staff"},{"id":"1","org":"acme"}]`
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		if r.Method == http.MethodDelete {
			list = `[{"id":"staff"}]`
			return 204, nil, ""
		}
		return 200, nil, list
	}}
	target, _ := scriptedTarget(t, everybodys("org", resttarget.Paging{}), s)
	if did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10}); err != nil || did.Deleted != 1 {
		t.Fatalf("%+v, %v", did, err)
	}
	if n, err := target.Count(t.Context(), "acme", store.KindUser); err != nil || n != 0 {
		t.Errorf("Count = %d, %v", n, err)
	}
}

// A first page of people who are nobody's is no error, but worth a look.
func TestDiagnose_DoubtsAFirstPageWithoutOwners(t *testing.T) {
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		if r.URL.Query().Get("page") == "" {
			return 200, http.Header{"Link": {`</base/identities?page=2>; rel="next"`}}, `[{"id":"staff"}]`
		}
		return 200, nil, `[{"id":"1","org":"acme"}]`
	}}
	target, _ := scriptedTarget(t, everybodys("org", resttarget.Paging{Type: "link"}), s)
	found, err := target.Diagnose(t.Context())
	if err != nil || len(found) != 2 || found[0].Severity != purge.SeverityWarning || !strings.Contains(found[0].Text, `owner at "org"`) {
		t.Errorf("%+v, %v", found, err)
	}
	if n, err := target.Count(t.Context(), "acme", store.KindUser); err != nil || n != 1 {
		t.Errorf("Count = %d, %v", n, err)
	}
}

func TestCount_G6_AnAnswerThatSaysThatThereIsMoreIsNotTheWhole(t *testing.T) {
	for name, c := range map[string]struct {
		link, body, want string
	}{
		"a Link header":   {`<https://api.example.com/base/identities?page=2>; rel="next"`, `{"data":[]}`, "{type: link}"},
		"a boolean":       {"", `{"data":[],"has_more":true}`, "more: has_more"},
		"a cursor":        {"", `{"data":[],"nextPageToken":"x"}`, "{type: cursor, next: nextPageToken}"},
		"a link, HAL":     {"", `{"data":[],"_links":{"next":{"href":"/2"}}}`, "{type: link, next: _links.next.href}"},
		"a link of OData": {"", `{"data":[],"@odata.nextLink":"/2"}`, "next: @odata"},
		"a first page":    {`</1>; rel="first"`, `{"data":[],"has_more":false,"nextPageToken":"","_links":{"next":null}}`, ""},
	} {
		s := &scripted{answer: func(*http.Request, string) (int, http.Header, string) {
			return 200, http.Header{"Link": {c.link}}, c.body
		}}
		k := everybodys("org", resttarget.Paging{})
		k.List.Items = "data"
		target, _ := scriptedTarget(t, k, s)
		n, err := target.Count(t.Context(), "acme", store.KindUser)
		if c.want == "" && (err != nil || n != 0) || c.want != "" && (store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: Count = %d, %v; want %q", name, n, err, c.want)
		}
	}
}
