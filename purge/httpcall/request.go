package httpcall

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"

	"github.com/tenantpurge/purger/store"
)

// Request is one call.
type Request struct {
	// Method; "" is GET.
	Method string
	// URL is absolute, or a path with a query that goes behind the base URL.
	URL string
	// Shown is what errors show in place of URL, which has a secret or an id in its
	// path; "" is URL without its query.
	Shown string
	// Of is the id of the resource that the request is about, which may say who it
	// is: errors show it by [Hashed]. "" shows nothing.
	Of     string
	Header http.Header
	Body   []byte
	// Safe says that the request changes nothing: a search by POST. GET and HEAD
	// are safe in any case.
	Safe bool
}

// shown returns what was called as an error may show it.
func (r Request) shown(u *url.URL) string {
	s := r.Shown
	if s == "" {
		s = shown(u)
	}
	if r.Of != "" {
		s += " (id " + Hashed(r.Of) + ")"
	}
	return s
}

// Hashed returns what errors and logs show of the id of a resource, which may be an
// e-mail address: "#" and the first 8 hexadecimal digits of its SHA-256, enough to
// tell two apart and to find one that is known.
func Hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "#" + hex.EncodeToString(sum[:4])
}

func (r Request) safe() bool {
	return r.Safe || r.Method == http.MethodGet || r.Method == http.MethodHead
}

// doubtful returns the code of an answer that does not tell whether the request was
// carried out. A safe one did nothing all the same.
func (r Request) doubtful() store.Code {
	if r.safe() {
		return store.Unavailable
	}
	return store.Internal
}

// Response is an answer that came in whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// URL is what was called.
	URL *url.URL
}

// OK reports a status of success.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status < 300 }
