package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

func directoryCases() []testCase {
	return []testCase{
		{"KeepsDataAsItIs", directoryData},
		{"ReplacesTheSameTenantKindAndID", func(e *env) {
			d := e.directory()
			e.create("acme", "")
			a := store.Resource{TenantID: "acme", Kind: store.KindUser, ID: "u", Data: json.RawMessage(`{"v":1}`)}
			e.put(a, store.Resource{TenantID: "acme", Kind: store.KindAPIKey, ID: "u"})
			a.Data = json.RawMessage(`{"v":2}`)
			e.put(a)
			e.wantHeld("acme", store.Counts{Users: 1, APIKeys: 1})
			got, err := d.List(e.ctx(), "acme", store.KindUser, "", 10)
			if err != nil || len(got) != 1 || string(got[0].Data) != `{"v":2}` {
				e.t.Errorf("List: %+v, %v; want the second one", got, err)
			}
			e.put() // nothing at all
		}},
		{"PutsAllOrNone", directoryAllOrNone},
		{"TakesResourcesOfActiveAndDisabledTenants", func(e *env) {
			e.createAll("active", "top", "below<top")
			e.deactivate("top", t0, 10)
			for _, id := range []string{"active", "top", "below"} {
				e.put(resource(id, store.KindUser, "u"))
			}
		}},
		{"RefusesResourcesOfAPurgingTenant_G6", func(e *env) {
			d := e.directory()
			e.createAll("top", "child<top")
			counts := e.fill("child", 2)
			e.deactivate("top", t0, 10)
			tok := e.claim("top", due10).Token
			refused := func(state string) {
				for _, id := range []string{"top", "child"} {
					err := d.Put(e.ctx(), []store.Resource{resource(id, store.KindUser, "late")})
					e.wantCode(err, store.Precondition, fmt.Sprintf("Put to %q, %s", id, state))
				}
			}
			refused("claimed")
			e.eraseAll(tok, due10)
			refused("erased")
			e.postpone(tok, due10, time.Time{})
			refused("failed")
			e.update("top", due10, store.Retry())
			r := e.finish(e.resume("top", due10).Token, due10)
			counts.SubTenants = 1
			e.equal(counts, r.Deleted, "deleted")
		}},
		{"RemovesOne", func(e *env) {
			d := e.directory()
			e.create("acme", "")
			e.put(resource("acme", store.KindUser, "a"), resource("acme", store.KindUser, "a.b"), resource("acme", store.KindAPIKey, "a"))
			for range 2 { // removing what is not there succeeds
				if err := d.Remove(e.ctx(), "acme", store.KindUser, "a"); err != nil {
					e.t.Fatalf("Remove: %v", err)
				}
				e.wantHeld("acme", store.Counts{Users: 1, APIKeys: 1})
			}
			if err := d.Remove(e.ctx(), "acme", store.KindCredential, "never"); err != nil {
				e.t.Errorf("Remove of what was never there: %v", err)
			}
			e.reopen()
			e.wantHeld("acme", store.Counts{Users: 1, APIKeys: 1})
		}},
		{"ListsInTheOrderOfIDs", directoryLists},
		{"CountsTheTenantAlone", func(e *env) {
			d := e.directory()
			e.createAll("root", "a<root", "b<root")
			want := e.fill("root", 2)
			e.fill("a", 3)
			want.SubTenants = 2
			got, err := d.Count(e.ctx(), "root")
			if err != nil {
				e.t.Fatal(err)
			}
			e.equal(want, got, "counters of the root")
			e.deactivate("a", t0, 10)
			e.purge("a", due10)
			want.SubTenants = 1
			if got, err = d.Count(e.ctx(), "root"); err != nil {
				e.t.Fatal(err)
			}
			e.equal(want, got, "counters of the root, one child purged")
		}},
	}
}

