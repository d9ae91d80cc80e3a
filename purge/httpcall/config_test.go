package httpcall_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

func TestNew_NamesTheField(t *testing.T) {
	oauth := func(o httpcall.OAuth) httpcall.Config {
		return httpcall.Config{BaseURL: "https://h", Auth: httpcall.Auth{OAuth: o}}
	}
	for _, c := range []struct {
		cfg   httpcall.Config
		field string // "" when it is fine
	}{
		{httpcall.Config{BaseURL: "https://h/v1"}, ""},
		{httpcall.Config{Hosts: []string{"h:8443", "https://i"}}, ""},
		{httpcall.Config{BaseURL: "http://127.0.0.1:1"}, ""},
		{httpcall.Config{BaseURL: "http://[::1]:1"}, ""},
		{httpcall.Config{BaseURL: "http://h", Insecure: true}, ""},
		{oauth(httpcall.OAuth{TokenURL: "https://t/x", ClientID: "c", ClientSecret: "s"}), ""},
		{httpcall.Config{}, "baseUrl"},
		{httpcall.Config{BaseURL: "h"}, "baseUrl"},
		{httpcall.Config{BaseURL: "http://h"}, "baseUrl"},
		{httpcall.Config{BaseURL: "ftp://h"}, "baseUrl"},
		{httpcall.Config{BaseURL: "https://"}, "baseUrl"},
		{httpcall.Config{BaseURL: "https://h?x=1"}, "baseUrl"},
		{httpcall.Config{BaseURL: "https://h?"}, "baseUrl"},
		{httpcall.Config{BaseURL: "https://h#x"}, "baseUrl"},
		{httpcall.Config{BaseURL: "https://u@h"}, "baseUrl"},
		{httpcall.Config{Hosts: []string{"http://h"}}, "hosts"},
		{httpcall.Config{Hosts: []string{""}}, "hosts"},
		{httpcall.Config{BaseURL: "https://h", Timeout: -1}, "timeout"},
		{httpcall.Config{BaseURL: "https://h", Timeout: 2 * time.Hour}, "timeout"},
		{httpcall.Config{BaseURL: "https://h", MaxBody: -1}, "maxBody"},
		{httpcall.Config{BaseURL: "https://h", Conns: -1}, "conns"},
		{httpcall.Config{BaseURL: "https://h", Cert: "x"}, "cert"},
		{httpcall.Config{BaseURL: "https://h", Key: "x"}, "cert"},
		{httpcall.Config{BaseURL: "https://h", Cert: "x", Key: "x"}, "cert"},
		{httpcall.Config{BaseURL: "https://h", CA: "x"}, "ca"},
		{httpcall.Config{BaseURL: "https://h", Header: map[string]string{"a b": "c"}}, "headers"},
		{httpcall.Config{BaseURL: "https://h", Header: map[string]string{"a": "c\r\nd: e"}}, "headers"},
		{httpcall.Config{BaseURL: "https://h", Header: map[string]string{"authorization": "x"}}, "headers"},
		{httpcall.Config{BaseURL: "https://h", Auth: httpcall.Auth{Bearer: "a", Username: "b"}}, "auth"},
		{httpcall.Config{BaseURL: "https://h", Auth: httpcall.Auth{Bearer: "a\n"}}, "auth.bearer"},
		{httpcall.Config{BaseURL: "https://h", Auth: httpcall.Auth{Scheme: "a"}}, "auth.scheme"},
		{httpcall.Config{BaseURL: "https://h", Auth: httpcall.Auth{Scheme: "a b", Bearer: "c"}}, "auth.scheme"},
		{httpcall.Config{BaseURL: "https://h", Auth: httpcall.Auth{Username: "a:b"}}, "auth.username"},
		{httpcall.Config{BaseURL: "https://h", Auth: httpcall.Auth{Password: "b"}}, "auth.username"},
		{oauth(httpcall.OAuth{TokenURL: "https://t"}), "auth.oauth"},
		{oauth(httpcall.OAuth{ClientID: "x", ClientSecret: "y"}), "auth.oauth"},
		{oauth(httpcall.OAuth{TokenURL: "http://t", ClientID: "c", ClientSecret: "s"}), "auth.oauth.tokenUrl"},
		{oauth(httpcall.OAuth{TokenURL: "https://t", ClientID: "c", ClientSecret: "s", Params: map[string]string{"scope": "x"}}), "auth.oauth.params"},
	} {
		_, err := httpcall.New(c.cfg, httpcall.Options{})
		var e *store.Error
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%+v: %v", c.cfg, err)
		case c.field != "" && (!errors.As(err, &e) || e.Code != store.Invalid || e.Field != c.field || !strings.HasPrefix(e.Error(), c.field)):
			t.Errorf("%+v: %v; want an invalid %s", c.cfg, err, c.field)
		}
	}
}

