package api

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// smuggled is a request that somebody in between took for a part of another one.
const smuggled = "POST /api/v1/tenants/acme/actions/deactivate HTTP/1.1\r\nHost: purger\r\nContent-Length: 0\r\n\r\n"

// last follows each case: it is answered where the connection goes on.
const last = "GET /last HTTP/1.1\r\nHost: purger\r\nConnection: close\r\n\r\n"

// TestSmuggling_EachByteMeansOneThing sends requests about whose end two servers
// could be of two minds, each followed by another one. What is told of each is the
// requests that reached the handler, and the statuses that were answered: a body is
// never a request, and after a refusal of net/http, or a body whose length is in
// doubt, nothing more is read of the connection.
func TestSmuggling_EachByteMeansOneThing(t *testing.T) {
	w := newWires(t, func(o *Options) {
		o.Policy = func() Policy { return Policy{HostnameOptional: true} }
	})
	w.create(t, client.NewTenant{ID: "acme"})
	for _, c := range smugglingCases() {
		for _, network := range networks() {
			w.takeReached()
			answers := answersOf(t, w.send(t, network, c.wire+last))
			var statuses []string
			for _, a := range answers {
				statuses = append(statuses, strconv.Itoa(a.status))
			}
			if len(answers) > 0 && answers[len(answers)-1].header.Get("Connection") == "close" {
				statuses = append(statuses, "close")
			}
			got := strings.Join(w.takeReached(), ", ") + " -> " + strings.Join(statuses, " ")
			if got != c.want {
				t.Errorf("%s (%s):\ngot  %s\nwant %s", c.name, network, got, c.want)
			}
			if v, err := w.store.Tenant(t.Context(), "acme"); err != nil || v.Status != store.StatusActive {
				t.Fatalf("%s (%s): the smuggled request was carried out: %+v, %v", c.name, network, v, err)
			}
		}
	}
}

// smugglingCase is what is sent on a connection and what comes of it.
type smugglingCase struct {
	name, wire, want string
}