func directoryData(e *env) {
	d := e.directory()
	e.create("acme", "")
	for i, c := range []struct{ put, want string }{
		{``, `{}`},
		{`{}`, `{}`},
		{" {\n \"b\" : [ 1, 2 ] ,\t\"a\":\"x  y\" } ", `{"b":[1,2],"a":"x  y"}`},
		{`{"n":12345678901234567890.00100e+5,"z":null,"t":true}`, `{"n":12345678901234567890.00100e+5,"z":null,"t":true}`},
		{`{"html":"<a href=\"x\">&","u":"\u00e4\u2028ä","nested":{"a":{"b":[]}}}`, `{"html":"<a href=\"x\">&","u":"\u00e4\u2028ä","nested":{"a":{"b":[]}}}`},
		{`{"a":1,"a":2}`, `{"a":1,"a":2}`},
		{`{"long":"` + strings.Repeat("x", store.MaxDataSize-12) + `"}`, ``},
	} {
		id := fmt.Sprintf("u%d", i)
		if c.want == "" {
			c.want = c.put
		}
		e.put(store.Resource{TenantID: "acme", Kind: store.KindUser, ID: id, Data: json.RawMessage(c.put)})
		got, err := d.List(e.ctx(), "acme", store.KindUser, "", 100)
		if err != nil || len(got) != i+1 {
			e.t.Fatalf("List: %d resources, %v; want %d", len(got), err, i+1)
		}
		if string(got[i].Data) != c.want || got[i].ID != id || got[i].TenantID != "acme" || got[i].Kind != store.KindUser {
			e.t.Errorf("data %.100q is kept as %.100q; want %.100q", c.put, got[i].Data, c.want)
		}
	}
}

func directoryAllOrNone(e *env) {
	d := e.directory()
	e.createAll("acme", "other")
	e.disabled("purged", "")
	e.purge("purged", due10)
	e.disabled("purging", "")
	e.claim("purging", due10)
	good := resource("acme", store.KindUser, "good")
	broken := func(data string) store.Resource {
		return store.Resource{TenantID: "acme", Kind: store.KindUser, ID: "bad", Data: json.RawMessage(data)}
	}
	e.changesNothing("a refused Put", func() {
		for _, c := range []struct {
			what string
			code store.Code
			bad  store.Resource
		}{
			{"an unknown tenant", store.NotFound, resource("nobody", store.KindUser, "u")},
			{"a purged tenant", store.Gone, resource("purged", store.KindUser, "u")},
			{"a purging tenant", store.Precondition, resource("purging", store.KindUser, "u")},
			{"no kind", store.Invalid, resource("acme", "", "u")},
			{"an unknown kind", store.Invalid, resource("acme", "users", "u")},
			{"no id", store.Invalid, resource("acme", store.KindUser, "")},
			{"an id outside the alphabet", store.Invalid, resource("acme", store.KindUser, "a/b")},
			{"a tenant id outside the alphabet", store.Invalid, resource("../acme", store.KindUser, "u")},
			{"too much data", store.Invalid, broken(`{"a":"` + strings.Repeat("x", store.MaxDataSize) + `"}`)},
			{"broken data", store.Invalid, broken(`{"a":`)},
			{"data that is not UTF-8", store.Invalid, broken("{\"a\":\"\xff\"}")},
			{"trailing data", store.Invalid, broken(`{}{}`)},
			{"data that is no object", store.Invalid, broken(`["a"]`)},
			{"data that is null", store.Invalid, broken(`null`)},
		} {
			for _, rs := range [][]store.Resource{{c.bad}, {good, c.bad}, {c.bad, good}, {good, c.bad, resource("other", store.KindUser, "u")}} {
				e.wantCode(d.Put(e.ctx(), rs), c.code, "Put of "+c.what)
			}
		}
	})
	e.put(good)
}

func directoryLists(e *env) {
	d := e.directory()
	e.createAll("acme", "acme.b")
	want := []string{"0", "A", "a", "a-", "a.b", "a:c", "aa", "z"}
	for _, i := range []int{5, 2, 7, 0, 3, 1, 6, 4} {
		e.put(resource("acme", store.KindUser, want[i]), resource("acme.b", store.KindUser, "other"), resource("acme", store.KindAPIKey, "key"))
	}
	for _, limit := range []int{1, 3, 7, 8, 100} {
		var got []string
		after := ""
		for {
			page, err := d.List(e.ctx(), "acme", store.KindUser, after, limit)
			if err != nil {
				e.t.Fatalf("List: %v", err)
			}
			if len(page) > limit {
				e.t.Fatalf("a page of %d; want at most %d", len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				got = append(got, r.ID)
			}
			after = got[len(got)-1]
		}
		e.equal(want, got, fmt.Sprintf("in pages of %d", limit))
	}
	page, err := d.List(e.ctx(), "acme", store.KindUser, "a0", 2) // an id that is not there
	if err != nil || len(page) != 2 || page[0].ID != "a:c" {
		e.t.Errorf("after a0: %+v, %v; want a:c first", page, err)
	}
	page, err = d.List(e.ctx(), "acme", store.KindCredential, "", 10)
	if err != nil || len(page) != 0 {
		e.t.Errorf("a kind without resources: %+v, %v", page, err)
	}
}
