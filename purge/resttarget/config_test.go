package resttarget_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// sound returns a configuration without a fault.
func sound() resttarget.Config {
	return resttarget.Config{Name: "api", BaseURL: "https://api.example.com", Kinds: map[store.Kind]resttarget.Kind{store.KindUser: {
		List: &resttarget.List{Call: resttarget.Call{URL: "/users?org={tenant}"}, Items: "data", ID: "id", Owner: "org",
			Paging: resttarget.Paging{Type: "offset", Param: "offset"}},
		Delete: deleteUser(),
	}}}
}

func TestNew_NamesTheField(t *testing.T) {
	type change func(c *resttarget.Config, k *resttarget.Kind)
	list := func(f func(l *resttarget.List)) change {
		return func(_ *resttarget.Config, k *resttarget.Kind) { f(k.List) }
	}
	paging := func(p resttarget.Paging) change {
		return list(func(l *resttarget.List) { l.Paging = p })
	}
	del := func(f func(d *resttarget.Delete)) change {
		return func(_ *resttarget.Config, k *resttarget.Kind) { f(k.Delete) }
	}
	count := func(c resttarget.Count) change {
		return func(_ *resttarget.Config, k *resttarget.Kind) { k.Count = &c }
	}
	atOnce := func(c resttarget.Call) change {
		return func(_ *resttarget.Config, k *resttarget.Kind) { k.Delete, k.Purge = nil, &resttarget.Purge{Call: c} }
	}
	subs := func(l *resttarget.List, c *resttarget.Count) change { // and nothing else
		return func(cfg *resttarget.Config, _ *resttarget.Kind) {
			cfg.Kinds, cfg.Subscriptions = nil, &resttarget.Subscriptions{List: l, Count: c}
		}
	}
	for i, c := range []struct {
		change change
		field  string // "" when it is fine
	}{
		{func(*resttarget.Config, *resttarget.Kind) {}, ""},
		{count(resttarget.Count{Call: resttarget.Call{URL: "/n?o={tenant}"}, Value: "n"}), ""},
		{atOnce(resttarget.Call{URL: "/users?o={tenant}"}), ""},
		{atOnce(resttarget.Call{Method: "POST", URL: "/x", ContentType: "application/x-www-form-urlencoded", Body: "o={tenant}&n={limit}"}), ""},
		{list(func(l *resttarget.List) { l.URL = "/users" }), ""}, // owner is set
		{func(c *resttarget.Config, k *resttarget.Kind) {
			c.Hosts = []string{"other.example.com"}
			k.List.URL = "https://other.example.com/users?o={tenant}"
		}, ""},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.BaseURL, c.Insecure = "http://api.example.com", true }, ""},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.BaseURL = "http://api.example.com" }, "baseUrl"},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.Name = "a b" }, "name"},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.Name = "store" }, "name"},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.BaseURL = "" }, "baseUrl"},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.Parallel = 257 }, "parallel"},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.Parallel = -1 }, "parallel"},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.Auth = httpcall.Auth{Bearer: "a\n"} }, "auth.bearer"},
		{func(_ *resttarget.Config, k *resttarget.Kind) { k.Delete = nil }, "kinds.user"},
		{func(_ *resttarget.Config, k *resttarget.Kind) { k.List = nil }, "kinds.user"},
		{func(_ *resttarget.Config, k *resttarget.Kind) {
			k.Purge = &resttarget.Purge{Call: resttarget.Call{URL: "/x/{tenant}"}}
		}, "kinds.user"},
		{func(_ *resttarget.Config, k *resttarget.Kind) {
			*k = resttarget.Kind{Purge: &resttarget.Purge{Call: resttarget.Call{URL: "/x/{tenant}"}}}
		}, "kinds.user"},
		{atOnce(resttarget.Call{URL: "/users"}), "kinds.user.purge.url"},
		{atOnce(resttarget.Call{URL: "/users/{id}"}), "kinds.user.purge.url"},
		{atOnce(resttarget.Call{Method: "GET", URL: "/users/{tenant}"}), "kinds.user.purge.method"},
		{count(resttarget.Count{Call: resttarget.Call{URL: "/n"}}), "kinds.user.count.url"},
		{count(resttarget.Count{Call: resttarget.Call{Method: "DELETE", URL: "/n/{tenant}"}}), "kinds.user.count.method"},
		{count(resttarget.Count{Call: resttarget.Call{URL: "/n/{tenant}"}, Value: "a", FromHeader: "b"}), "kinds.user.count.fromHeader"},
		{list(func(l *resttarget.List) { l.URL = "" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "users/{tenant}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "//evil.example/{tenant}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "https://{tenant}.example.com/users" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "https://api.example.com{tenant}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "https://other.example.com/{tenant}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "/users/{tennant}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "/users/{id}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "/users/{tenant|raw}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "/users/{tenant}#x" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL = "/users/{{tenant}}" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.URL, l.Owner = "/users", "" }), "kinds.user.list.url"},
		{list(func(l *resttarget.List) { l.Method = "PURGE" }), "kinds.user.list.method"},
		{list(func(l *resttarget.List) { l.Method = "DELETE" }), "kinds.user.list.method"},
		{list(func(l *resttarget.List) { l.Body = "{}" }), "kinds.user.list.body"},
		{list(func(l *resttarget.List) { l.Method, l.Body = "POST", `{"o": {tenant}}` }), "kinds.user.list.body"},
		{list(func(l *resttarget.List) { l.Method, l.Body = "POST", `{"o": "{tenant}"` }), "kinds.user.list.body"},
		{list(func(l *resttarget.List) { l.Method, l.Body, l.ContentType = "POST", `<x/>`, "text/xml" }), "kinds.user.list.body"},
		{list(func(l *resttarget.List) { l.ContentType = "application/json" }), "kinds.user.list.contentType"},
		{list(func(l *resttarget.List) { l.Headers = map[string]string{"Authorization": "x"} }), "kinds.user.list.headers"},
		{list(func(l *resttarget.List) { l.Headers = map[string]string{"X": "{id}"} }), "kinds.user.list.headers"},
		{list(func(l *resttarget.List) { l.Headers = map[string]string{"X": "a\nb"} }), "kinds.user.list.headers"},
		{paging(resttarget.Paging{Type: "pages"}), "kinds.user.list.paging.type"},
		{paging(resttarget.Paging{Type: "offset"}), "kinds.user.list.paging.param"},
		{paging(resttarget.Paging{Type: "link", Param: "x"}), "kinds.user.list.paging.param"},
		{paging(resttarget.Paging{Type: "cursor", Param: "x"}), "kinds.user.list.paging.next"},
		{paging(resttarget.Paging{Type: "offset", Param: "x", Next: "n"}), "kinds.user.list.paging.next"},
		{paging(resttarget.Paging{Type: "link", Total: "n"}), "kinds.user.list.paging.total"},
		{paging(resttarget.Paging{More: "n"}), "kinds.user.list.paging.more"},
		{paging(resttarget.Paging{Size: -1}), "kinds.user.list.paging.size"},
		{paging(resttarget.Paging{Type: "page", Param: "p", First: 2}), "kinds.user.list.paging.first"},
		{paging(resttarget.Paging{Type: "page", Param: "p", Max: 10}), "kinds.user.list.paging.max"},
		{paging(resttarget.Paging{Type: "page", Param: "p", Max: 1000}), "kinds.user.count"},
		{del(func(d *resttarget.Delete) { d.URL = "/users?o={tenant}" }), "kinds.user.delete.url"},
		{del(func(d *resttarget.Delete) { d.Method = "GET" }), "kinds.user.delete.method"},
		{del(func(d *resttarget.Delete) { d.Repeat = 4 }), "kinds.user.delete.repeat"},
		{del(func(d *resttarget.Delete) { d.Accept, d.Expect = "a/b", "c" }), "kinds.user.delete.accept"},
		{func(c *resttarget.Config, _ *resttarget.Kind) { c.Kinds = nil }, "kinds"},
		{subs(&resttarget.List{Call: resttarget.Call{URL: "/subs?o={tenant}"}}, nil), ""},
		{subs(nil, &resttarget.Count{Call: resttarget.Call{URL: "/subs?o={tenant}"}}), ""},
		{subs(nil, nil), "subscriptions"},
		{subs(&resttarget.List{Call: resttarget.Call{URL: "/subs?o={tenant}"}}, &resttarget.Count{Call: resttarget.Call{URL: "/n?o={tenant}"}}), "subscriptions"},
		{subs(&resttarget.List{Call: resttarget.Call{URL: "/subs"}}, nil), "subscriptions.list.url"},
		{subs(&resttarget.List{Call: resttarget.Call{URL: "https://other.example.com/subs?o={tenant}"}}, nil), "subscriptions.list.url"},
		{subs(&resttarget.List{Call: resttarget.Call{URL: "/subs?o={tenant}"}, Paging: resttarget.Paging{Type: "page", Param: "p", Max: 1000}}, nil),
			"subscriptions.list.paging.max"},
		{subs(nil, &resttarget.Count{Call: resttarget.Call{URL: "/subs"}}), "subscriptions.count.url"},
		{subs(nil, &resttarget.Count{Call: resttarget.Call{Method: "DELETE", URL: "/subs/{tenant}"}}), "subscriptions.count.method"},
		{subs(nil, &resttarget.Count{Call: resttarget.Call{URL: "/subs/{tenant}"}, Value: "a", FromHeader: "b"}), "subscriptions.count.fromHeader"},
		{func(c *resttarget.Config, k *resttarget.Kind) {
			c.Kinds = map[store.Kind]resttarget.Kind{"users": *k}
		}, "kinds.users"},
	} {
		cfg := sound()
		k := cfg.Kinds[store.KindUser]
		c.change(&cfg, &k)
		if _, ok := cfg.Kinds[store.KindUser]; ok {
			cfg.Kinds[store.KindUser] = k
		}
		_, err := resttarget.New(cfg, resttarget.Options{})
		var e *store.Error
		switch {
		case c.field == "" && err != nil:
			t.Errorf("case %d: %v", i, err)
		case c.field != "" && (!errors.As(err, &e) || e.Code != store.Invalid || e.Field != c.field || !strings.Contains(e.Error(), c.field)):
			t.Errorf("case %d: %v (%+v); want an invalid %s", i, err, e, c.field)
		}
	}
}

func TestTarget_KindsAreInTheOrderOfRemoval(t *testing.T) {
	cfg := sound()
	for _, k := range store.Kinds() {
		cfg.Kinds[k] = cfg.Kinds[store.KindUser]
	}
	target, err := resttarget.New(cfg, resttarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(target.Kinds(), store.Kinds()) {
		t.Error(target.Kinds())
	}
	delete(cfg.Kinds, store.KindUser)
	if target, err = resttarget.New(cfg, resttarget.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Count(context.Background(), "acme", store.KindUser); !purge.IsPermanent(err) {
		t.Errorf("a kind that is not configured: %v; want a permanent error", err)
	}
}

func TestTarget_ShowsItsCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{"data": []any{}}) }))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cfg := sound()
	cfg.BaseURL = s.URL
	cfg.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	cfg.Cert, cfg.Key = cfg.CA, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	if err := newTarget(t, cfg).Check(context.Background()); err != nil {
		t.Errorf("with the certificate: %v", err)
	}
	cfg.Cert, cfg.Key = "", ""
	if err := newTarget(t, cfg).Check(context.Background()); store.CodeOf(err) != store.Unavailable {
		t.Errorf("without the certificate: %v; want unavailable", err)
	}
}

