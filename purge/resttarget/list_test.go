package resttarget_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// TestPurge_G4_LeavesWhatBelongsToAnother has an API whose filter is as careless
// as filters are: it knows no case and takes a prefix.
func TestPurge_G4_LeavesWhatBelongsToAnother(t *testing.T) {
	const page = `[{"id":"1","org":"ACME"},{"id":"2","org":"acme"},{"id":"3","org":"acme-1"},{"id":4,"org":["acme"]},{"id":"5","org":"acm\u0435"},{"id":"6","org":["other","ACME"]}]`
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		if r.Method == http.MethodDelete {
			return 204, nil, ""
		}
		return 200, nil, page
	}}
	target, logs := scriptedTarget(t, resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?org={tenant}"}, ID: "id", Owner: "org"}, Delete: deleteUser()}, s)
	if n, err := target.Count(context.Background(), "acme", store.KindUser); err != nil || n != 2 {
		t.Errorf("Count = %d, %v; want 2", n, err)
	}
	did, err := target.Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
	if err != nil || did.Deleted != 2 {
		t.Errorf("Purge = %+v, %v", did, err)
	}
	slices.Sort(s.asked)
	want := []string{"DELETE /base/users/2", "DELETE /base/users/4", "GET /base/users?org=acme", "GET /base/users?org=acme"}
	if !slices.Equal(s.asked, want) {
		t.Errorf("asked %q, want %q", s.asked, want)
	}
	if logs.FilterMessageSnippet("other tenants").Len() != 2 {
		t.Errorf("logged %v; want a warning for each", logs.All())
	}
}

func TestPurge_G4_WhatIsSharedIsLeftToAPerson(t *testing.T) {
	s := &scripted{answer: func(*http.Request, string) (int, http.Header, string) {
		return 200, nil, `[{"id":"1","org":["acme","globex"]}]`
	}}
	target, _ := scriptedTarget(t, resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?org={tenant}"}, ID: "id", Owner: "org"}, Delete: deleteUser()}, s)
	did, err := target.Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
	if store.CodeOf(err) != store.Precondition || did.Deleted != 0 || len(s.asked) != 1 {
		t.Errorf("%+v, %v after %q; want a precondition and no delete", did, err, s.asked)
	}
}

// TestRequests_G4_EscapeWhatTheyAreFilledWith puts hostile ids into every place.
func TestRequests_G4_EscapeWhatTheyAreFilledWith(t *testing.T) {
	const evil = `a"b\c/../d?e=f&g#h%2F i'`
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		if r.Method == http.MethodGet {
			return 200, nil, body(t, []string{evil})
		}
		return 200, nil, "{}"
	}}
	k := resttarget.Kind{
		List: &resttarget.List{Call: resttarget.Call{URL: `/orgs/{tenant}/users?q=org:"{tenant|quoted}"&x={tenant}`}},
		Delete: &resttarget.Delete{Call: resttarget.Call{Method: "POST", URL: "/users/{id}/delete?in={tenant}",
			Body: `{"tenant": "{tenant}", "filter": "id eq \"{id|quoted}\"", "n": {"a": 1}}`}},
	}
	target, _ := scriptedTarget(t, k, s)
	if did, err := target.Purge(context.Background(), purge.Request{TenantID: evil, Kind: store.KindUser, Limit: 1}); err != nil || did.Deleted != 1 {
		t.Fatalf("%+v, %v", did, err)
	}
	const escaped = "a%22b%5Cc%2F..%2Fd%3Fe%3Df%26g%23h%252F%20i%27"
	want := []string{
		`GET /base/orgs/` + escaped + `/users?q=org:"a%5C%22b%5C%5Cc%2F..%2Fd%3Fe%3Df%26g%23h%252F%20i%27"&x=` + escaped,
		`POST /base/users/` + escaped + `/delete?in=` + escaped + ` {"tenant": "a\"b\\c/../d?e=f\u0026g#h%2F i'", "filter": "id eq \"a\\\"b\\\\c/../d?e=f\u0026g#h%2F i'\"", "n": {"a": 1}}`,
	}
	if !slices.Equal(s.asked, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(s.asked, "\n"), strings.Join(want, "\n"))
	}

	// What cannot be told is refused, and nobody is called.
	s.asked = nil
	for _, id := range []string{"", ".", "..", "a\x00", "a\xff"} {
		did, err := target.Purge(context.Background(), purge.Request{TenantID: id, Kind: store.KindUser, Limit: 1})
		if store.CodeOf(err) != store.Invalid || did.Deleted != 0 || len(s.asked) > 0 {
			t.Errorf("tenant %q: %+v, %v after %q; want it refused", id, did, err, s.asked)
		}
	}
	byHeader := &resttarget.List{Call: resttarget.Call{URL: "/users", Headers: map[string]string{"X-Org": "{tenant}"}}, ID: "id", Owner: "org"}
	target, _ = scriptedTarget(t, resttarget.Kind{List: byHeader, Delete: deleteUser()}, s)
	for _, id := range []string{" acme", "acme ", "a\r\nb: c", "a,b", "é", "a\tb"} {
		if n, err := target.Count(context.Background(), id, store.KindUser); store.CodeOf(err) != store.Invalid || len(s.asked) > 0 {
			t.Errorf("tenant %q in a header: %d, %v; want it refused", id, n, err)
		}
	}
}

