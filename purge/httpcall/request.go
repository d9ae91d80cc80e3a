package httpcall

import (
	"net/http"
	"net/url"
)

// Request is one call.
type Request struct {
	// Method; "" is GET.
	Method string
	// URL is absolute, or a path with a query that goes behind the base URL.
	URL string
	// Shown is what errors show in place of URL, which has a secret in its path; ""
	// is URL without its query.
	Shown  string
	Header http.Header
	Body   []byte
	// Safe says that the request changes nothing: a search by POST. GET and HEAD
	// are safe in any case.
	Safe bool
}

// shown returns what was called as an error may show it.
func (r Request) shown(u *url.URL) string {
	if r.Shown != "" {
		return r.Shown
	}
	return shown(u)
}

func (r Request) safe() bool {
	return r.Safe || r.Method == http.MethodGet || r.Method == http.MethodHead
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
