package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// heard is all that a server was sent, taken apart as servers do.
type heard struct {
	mu   sync.Mutex
	said []string
}

func (h *heard) add(values ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, values...)
}

// ServeHTTP answers each question of [secretBases], and gives out tokens.
func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for segment := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		value, _ := url.PathUnescape(segment)
		h.add(strings.TrimPrefix(value, "x-"))
	}
	for _, values := range r.URL.Query() {
		h.add(values...)
	}
	for _, values := range r.Header {
		for _, value := range values {
			h.add(value, strings.TrimPrefix(value, "Bearer "), strings.TrimPrefix(value, "Key "))
		}
	}
	if user, password, ok := r.BasicAuth(); ok {
		h.add(user, password)
		// RFC 6749, section 2.3.1: a client of OAuth encodes both.
		for _, s := range []string{user, password} {
			if s, err := url.QueryUnescape(s); err == nil {
				h.add(s)
			}
		}
	}
	body, _ := io.ReadAll(r.Body)
	if form, err := url.ParseQuery(string(body)); err == nil {
		for _, values := range form {
			h.add(strings.TrimPrefix(values[0], "Key "))
		}
	}
	var object map[string]string
	if json.Unmarshal(body, &object) == nil {
		h.add(object["k"])
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("t") == "purger-probe" { // there is no such tenant
		fmt.Fprint(w, `{"data": [], "n": 0}`)
		return
	}
	fmt.Fprint(w, `{"data": [{"id": "acme", "status": "active"}], "n": 1, "id": "acme", "status": "active", "access_token": "t", "token_type": "Bearer", "expires_in": 3600}`)
}

// A server gets the secret itself, whatever is in it and wherever it stands: no
// character of it means something to a URL, to JSON or to a template.
func TestSecrets_G4_ReachTheServerAsTheyAre(t *testing.T) {
	for name, base := range secretBases("") {
		for _, p := range placesOf(base()) {
			if !p.isSent() {
				continue
			}
			secret := canary
			if strings.HasSuffix(p.path, ".Username") { // it has no colon: that ends it
				secret = strings.ReplaceAll(canary, ":", "")
			}
			for form, text := range p.forms(t, secretFile(t, secret)) {
				if slices.Contains([]string{" host", " begin", " bare"}, form) {
					continue // refused
				}
				t.Run(name+p.path+form, func(t *testing.T) {
					h := &heard{}
					server := httptest.NewServer(h)
					defer server.Close()
					options := secretBases(server.URL)[name]()
					placesOf(options)[p.index].set(text)
					said := use(t, configWith(t, name, reflect.ValueOf(options).Elem().Interface()))
					if !slices.Contains(h.said, secret) {
						t.Errorf("the server heard %q; it was said\n%s", h.said, said)
					}
					if leak := leaked(said, secret); leak != "" {
						t.Errorf("%q of the secret is in\n%s", leak, said)
					}
				})
			}
		}
	}
}

// isSent reports whether the option goes to a server over HTTP.
func (p secretPlace) isSent() bool {
	return p.tag != "dsn" && !strings.HasPrefix(p.field, "commandtarget.") && !slices.Contains([]string{".CA", ".Cert", ".Key"}, p.path)
}