// TestPurge_LooksBeyondWhatALateListStillHas has a list that shows for ever what
// was deleted long ago, at its beginning.
func TestPurge_LooksBeyondWhatALateListStillHas(t *testing.T) {
	gone := map[string]bool{}
	var mu sync.Mutex
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodDelete {
			id := r.URL.Path
			if strings.Contains(id, "ghost") || gone[id] {
				return 404, nil, `{}`
			}
			gone[id] = true
			return 204, nil, ""
		}
		items := []string{}
		for i := range 6 {
			items = append(items, fmt.Sprint("ghost", i))
		}
		for i := range 3 {
			if id := fmt.Sprint("user", i); !gone["/base/users/"+id] {
				items = append(items, id)
			}
		}
		var at int
		_, _ = fmt.Sscan(r.URL.Query().Get("at"), &at)
		return 200, nil, body(t, items[min(at, len(items)):min(at+2, len(items))])
	}}
	k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}, Paging: resttarget.Paging{Type: "offset", Param: "at", Size: 2}}, Delete: deleteUser()}
	target, _ := scriptedTarget(t, k, s)
	if got := drain(t, target, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 2}); got != 3 {
		t.Errorf("removed %d, want 3", got)
	}
}

// TestPurge_SkipsNothingWhenOthersDeleteBetweenItsPages has somebody else delete
// from the first page while the second one is read, so that two move up unseen.
func TestPurge_SkipsNothingWhenOthersDeleteBetweenItsPages(t *testing.T) {
	var mu sync.Mutex
	left := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	others := false
	remove := func(id string) bool {
		i := slices.Index(left, id)
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
		}
		return i >= 0
	}
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodDelete {
			if remove(strings.TrimPrefix(r.URL.Path, "/base/users/")) {
				return 204, nil, ""
			}
			return 404, nil, `{}`
		}
		var at int
		_, _ = fmt.Sscan(r.URL.Query().Get("at"), &at)
		if at == 5 && !others {
			others = true
			remove("0")
			remove("1")
		}
		at = min(at, len(left))
		return 200, nil, body(t, left[at:min(at+5, len(left))])
	}}
	k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}, Paging: resttarget.Paging{Type: "offset", Param: "at", Size: 5}}, Delete: deleteUser()}
	target, _ := scriptedTarget(t, k, s)
	if got := drain(t, target, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100}); got != 8 || len(left) > 0 {
		t.Errorf("removed %d, want 8; %q are left", got, left)
	}
}

func TestDelete_RepeatsUntilItIsGone(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		deleted  int64
		code     store.Code
	}{
		{[]int{204, 204}, 1, ""}, // deactivated, then deleted
		{[]int{204, 404}, 1, ""}, // it was deactivated before: the first one deleted it
		{[]int{404}, 0, ""},
		{[]int{410}, 0, ""},
		{[]int{204, 500}, 0, store.Internal},
		{[]int{204, 429}, 0, store.Exhausted},
	} {
		i := 0
		s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
			if r.Method == http.MethodGet {
				return 200, nil, `["u"]`
			}
			i++
			return c.statuses[i-1], nil, ""
		}}
		k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}}, Delete: deleteUser()}
		k.Delete.Repeat = 2
		target, _ := scriptedTarget(t, k, s)
		did, err := target.Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 2})
		if did.Deleted != c.deleted || store.CodeOf(err) != c.code || i != len(c.statuses) {
			t.Errorf("%v: %+v, %v after %d calls; want %d, code %q", c.statuses, did, err, i, c.deleted, c.code)
		}
	}
}