// TestNew_OfSeveralHeadersTheSameIsNamed each time, and not as a map has it.
func TestNew_OfSeveralHeadersTheSameIsNamed(t *testing.T) {
	for range 20 {
		_, err := httpcall.New(httpcall.Config{BaseURL: "https://h", Header: map[string]string{"b b": "", "a a": "", "c c": ""}}, httpcall.Options{})
		if err == nil || !strings.Contains(err.Error(), `"a a"`) {
			t.Fatal(err)
		}
	}
}

func TestEscape_G4_NothingGetsOutOfItsPlace(t *testing.T) {
	if got := httpcall.Escape("a/b?c=d&e#f%g h+i\x00é'\"~-_."); got != "a%2Fb%3Fc%3Dd%26e%23f%25g%20h%2Bi%00%C3%A9%27%22~-_." {
		t.Error(got)
	}
	for _, s := range []string{"", ".", ".."} {
		if got, err := httpcall.PathSegment(s); err == nil {
			t.Errorf("PathSegment(%q) = %q", s, got)
		}
	}
	if got, err := httpcall.PathSegment("../x"); err != nil || got != "..%2Fx" {
		t.Error(got, err)
	}
	if got, err := httpcall.JSONString("a\"b\\c\nd\u2028</x>"); err != nil || got != `a\"b\\c\nd\u2028\u003c/x\u003e` {
		t.Error(got, err)
	}
	if got, err := httpcall.Quoted(`a"b\c) or x`); err != nil || got != `a\"b\\c) or x` {
		t.Error(got, err)
	}
	if got, err := httpcall.JSONString("\xff"); err == nil {
		t.Error(got)
	}
	for _, s := range []string{"a\x00", "a\n", "\x7f", "\xff"} {
		if got, err := httpcall.Quoted(s); err == nil {
			t.Errorf("Quoted(%q) = %q", s, got)
		}
	}
}

func TestJSON_TakesNothingElse(t *testing.T) {
	for _, c := range []struct {
		contentType, body string
		ok                bool
	}{
		{"application/json", "{}", true},
		{"application/json; charset=utf-8", "[1]", true},
		{"application/scim+json", "{}", true},
		{"text/html", "{}", false},
		{"", "{}", false},
		{"application/json; q=\"", "{}", false},
		{"text/x+json", "{}", false},
		{"application/json", "", false},
		{"application/json", `{"a":`, false},
		{"application/json", "<html>", false},
		{"application/json", "{} {}", false},
	} {
		a := &httpcall.Response{Status: 200, Header: http.Header{"Content-Type": {c.contentType}}, Body: []byte(c.body)}
		body, err := httpcall.JSON(httpcall.Request{Method: http.MethodDelete}, a)
		if (err == nil) != c.ok || httpcall.IsJSON(a) != c.ok {
			t.Errorf("%+v: %s, %v", c, body, err)
		}
		if err != nil && store.CodeOf(err) != store.Internal {
			t.Errorf("%+v: %v; want the code of a lost answer: it may have been done", c, err)
		}
		if _, err := httpcall.JSON(httpcall.Request{Method: http.MethodGet}, a); err != nil && store.CodeOf(err) != store.Unavailable {
			t.Errorf("%+v: %v; want unavailable", c, err)
		}
	}
}
