package resttarget

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/httpcall"
)

// FuzzTemplate_G4_WhatIsFilledInComesOutAgain fills a URL and a body with any
// text, and takes them apart as a server does.
func FuzzTemplate_G4_WhatIsFilledInComesOutAgain(f *testing.F) {
	for _, s := range []string{"acme", "a/b", "..", "%2e%2E", `"`, `\`, "a b", "+", "&x=1", "#", "?", "é", "\x00", "\xff", "{tenant}", "{id}", "a\nb", "';--", "</script>"} {
		f.Add(s)
	}
	u, err := parseURL("/orgs/{tenant}/users/x-{tenant}?q={tenant}&f=%22{tenant|quoted}%22", nil, varTenant)
	if err != nil {
		f.Fatal(err)
	}
	b, err := parseBody(`{"{ x }": {"t": "{tenant}", "f": "eq \"{tenant|quoted}\""}}`, "", nil, varTenant)
	if err != nil {
		f.Fatal(err)
	}
	form, err := parseBody("t={tenant}&u=1", "application/x-www-form-urlencoded", nil, varTenant)
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

// FuzzTemplate_G4_ASecretComesOutAgainAndIsInNoError has any text as a secret.
func FuzzTemplate_G4_ASecretComesOutAgainAndIsInNoError(f *testing.F) {
	for _, s := range []string{"acme", "a/b", "..", "%2e%2E", `"`, "a b", "+&x=1#?", "{tenant}", "{id}{e", "a\nb", "\xff", "${s}", "hunter2hunter2\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		secrets := httpcall.Secrets{"${s}": secret}
		quiet := func(err error) {
			if len(secret) > 8 && strings.Contains(err.Error(), secret) {
				t.Errorf("the secret is in %q", err)
			}
		}
		if u, err := parseURL("/x/${s}/{tenant}?q=${s}&t={tenant}", secrets, varTenant); err != nil {
			quiet(err)
		} else {
			text, err := u.fill(vars{varTenant: "acme"})
			parsed, bad := url.Parse(text)
			if err != nil || bad != nil || parsed.Path != "/x/"+secret+"/acme" || parsed.Query().Get("q") != secret || len(parsed.Query()) != 2 {
				t.Errorf("%q became %q, %v", secret, text, err)
			}
		}
		if b, err := parseBody(`{"k": "x ${s}", "t": "{tenant}"}`, "", secrets, varTenant); err != nil {
			quiet(err)
		} else {
			text, err := b.fill(vars{varTenant: "acme"})
			var got map[string]string
			if err != nil || json.Unmarshal([]byte(text), &got) != nil || got["k"] != "x "+secret || len(got) != 2 {
				t.Errorf("%q became %q, %v", secret, text, err)
			}
		}
		if h, err := parse("Key ${s}", inHeader, secrets, varTenant); err != nil {
			quiet(err)
		} else if text, err := h.fill(nil); err != nil || text != "Key "+secret || strings.ContainsAny(text, "\r\n") {
			t.Errorf("%q became %q, %v", secret, text, err)
		}
		if _, err := parseBody(`{"k": ${s}}`, "", secrets, varTenant); err == nil {
			t.Errorf("%q outside of quotes is taken", secret)
		}
	})
}