func TestDelete_ExpectsWhatIsConfigured(t *testing.T) {
	for _, c := range []struct {
		contentType, answer, expect, accept string
		ok                                  bool
	}{
		{"application/json", `{"deleted":true}`, "deleted", "", true},
		{"application/json", `{"deleted":false}`, "deleted", "", false},
		{"application/json", `{"error":"x"}`, "deleted", "", false},
		{"application/json", ``, "deleted", "", false},
		{"text/plain; charset=utf-8", `OK`, "", "text/plain", true},
		{"text/html", `OK`, "", "text/plain", false},
		{"text/plain", `OK`, "", "", false},
	} {
		s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
			if r.Method == http.MethodGet {
				return 200, nil, `["u"]`
			}
			return 200, http.Header{"Content-Type": {c.contentType}}, c.answer
		}}
		k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}}, Delete: deleteUser()}
		k.Delete.Expect, k.Delete.Accept = c.expect, c.accept
		target, _ := scriptedTarget(t, k, s)
		did, err := target.Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 2})
		if (err == nil) != c.ok || (did.Deleted == 1) != c.ok || err != nil && store.CodeOf(err) != store.Internal {
			t.Errorf("%+v: %+v, %v", c, did, err)
		}
	}
}

func TestList_MissingTenantAndEmptyEnvelope(t *testing.T) {
	for _, c := range []struct {
		list   resttarget.List
		status int
		answer string
		kind   string
		ok     bool
	}{
		{resttarget.List{NotFoundIsEmpty: true}, 404, `{"error":"no such org"}`, "application/json", true},
		{resttarget.List{NotFoundIsEmpty: true}, 404, `<html>`, "text/html", false},
		{resttarget.List{NotFoundIsEmpty: true}, 404, ``, "application/json", false},
		{resttarget.List{}, 404, `{"error":"no such org"}`, "application/json", false},
		{resttarget.List{Items: "result", Envelope: "details"}, 200, `{"details":{}}`, "application/json", true},
		{resttarget.List{Items: "result", Envelope: "details"}, 200, `{}`, "application/json", false},
		{resttarget.List{Items: "result", Envelope: "details"}, 200, `{"details":{},"result":"x"}`, "application/json", false},
		{resttarget.List{Items: "result"}, 200, `{"details":{}}`, "application/json", false},
	} {
		s := &scripted{answer: func(*http.Request, string) (int, http.Header, string) {
			return c.status, http.Header{"Content-Type": {c.kind}}, c.answer
		}}
		c.list.URL = "/orgs/{tenant}/users"
		target, _ := scriptedTarget(t, resttarget.Kind{List: &c.list, Delete: deleteUser()}, s)
		n, err := target.Count(context.Background(), "acme", store.KindUser)
		if (err == nil) != c.ok || n != 0 {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
}

func TestCount_ByEndpointTakesOnlyNumbers(t *testing.T) {
	for _, c := range []struct {
		count  resttarget.Count
		answer string
		header string
		want   int64 // -1 for an error
	}{
		{resttarget.Count{}, `42`, "", 42},
		{resttarget.Count{Value: "total"}, `{"total":"7"}`, "", 7},
		{resttarget.Count{Value: "total"}, `{"total":-1}`, "", -1},
		{resttarget.Count{Value: "total"}, `{"total":1.5}`, "", -1},
		{resttarget.Count{Value: "total"}, `{"total":null}`, "", -1},
		{resttarget.Count{Value: "total"}, `{"total":false}`, "", -1},
		{resttarget.Count{Value: "total"}, `{}`, "", -1},
		{resttarget.Count{}, `[]`, "", -1},
		{resttarget.Count{FromHeader: "X-Total-Count"}, `[]`, "3", 3},
		{resttarget.Count{FromHeader: "X-Total-Count"}, `[]`, "", -1},
		{resttarget.Count{FromHeader: "X-Total-Count"}, `[]`, "many", -1},
	} {
		s := &scripted{answer: func(*http.Request, string) (int, http.Header, string) {
			return 200, http.Header{"X-Total-Count": {c.header}}, c.answer
		}}
		c.count.URL = "/users/count?org={tenant}"
		target, _ := scriptedTarget(t, resttarget.Kind{Count: &c.count, Purge: &resttarget.Purge{Call: resttarget.Call{URL: "/users?org={tenant}"}}}, s)
		n, err := target.Count(context.Background(), "acme", store.KindUser)
		if (err == nil) != (c.want >= 0) || err == nil && n != c.want {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
}

// TestList_LinksAreRelativeToTheirPage has an API below a path of its host.
func TestList_LinksAreRelativeToTheirPage(t *testing.T) {
	for _, link := range []string{"?at=2", "/base/users?at=2", "https://api.example.com/base/users?at=2", "//api.example.com/base/users?at=2", "users?at=2"} {
		s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
			if r.URL.RawQuery == "at=2" {
				return 200, nil, `["c"]`
			}
			return 200, http.Header{"Link": {"<" + link + ">; rel=next"}}, `["a","b"]`
		}}
		target, _ := scriptedTarget(t, resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}, Paging: resttarget.Paging{Type: "link"}}, Delete: deleteUser()}, s)
		n, err := target.Count(context.Background(), "acme", store.KindUser)
		if want := []string{"GET /base/users?t=acme", "GET /base/users?at=2"}; err != nil || n != 3 || !slices.Equal(s.asked, want) {
			t.Errorf("link %q: %d, %v after %q", link, n, err, s.asked)
		}
	}
}