// smugglingCases returns the shapes that have names, and what is like them.
func smugglingCases() []smugglingCase {
	// A read of a tenant takes no body: whatever is in one, it is refused.
	head := func(fields ...string) string {
		return "GET /api/v1/tenants/acme HTTP/1.1\r\nHost: purger\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
	}
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	const chunked, end = "Transfer-Encoding: chunked", "0\r\n\r\n"
	return []smugglingCase{
		// Two lengths.
		{"CL.TE", head(length(len(end)+len(smuggled)), chunked) + end + smuggled, "GET /api/v1/tenants/acme -> 400 close"},
		{"TE.CL", head(chunked, length(4)) + chunk, "GET /api/v1/tenants/acme -> 400 close"},
		{"CL.TE of a body of nothing", head(length(0), chunked) + end, "GET /api/v1/tenants/acme -> 400 close"},
		{"TE in lower case with a CL", head("transfer-encoding: chunked", length(len(end)+len(smuggled))) + end + smuggled, "GET /api/v1/tenants/acme -> 400 close"},
		{"two CL", head(length(0), length(len(smuggled))) + smuggled, " -> 400 close"},
		{"two CL, the second of nothing", head(length(len(smuggled)), length(0)) + smuggled, " -> 400 close"},
		{"the same CL twice", head(length(len(smuggled)), length(len(smuggled))) + smuggled, "GET /api/v1/tenants/acme, GET /last -> 400 404 close"},
		{"a list in CL", head("Content-Length: 0, "+strconv.Itoa(len(smuggled))) + smuggled, " -> 400 close"},
		{"CL with a sign", head(fmt.Sprintf("Content-Length: +%d", len(smuggled))) + smuggled, " -> 400 close"},
		{"CL below zero", head("Content-Length: -1") + smuggled, " -> 400 close"},
		{"CL in hexadecimal", head(fmt.Sprintf("Content-Length: 0x%x", len(smuggled))) + smuggled, " -> 400 close"},
		{"CL with a space within", head("Content-Length: 1 0") + smuggled, " -> 400 close"},
		{"CL with spaces around", head(fmt.Sprintf("Content-Length:  \t%d \t", len(smuggled))) + smuggled, "GET /api/v1/tenants/acme, GET /last -> 400 404 close"},
		{"CL of nothing at all", head("Content-Length:") + smuggled, " -> 400 close"},
		{"CL of 2^64", head("Content-Length: 18446744073709551616") + smuggled, " -> 400 close"},
		{"CL of 2^63", head("Content-Length: 9223372036854775808") + smuggled, " -> 400 close"},
		{"CL with an underscore", head("Content-Length: 1_0") + smuggled, " -> 400 close"},
		{"CL in other digits", head("Content-Length: ٣") + smuggled, " -> 400 close"},
		{"CL with a space before the colon", head("Content-Length : "+strconv.Itoa(len(smuggled))) + smuggled, " -> 400 close"},
		// Encodings that one takes for chunked and another does not.
		{"TE with a space before the colon", head("Transfer-Encoding : chunked", length(len(chunk))) + chunk, " -> 400 close"},
		{"TE with a tab", head("Transfer-Encoding:\tchunked") + chunk, "GET /api/v1/tenants/acme -> 400 close"},
		{"TE with a vertical tab", head("Transfer-Encoding: \vchunked", length(len(chunk))) + chunk, " -> 400 close"},
		{"TE with a NUL", head("Transfer-Encoding: chunked\x00", length(len(chunk))) + chunk, " -> 400 close"},
		{"TE xchunked", head("Transfer-Encoding: xchunked", length(len(chunk))) + chunk, " -> 501 close"},
		{"TE in quotes", head(`Transfer-Encoding: "chunked"`, length(len(chunk))) + chunk, " -> 501 close"},
		{"TE identity", head("Transfer-Encoding: identity", length(len(chunk))) + chunk, " -> 501 close"},
		{"TE chunked, identity", head("Transfer-Encoding: chunked, identity", length(len(chunk))) + chunk, " -> 501 close"},
		{"TE identity, chunked", head("Transfer-Encoding: identity, chunked", length(len(chunk))) + chunk, " -> 501 close"},
		{"TE gzip, chunked", head("Transfer-Encoding: gzip, chunked") + chunk, " -> 501 close"},
		{"TE chunked, chunked", head("Transfer-Encoding: chunked, chunked") + chunk, " -> 501 close"},
		{"TE twice", head(chunked, chunked) + chunk, " -> 501 close"},
		{"TE twice, the second unknown", head(chunked, "Transfer-Encoding: cow", length(4)) + chunk, " -> 501 close"},
		{"TE with a parameter", head("Transfer-Encoding: chunked;q=1", length(4)) + chunk, " -> 501 close"},
		{"TE empty", head("Transfer-Encoding:", length(len(chunk))) + chunk, " -> 501 close"},
		{"TE folded", head("Transfer-Encoding:\r\n chunked", length(len(chunk))) + chunk, "GET /api/v1/tenants/acme -> 400 close"},
		{"TE behind a bare CR", head("X-Other: a\rTransfer-Encoding: chunked", length(len(chunk))) + chunk, " -> 400 close"},
		{"TE behind a bare LF", head("X-Other: a\nTransfer-Encoding: chunked") + chunk, "GET /api/v1/tenants/acme -> 400 close"},
		{"TE in HTTP/1.0", strings.Replace(head(chunked, length(len(chunk))), "HTTP/1.1", "HTTP/1.0", 1) + chunk, "GET /api/v1/tenants/acme -> 400 close"},
		// Lines and names.
		{"bare LFs", strings.ReplaceAll(head("X-Other: a"), "\r\n", "\n"), "GET /api/v1/tenants/acme, GET /last -> 200 404 close"},
		{"bare CRs", strings.ReplaceAll(head("X-Other: a"), "\r\n", "\r"), " -> 400 close"},
		{"a folded field", head("X-Other: a\r\n b"), "GET /api/v1/tenants/acme, GET /last -> 200 404 close"},
		{"a folded length", head("Content-Length: 1\r\n 0") + smuggled, " -> 400 close"},
		{"a field that begins with a space", "GET /api/v1/tenants/acme HTTP/1.1\r\n X-Other: a\r\nHost: purger\r\n\r\n", " -> 400 close"},
		{"a name with a space", head("X Other: a"), " -> 400 close"},
		{"a name with a NUL", head("X\x00Other: a"), " -> 400 close"},
		{"a name beyond ASCII", head("X-Ötherr: a"), " -> 400 close"},
		{"no name", head(": a"), " -> 400 close"},
		{"no colon", head("X-Other"), " -> 400 close"},
		{"no host", "GET /api/v1/tenants/acme HTTP/1.1\r\n\r\n", " -> 400 close"},
		{"two hosts", head("Host: other"), " -> 400 close"},
		{"a host with a space", "GET /api/v1/tenants/acme HTTP/1.1\r\nHost: a b\r\n\r\n", " -> 400 close"},
		{"a host with a path", "GET /api/v1/tenants/acme HTTP/1.1\r\nHost: purger/api/v1/tenants/other\r\n\r\n", " -> 400 close"},
		// Targets.
		{"absolute form", "GET http://other.example.com/api/v1/tenants/acme HTTP/1.1\r\nHost: purger\r\n\r\n", "GET http://other.example.com/api/v1/tenants/acme, GET /last -> 200 404 close"},
		{"absolute form of a foreign scheme", "GET file:///api/v1/tenants/acme HTTP/1.1\r\nHost: purger\r\n\r\n", "GET file:///api/v1/tenants/acme, GET /last -> 200 404 close"},
		{"absolute form with dots", "GET http://purger/api/v1/tenants/../tenants/acme HTTP/1.1\r\nHost: purger\r\n\r\n", "GET http://purger/api/v1/tenants/../tenants/acme, GET /last -> 404 404 close"},
		{"authority form", "CONNECT acme.example.com:443 HTTP/1.1\r\nHost: acme.example.com:443\r\n\r\n", "CONNECT acme.example.com:443, GET /last -> 404 404 close"},
		{"authority form of a GET", "GET acme.example.com:443 HTTP/1.1\r\nHost: purger\r\n\r\n", "GET acme.example.com:443, GET /last -> 404 404 close"},
		{"CONNECT with a path", "CONNECT /api/v1/tenants/acme HTTP/1.1\r\nHost: purger\r\n\r\n", "CONNECT /api/v1/tenants/acme, GET /last -> 405 404 close"},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: purger\r\n\r\n", "OPTIONS *, GET /last -> 404 404 close"},
		{"a target with a space", "GET /api/v1/tenants/acme x HTTP/1.1\r\nHost: purger\r\n\r\n", " -> 400 close"},
		{"two spaces before the target", "GET  /api/v1/tenants/acme HTTP/1.1\r\nHost: purger\r\n\r\n", " -> 400 close"},
		{"a fragment", "GET /api/v1/tenants/acme#/../other HTTP/1.1\r\nHost: purger\r\n\r\n", "GET /api/v1/tenants/acme#/../other, GET /last -> 404 404 close"},
		// Versions.
		{"HTTP/1.0", "GET /api/v1/tenants/acme HTTP/1.0\r\n\r\n", "GET /api/v1/tenants/acme -> 200 close"},
		{"HTTP/1.0 that wants to go on", "GET /api/v1/tenants/acme HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /api/v1/tenants/acme, GET /last -> 200 404 close"},
		{"HTTP/0.9", "GET /api/v1/tenants/acme\r\n", " -> 400 close"},
		{"HTTP/1.2", "GET /api/v1/tenants/acme HTTP/1.2\r\nHost: purger\r\n\r\n", "GET /api/v1/tenants/acme, GET /last -> 200 404 close"},
		{"HTTP/2.0", "GET /api/v1/tenants/acme HTTP/2.0\r\nHost: purger\r\n\r\n", " -> 505 close"},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * -> 404 close"},
		{"http/1.1", "GET /api/v1/tenants/acme http/1.1\r\nHost: purger\r\n\r\n", " -> 400 close"},
		{"HTTP/1.1 with a space after it", "GET /api/v1/tenants/acme HTTP/1.1 \r\nHost: purger\r\n\r\n", " -> 400 close"},
		{"an upgrade to HTTP/2", head("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), "GET /api/v1/tenants/acme, GET /last -> 200 404 close"},
		{"a method in lower case", strings.Replace(head("X-Other: a"), "GET", "get", 1), "get /api/v1/tenants/acme, GET /last -> 405 404 close"},
		{"a method that is no token", strings.Replace(head("X-Other: a"), "GET", "G(T", 1), " -> 400 close"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", " -> 400 close"},
		// Requests in the bodies of requests that are refused, and of others.
		{"in a body where there is none", head(length(len(smuggled))) + smuggled, "GET /api/v1/tenants/acme, GET /last -> 400 404 close"},
		{"in a body of an unknown path", strings.Replace(head(length(len(smuggled))), "/api/v1/tenants/acme", "/nowhere", 1) + smuggled, "GET /nowhere, GET /last -> 404 404 close"},
		{"in a body of another method", strings.Replace(head(length(len(smuggled))), "GET", "BREW", 1) + smuggled, "BREW /api/v1/tenants/acme, GET /last -> 405 404 close"},
		{"in a body of the wrong type", strings.Replace(head(length(len(smuggled)), "Content-Type: text/plain"), "GET", "PUT", 1) + smuggled, "PUT /api/v1/tenants/acme, GET /last -> 415 404 close"},
		{"in a body that is too large", strings.Replace(head(length(maxBody+1+len(smuggled)), "Content-Type: application/json"), "GET", "PUT", 1) + strings.Repeat(" ", maxBody+1) + smuggled, "PUT /api/v1/tenants/acme, GET /last -> 413 404 close"},
		{"in a body that nobody waits for", strings.Replace(head(length(len(smuggled)), "Expect: 100-continue"), "GET", "BREW", 1) + smuggled, "BREW /api/v1/tenants/acme -> 405 close"},
		{"in a body with another expectation", head(length(len(smuggled)), "Expect: 200-ok") + smuggled, " -> 417 close"},
		{"in an import", "POST /api/v1/import HTTP/1.1\r\nHost: purger\r\nContent-Type: application/x-ndjson\r\n" + length(len(smuggled)) + "\r\n\r\n" + smuggled, "POST /api/v1/import, GET /last -> 200 404 close"},
		{"in an import with chunks", "POST /api/v1/import HTTP/1.1\r\nHost: purger\r\nContent-Type: application/x-ndjson\r\n" + chunked + "\r\n\r\n" + chunk, "POST /api/v1/import -> 200 close"},
		{"in a trailer", head(chunked) + "0\r\nX-Other: a\r\n\r\n", "GET /api/v1/tenants/acme -> 400 close"},
		// Pipelining as it is meant.
		{"two requests", head("X-Other: a") + head("X-Other: b"), "GET /api/v1/tenants/acme, GET /api/v1/tenants/acme, GET /last -> 200 200 404 close"},
		{"a request after empty lines", "\r\n\r\n" + head("X-Other: a"), " -> 400 close"},
		{"a request after a space", " " + head("X-Other: a"), " -> 400 close"},
	}
}

// TestSmuggling_ChunksAreReadInOneWay sends bodies in chunks, of which a sound one is
// an object without members. Nothing after one is read.
func TestSmuggling_ChunksAreReadInOneWay(t *testing.T) {
	const (
		head      = "PUT /api/v1/tenants/acme HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
		sound     = "400 invalid /enabled: enabled: want true or false"
		malformed = "400 invalid: body: its chunks or trailers are malformed"
	)
	w := newWires(t)
	for _, c := range []smugglingCase{
		{"chunks", head + "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", sound},
		{"a chunk extension", head + "2;name=\"value\"\r\n{}\r\n0\r\n\r\n", sound},
		{"a chunk extension with a bare LF", head + "2;a\n{}\r\n0\r\n\r\n", malformed},
		{"a chunk extension with a bare CR", head + "2;a\rb\r\n{}\r\n0\r\n\r\n", malformed},
		{"a chunk extension of 10,000 bytes", head + "2;" + strings.Repeat("a", 10_000) + "\r\n{}\r\n0\r\n\r\n", malformed},
		{"chunk sizes that end in a bare LF", head + "2\n{}\n0\n\n", malformed},
		{"a chunk size in decimal disguise", head + "0x2\r\n{}\r\n0\r\n\r\n", malformed},
		{"a chunk size with a sign", head + "+2\r\n{}\r\n0\r\n\r\n", malformed},
		{"a chunk size below zero", head + "-1\r\n{}\r\n0\r\n\r\n", malformed},
		{"a chunk size of 2^64 and more", head + "10000000000000002\r\n{}\r\n0\r\n\r\n", malformed},
		{"an empty chunk size", head + "\r\n{}\r\n0\r\n\r\n", malformed},
		{"a chunk longer than it says", head + "2\r\n{}" + smuggled + "0\r\n\r\n", malformed},
		{"a last chunk without its end", head + "0\r\n" + smuggled, malformed},
		{"a trailer that names a length", head + "0\r\nContent-Length: 5\r\n\r\n", sound},
	} {
		for _, network := range networks() {
			w.takeReached()
			answers := answersOf(t, w.send(t, network, c.wire+last))
			if len(answers) != 1 || answers[0].header.Get("Connection") != "close" {
				t.Errorf("%s (%s): answers %+v", c.name, network, answers)
				continue
			}
			if got := verdict(t, answers[0]); got != c.want {
				t.Errorf("%s (%s):\ngot  %s\nwant %s", c.name, network, got, c.want)
			}
			if got := w.takeReached(); len(got) != 1 {
				t.Errorf("%s (%s): requests %v", c.name, network, got)
			}
		}
	}
}
