package httpcall_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/httpcall"
)

func TestNextLink_ReadsWhatRFC8288Allows(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    string
		ok      bool
	}{
		{nil, "", true},
		{[]string{``}, "", true},
		{[]string{`<https://h/?page=2>; rel="next"`}, "https://h/?page=2", true},
		{[]string{`<https://h/?page=2>;rel=next`}, "https://h/?page=2", true},
		{[]string{`<?a=1,2;3>; REL="Next"`}, "?a=1,2;3", true},
		{[]string{`</1>; rel="prev", </3> ; title="x, <y>; rel=\"next\"" ; rel = "last next"`}, "/3", true},
		{[]string{`</1>; rel=self`, `</2>; rel=next`}, "/2", true},
		{[]string{"</1>; rel=prev,  </2>; rel=next"}, "/2", true},
		{[]string{"</1>; rel=prev,\t</2>; rel=next"}, "/2", true},
		{[]string{`</admin/clients?page_token=abc>; rel="next",</admin/clients?page_token=1>; rel="first"`}, "/admin/clients?page_token=abc", true},
		{[]string{`</2>; rel="nextish", </3>; rel="x-next"; title*=UTF-8''next`}, "", true},
		{[]string{`</2>; rel=first; rel=next`}, "", true}, // the first one counts
		{[]string{`</2>; crossorigin; rel=next`}, "/2", true},
		{[]string{`</2>; rel=next, </2>; rel=next`}, "/2", true},
		{[]string{`</2>; rel=next, </3>; rel=next`}, "", false},
		{[]string{`<>; rel=next`}, "", false},
		{[]string{`/2; rel=next`}, "", false},
		{[]string{`</2; rel=next`}, "", false},
		{[]string{`</2>; rel="next`}, "", false},
		{[]string{`</2> rel=next`}, "", false},
		{[]string{`</2>; rel="next\`}, "", false},
	} {
		got, err := httpcall.NextLink(http.Header{"Link": c.headers})
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("NextLink(%q) = %q, %v; want %q", c.headers, got, err, c.want)
		}
	}
}

func FuzzNextLink(f *testing.F) {
	f.Add(`</2>; rel="next", <x>; a="\"b"; c`)
	f.Add(`<`)
	f.Add(`<>;=;;,,<>`)
	f.Fuzz(func(t *testing.T, header string) {
		next, err := httpcall.NextLink(http.Header{"Link": {header}})
		if err == nil && next != "" && !strings.Contains(header, "<"+next+">") {
			t.Errorf("NextLink(%q) = %q, which is not in it", header, next)
		}
	})
}