func TestCheck_FindsWhatWouldFailAPurge(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		ok     bool
	}{
		{200, `{"data":[]}`, true},
		{200, `{}`, false},
		{401, `{}`, false},
		{404, `{}`, false},
	} {
		s := &scripted{careless: true, answer: func(*http.Request, string) (int, http.Header, string) { return c.status, nil, c.answer }}
		k := sound().Kinds[store.KindUser]
		k.List.Owner = ""
		target, _ := scriptedTarget(t, k, s)
		if err := target.Check(context.Background()); (err == nil) != c.ok {
			t.Errorf("%+v: Check = %v", c, err)
		}
		findings, err := target.Diagnose(context.Background())
		if err != nil {
			t.Errorf("%+v: Diagnose: %v", c, err)
		}
		worst := purge.SeverityWarning
		if !c.ok {
			worst = purge.SeverityError
		}
		if len(findings) == 0 || findings[0].Severity != worst || !strings.Contains(fmt.Sprint(findings), "list.owner") {
			t.Errorf("%+v: found %+v", c, findings)
		}
		for _, asked := range s.asked {
			if !strings.HasPrefix(asked, "GET ") {
				t.Errorf("asked %q", asked)
			}
		}
	}
}

func TestNew_TellsAllErrorsOfTheKindsInTheirOrder(t *testing.T) {
	cfg := sound()
	for _, k := range []store.Kind{"zebra", store.KindUser, store.KindCredential, "aardvark", store.KindOAuthClient} {
		cfg.Kinds[k] = resttarget.Kind{}
	}
	cfg.Subscriptions = &resttarget.Subscriptions{}
	want := []string{"kinds.oauthClient", "kinds.credential", "kinds.user", "kinds.aardvark", "kinds.zebra", "subscriptions"}
	for range 8 { // a map has another order each time
		_, err := resttarget.New(cfg, resttarget.Options{})
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Fatalf("%v; want several errors", err)
		}
		var got []string
		for _, err := range joined.Unwrap() {
			var e *store.Error
			if !errors.As(err, &e) || e.Code != store.Invalid {
				t.Fatalf("%v; want it to be invalid", err)
			}
			got = append(got, e.Field)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v; want %v", got, want)
		}
	}
}