// TestList_MaxIsNotExceeded has an API that refuses what is beyond the first
// 1,000, as search engines do.
func TestList_MaxIsNotExceeded(t *testing.T) {
	for _, most := range []int{100, 1000} {
		purgeWithMax(t, most)
	}
}

func purgeWithMax(t *testing.T, most int) {
	t.Helper()
	left := 2500
	var mu sync.Mutex
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodDelete {
			left--
			return 204, nil, ""
		}
		if r.URL.Path == "/base/count" {
			return 200, nil, fmt.Sprint(left)
		}
		var page int
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		if page >= most/100 {
			return 400, nil, `{}`
		}
		ids := []string{}
		for i := page * 100; i < min(left, page*100+100); i++ {
			ids = append(ids, fmt.Sprint("u", left, "-", i))
		}
		return 200, nil, body(t, ids)
	}}
	k := resttarget.Kind{
		List:   &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}, Paging: resttarget.Paging{Type: "page", Param: "page", Size: 100, Max: most}},
		Count:  &resttarget.Count{Call: resttarget.Call{URL: "/count?t={tenant}"}},
		Delete: deleteUser(),
	}
	target, _ := scriptedTarget(t, k, s)
	if got := drain(t, target, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 5000}); got != 2500 || left != 0 {
		t.Errorf("max %d: removed %d, %d are left", most, got, left)
	}
}

// TestPurge_SlowStepsAreShortOnes has deletes that take so long that a step
// cannot make all that it may.
func TestPurge_SlowStepsAreShortOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		left := 100
		s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
			if r.Method == http.MethodDelete {
				time.Sleep(3 * time.Second)
				mu.Lock()
				defer mu.Unlock()
				left--
				return 204, nil, ""
			}
			mu.Lock()
			defer mu.Unlock()
			ids := []string{}
			for i := range left {
				ids = append(ids, fmt.Sprint("u", left, "-", i))
			}
			return 200, nil, body(t, ids)
		}}
		k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}}, Delete: deleteUser()}
		target, err := resttarget.New(resttarget.Config{Name: "api", BaseURL: "https://h", Parallel: 2, Kinds: map[store.Kind]resttarget.Kind{store.KindUser: k}},
			resttarget.Options{HTTP: httpcall.Options{Transport: s}})
		if err != nil {
			t.Fatal(err)
		}
		for steps := 0; left > 0; steps++ {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			before := left
			did, err := target.Purge(ctx, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1000})
			cancel()
			if err != nil || did.Deleted != int64(before-left) || did.Deleted < 10 && left > 0 || did.More != (left > 0) {
				t.Fatalf("step %d: %+v, %v, %d left of %d", steps, did, err, left, before)
			}
		}
	})
}
