package resttarget

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// FuzzTemplate_G4_WhatIsFilledInComesOutAgain fills a URL and a body with any
// text, and takes them apart as a server does.
func FuzzTemplate_G4_WhatIsFilledInComesOutAgain(f *testing.F) {
	for _, s := range []string{"acme", "a/b", "..", "%2e%2E", `"`, `\`, "a b", "+", "&x=1", "#", "?", "é", "\x00", "\xff", "{tenant}", "{id}", "a\nb", "';--", "</script>"} {
		f.Add(s)
	}
	u, err := parseURL("/orgs/{tenant}/users/x-{tenant}?q={tenant}&f=%22{tenant|quoted}%22", varTenant)
	if err != nil {
		f.Fatal(err)
	}
	b, err := parseBody(`{"{ x }": {"t": "{tenant}", "f": "eq \"{tenant|quoted}\""}}`, "", varTenant)
	if err != nil {
		f.Fatal(err)
	}
	form, err := parseBody("t={tenant}&u=1", "application/x-www-form-urlencoded", varTenant)
	if err != nil {
		f.Fatal(err)
	}
	unquote := func(s string) string { return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s) }
	f.Fuzz(func(t *testing.T, tenant string) {
		v := vars{varTenant: tenant}
		if text, err := u.fill(v); err == nil {
			parsed, err := url.Parse("https://h" + text)
			if err != nil || parsed.Host != "h" || parsed.Fragment != "" {
				t.Fatalf("%q became %q: %v", tenant, text, err)
			}
			segments := strings.Split(parsed.EscapedPath(), "/")
			if len(segments) != 5 {
				t.Fatalf("%q became %q, with %d segments", tenant, text, len(segments)-1)
			}
			first, err1 := url.PathUnescape(segments[2])
			second, err2 := url.PathUnescape(segments[4])
			if err1 != nil || err2 != nil || first != tenant || second != "x-"+tenant || first == "." || first == ".." {
				t.Errorf("%q became %q and %q", tenant, first, second)
			}
			q, err := url.ParseQuery(parsed.RawQuery)
			quoted := strings.TrimSuffix(strings.TrimPrefix(q.Get("f"), `"`), `"`)
			if err != nil || len(q) != 2 || q.Get("q") != tenant || unquote(quoted) != tenant {
				t.Errorf("%q became %q: %v", tenant, parsed.RawQuery, err)
			}
		}
		if text, err := b.fill(v); err == nil {
			var got map[string]map[string]string
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%q became %s: %v", tenant, text, err)
			}
			x := got["{ x }"]
			quoted := strings.TrimSuffix(strings.TrimPrefix(x["f"], `eq "`), `"`)
			if len(x) != 2 || x["t"] != tenant || unquote(quoted) != tenant {
				t.Errorf("%q became %v", tenant, got)
			}
		}
		if text, err := form.fill(v); err == nil {
			if q, err := url.ParseQuery(text); err != nil || len(q) != 2 || q.Get("t") != tenant {
				t.Errorf("%q became %q: %v", tenant, text, err)
			}
		}
	})
}
