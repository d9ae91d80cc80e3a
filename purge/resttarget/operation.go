package resttarget

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// operation is a call that is ready to be filled in.
type operation struct {
	method  string
	safe    bool
	url     template
	shown   string   // what errors show of the URL: nothing is filled in
	headers []header // in the order of their names
	body    template // nil without a body
	content string
}

// header is one header of an operation.
type header struct {
	name  string
	value template
}

// compile checks a call. secrets and names are what can be filled in.
func (c Call) compile(at, method string, safe bool, secrets httpcall.Secrets, names ...string) (*operation, error) {
	bad := func(field string, err error) error {
		return store.Errorf(store.Invalid, "%s.%s: %w", at, field, err).At(at + "." + field)
	}
	o := &operation{method: c.Method, safe: safe, content: c.ContentType}
	if o.method == "" {
		o.method = method
	}
	switch o.method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, bad("method", fmt.Errorf("%q; want GET, POST, PUT, PATCH or DELETE", c.Method))
	}
	if safe && o.method != http.MethodGet && o.method != http.MethodPost {
		return nil, bad("method", fmt.Errorf("%q; want GET or POST, for it is to change nothing", c.Method))
	}
	if !safe && o.method == http.MethodGet {
		return nil, bad("method", fmt.Errorf("GET removes nothing"))
	}
	var err error
	if o.url, err = parseURL(c.URL, secrets, names...); err != nil {
		return nil, bad("url", err)
	}
	o.shown, _, _ = strings.Cut(c.URL, "?")
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		text := c.Headers[name]
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(text) || http.CanonicalHeaderKey(name) == "Authorization" {
			return nil, bad("headers", fmt.Errorf("%q: not a header that can be set", name))
		}
		value, err := parse(text, inHeader, secrets, names...)
		if err != nil {
			return nil, bad("headers", err)
		}
		o.headers = append(o.headers, header{name, value})
	}
	if c.Body == "" {
		if c.ContentType != "" {
			return nil, bad("contentType", fmt.Errorf("%q without a body", c.ContentType))
		}
		return o, nil
	}
	if o.method == http.MethodGet {
		return nil, bad("body", fmt.Errorf("GET has none"))
	}
	if o.content == "" {
		o.content = "application/json"
	}
	if o.body, err = parseBody(c.Body, o.content, secrets, names...); err != nil {
		return nil, bad("body", err)
	}
	return o, nil
}

// String returns the operation as errors show it.
func (o *operation) String() string { return o.method + " " + o.shown }

// has reports whether a value of that name is filled in anywhere.
func (o *operation) has(name string) bool {
	return o.url.has(name) || o.body.has(name) ||
		slices.ContainsFunc(o.headers, func(h header) bool { return h.value.has(name) })
}

// request fills in the values. A value that cannot be told to the API is an
// [store.Invalid] error.
func (o *operation) request(v vars) (httpcall.Request, error) {
	r := httpcall.Request{Method: o.method, Safe: o.safe, Shown: o.shown}
	var err error
	if r.URL, err = o.url.fill(v); err != nil {
		return r, err
	}
	if len(o.headers) > 0 || o.body != nil {
		r.Header = make(http.Header, len(o.headers)+1)
	}
	for _, h := range o.headers {
		s, err := h.value.fill(v)
		if err != nil {
			return r, err
		}
		r.Header.Set(h.name, s)
	}
	if o.body != nil {
		body, err := o.body.fill(v)
		if err != nil {
			return r, err
		}
		r.Body = []byte(body)
		r.Header.Set("Content-Type", o.content)
	}
	return r, nil
}
