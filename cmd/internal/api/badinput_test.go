package api

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// post returns the bytes of a request with a body.
func post(what, body string, headers ...string) string {
	if len(headers) == 0 {
		headers = []string{"Content-Type: application/json"}
	}
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: purger\r\n%s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		what, strings.Join(headers, "\r\n"), len(body), body)
}

// get returns the bytes of a request without one.
func get(what string, headers ...string) string {
	return what + " HTTP/1.1\r\nHost: purger\r\n" + strings.Join(append(headers, "Connection: close"), "\r\n") + "\r\n\r\n"
}

// verdict renders what an answer says: status, code, where the fault is (a pointer
// into the body, or ?parameter) and why.
func verdict(t *testing.T, a answered) string {
	t.Helper()
	switch {
	case a.status < 400:
		return strconv.Itoa(a.status)
	case a.header.Get("Content-Type") != client.ContentJSON: // refused by net/http itself
		return strings.TrimSpace(a.body)
	}
	p := a.problem(t)
	where := ""
	if p.Source != nil && p.Source.Parameter != "" {
		where = " ?" + p.Source.Parameter
	} else if p.Source != nil {
		where = " " + p.Source.Pointer
	}
	return fmt.Sprintf("%d %s%s: %s", a.status, p.Code, visible([]byte(where)), p.Detail)
}

// badInput is a request that is wrong in one way.
type badInput struct {
	name, request string
}

// TestBadInput_EachHasItsAnswer sends bytes that are wrong in one way each, over
// TCP and over the socket, and looks that they are answered as testdata/badinput.txt
// says and changed nothing.
func TestBadInput_EachHasItsAnswer(t *testing.T) {
	w := newWires(t)
	w.create(t, client.NewTenant{ID: "acme", Name: "Acme", Hostname: "acme.example.com"}, client.NewTenant{ID: "off"})
	w.disable(t, 0, "off")
	before := w.everything(t)
	wants := wantedVerdicts(t)
	cases := slices.Concat(badBodies(), badNumbers(), badPaths(), badHeaders())
	if len(cases) != len(wants) {
		t.Errorf("%d requests, %d answers in testdata/badinput.txt", len(cases), len(wants))
	}
	for _, c := range cases {
		for _, network := range networks() {
			answers := answersOf(t, w.send(t, network, c.request))
			if len(answers) != 1 {
				t.Errorf("%s (%s): %d answers", c.name, network, len(answers))
				continue
			}
			a := answers[0]
			if got, want := verdict(t, a), wants[c.name]; got != want {
				t.Errorf("%s (%s): got\n\t%s\nwant\n\t%s", c.name, network, got, want)
			}
			if a.header.Get("Content-Type") == client.ContentJSON {
				checkRefusal(t, []byte(c.request), a)
			}
		}
	}
	if after := w.everything(t); after != before {
		t.Errorf("what was refused changed something:\n%s\nbefore:\n%s", after, before)
	}
}

// wantedVerdicts reads the answers: a line with the name of the request, and one with
// what [verdict] makes of its answer.
func wantedVerdicts(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "badinput.txt"))
	if err != nil {
		t.Fatal(err)
	}
	wants, name := map[string]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if want, ok := strings.CutPrefix(line, "\t"); ok {
			wants[name] = want
		} else {
			name = line
		}
	}
	return wants
}

// everything renders what the store holds, but for the audit trail.
func (r *rig) everything(t *testing.T) string {
	t.Helper()
	list, err := r.store.Tenants(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	gates, err := r.store.Gates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v %+v", list, gates)
}

// badBodies are wrong in their form.
func badBodies() []badInput {
	create := func(body string, headers ...string) string { return post("POST /api/v1/tenants", body, headers...) }
	patch := func(body string) string { return post("PATCH /api/v1/tenants/acme", body) }
	deep := func(open, inside, end string) string {
		return strings.Repeat(open, 100_000) + inside + strings.Repeat(end, 100_000)
	}
	return []badInput{
		{"no content type", create(`{"id":"x"}`, "X-Other: 1")},
		{"the content type of a form", create(`{"id":"x"}`, "Content-Type: application/x-www-form-urlencoded")},
		{"a content type that holds another", create(`{"id":"x"}`, "Content-Type: text/plain; x=application/json")},
		{"two content types", create(`{"id":"x"}`, "Content-Type: application/json", "Content-Type: text/plain")},
		{"another charset", create(`{"id":"x"}`, "Content-Type: application/json; charset=utf-16")},
		{"a compressed body", create(`{"id":"x"}`, "Content-Type: application/json", "Content-Encoding: gzip")},
		{"a long content type", create(`{"id":"x"}`, "Content-Type: "+strings.Repeat("é/", 500))},
		{"JSON Patch where an object is wanted", create(`{"id":"x"}`, "Content-Type: application/json-patch+json")},
		{"garbage after the object", create(`{"id":"x"}garbage`)},
		{"a second object", create(`{"id":"x"}{"id":"y"}`)},
		{"a NUL after the object", create("{\"id\":\"x\"}\x00")},
		{"a member twice", create(`{"id":"x","id":"y"}`)},
		{"a member twice, once escaped", create(`{"id":"x","i\u0064":"y"}`)},
		{"a member in another case", create(`{"id":"x","Name":"y"}`)},
		{"a member in letters that fold to it", create(`{"id":"x","parentİd":"y"}`)},
		{"a member twice in an operation", patch(`[{"op":"replace","path":"/name","path":"/hostname","value":"x"}]`)},
		{"a member of an operation in another case", patch(`[{"op":"replace","path":"/name","value":"y","Value":"x"}]`)},
		{"a member twice, deep inside", create(`{"id":"x","name":{"a":{"b":1,"b":2}}}`)},
		{"a member twice, deep inside an operation", patch(`[{"op":"replace","path":"/name","value":{"b":1,"b":2}}]`)},
		{"nested arrays", create(`{"id":` + deep("[", "1", "]") + `}`)},
		{"nested objects", create(deep(`{"id":`, "1", "}"))},
		{"nested arrays that are not closed", create(strings.Repeat("[", 100_000))},
		{"nested arrays as a patch", patch(deep("[", "", "]"))},
		{"nested objects as a patch", patch("[" + deep(`{"value":`, "1", "}") + "]")},
		{"invalid UTF-8 in a name", create("{\"id\":\"x\",\"name\":\"a\xffb\"}")},
		{"overlong UTF-8", create("{\"id\":\"x\",\"name\":\"\xc0\xaf\"}")},
		{"a surrogate in UTF-8", create("{\"id\":\"x\",\"name\":\"\xed\xa0\x80\"}")},
		{"a lone high surrogate", create(`{"id":"x","name":"\ud83d"}`)},
		{"a lone low surrogate", create(`{"id":"x","name":"\ude00"}`)},
		{"surrogates in the wrong order", create(`{"id":"x","name":"\ude00\ud83d"}`)},
		{"a lone surrogate beside what looks like its replacement", create(`{"id":"x","name":"\\ufffd\ud800"}`)},
		{"a lone surrogate in a patch", patch(`[{"op":"replace","path":"/name","value":"\ud800\u0041"}]`)},
		{"a byte order mark", create("\ufeff{\"id\":\"x\"}")},
		{"UTF-16", create("\xff\xfe{\x00}\x00")},
		{"a NUL in a name", create(`{"id":"x","name":"a\u0000b"}`)},
		{"a raw NUL in a name", create("{\"id\":\"x\",\"name\":\"a\x00b\"}")},
		{"a newline in a name", create(`{"id":"x","name":"a\nERROR forged"}`)},
		{"an escape sequence in a name", create(`{"id":"x","name":"a\u001b[2Jb"}`)},
		{"a bidi override in a name", create(`{"id":"x","name":"a\u202eb"}`)},
		{"a bidi override in a name, unescaped", create("{\"id\":\"x\",\"name\":\"a\u202eb\"}")},
		{"a bidi isolate in a reason", post("POST /api/v1/tenants/acme/hold", "{\"reason\":\"\u2066x\"}")},
		{"a line separator in a patch", patch("[{\"op\":\"replace\",\"path\":\"/name\",\"value\":\"a\u2028b\"}]")},
		{"a newline in an id", create(`{"id":"a\nb"}`)},
		{"a bidi override in an id", create("{\"id\":\"a\u202eb\"}")},
		{"a byte order mark in an id", create(`{"id":"\ufeffx"}`)},
		{"a path as an id", create(`{"id":"../x"}`)},
		{"an empty parent's id of spaces", create(`{"id":"x","parentId":" "}`)},
		{"invisible characters in a member's name", create("{\"\u202e\u0085\":1}")},
		{"invisible characters in a value of another type", post("POST /api/v1/tenants/off/actions/deactivate", "{\"purgeAfterDays\":\"\u202e\u200b\x7f\"}")},
		{"a member's name of 100,000 bytes", create(`{"` + strings.Repeat("né", 33_333) + `":1}`)},
		{"a value of 100,000 bytes for a number", post("POST /api/v1/tenants/off/actions/deactivate", `{"purgeAfterDays":"`+strings.Repeat("é", 50_000)+`"}`)},
		{"a name of 1,025 bytes", create(`{"id":"x","name":"` + strings.Repeat("n", 1025) + `"}`)},
		{"an id of 129 bytes", create(`{"id":"` + strings.Repeat("n", 129) + `"}`)},
		{"a host name of 254 bytes", create(`{"id":"x","hostname":"` + strings.Repeat("a.", 126) + `aa"}`)},
		{"a label of 64 bytes", create(`{"id":"x","hostname":"` + strings.Repeat("a", 64) + `.example.com"}`)},
		{"a reason of 1,025 bytes", post("POST /api/v1/tenants/acme/hold", `{"reason":"`+strings.Repeat("r", 1025)+`"}`)},
		{"a patch of 101 operations", patch("[" + strings.Repeat(`{"op":"replace","path":"/name","value":"x"},`, 100) + `{"op":"replace","path":"/name","value":"x"}]`)},
		{"a path in a patch of 100,000 bytes", patch(`[{"op":"replace","path":"/` + strings.Repeat("p", 100_000) + `","value":"x"}]`)},
		{"a body of a byte too many", create(strings.Repeat(" ", maxBody) + "{")},
		{"a license key that is no text", create(`{"id":"x","licenseKey":{"a":"s3cr3t"}}`)},
		{"a trailer that is none", "POST /api/v1/tenants HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n" + strings.Repeat("s3cr3t ", 40) + "\r\n\r\n"},
		{"a chunk that is cut off", "POST /api/v1/tenants HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n9\r\n{\"id\""},
		{"a body that is cut off", "POST /api/v1/tenants HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{\"id\":\"x\"}"},
	}
}

// badNumbers are numbers, dates and versions that are none.
func badNumbers() []badInput {
	days := func(v string) badInput {
		return badInput{"days " + cut(v), post("POST /api/v1/tenants/off/actions/deactivate", `{"purgeAfterDays":`+v+`}`)}
	}
	version := func(v string) badInput {
		return badInput{"version " + cut(v), get("DELETE /api/v1/tenants/off?version=" + v)}
	}
	var all []badInput
	for _, v := range []string{"-1", "-15", "0", "-0", "9", "91", "15.5", "15.0", "1e2", "1e1", "1e400", "-1e400", "9223372036854775808", "99999999999999999999999999",
		"015", "+15", "0x0f", "NaN", "Infinity", `"15"`, "true", "null", "[15]", `{"days":15}`, "1_5", "１５", strings.Repeat("9", 100_000)} {
		all = append(all, days(v))
	}
	for _, v := range []string{"-1", "0", "1.0", "1e2", "1e400", "9223372036854775808", "01", "%2b1", "+1", "0x1", "", "%201", "1%00", "%D9%A1", "2&version=2", "2%26version=2", strings.Repeat("9", 1000)} {
		all = append(all, version(v))
	}
	hold := func(until string) badInput {
		return badInput{"until " + until, post("POST /api/v1/tenants/acme/hold", `{"reason":"r","until":`+until+`}`)}
	}
	for _, v := range []string{`"2026-02-30T00:00:00Z"`, `"2026-01-05"`, `"2026-01-05T1:00:00Z"`, `"0000-00-00T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"1969-12-31T23:59:59Z"`, `"2026-01-05T10:00:00,5Z"`,
		`1767607200`, `"tomorrow"`, `"2026-01-05T24:00:00Z"`, `"２０２６-01-05T10:00:00Z"`} {
		all = append(all, hold(v))
	}
	return append(all,
		badInput{"a put with a version of 1e400", post("PUT /api/v1/tenants/acme", `{"enabled":true,"version":1e400}`)},
		badInput{"a put with a version of 2^63", post("PUT /api/v1/tenants/acme", `{"enabled":true,"version":9223372036854775808}`)},
		badInput{"a put with a version of 1e0", post("PUT /api/v1/tenants/acme", `{"enabled":true,"version":1e0}`)},
		badInput{"a put with a negative version", post("PUT /api/v1/tenants/acme", `{"enabled":true,"version":-1}`)},
		badInput{"a put with enabled 1", post("PUT /api/v1/tenants/acme", `{"enabled":1,"version":1}`)},
		badInput{"subscriptions of -1", post("POST /api/v1/tenants", `{"id":"x","activeSubscriptions":-1}`)},
		badInput{"subscriptions of 2^63", post("POST /api/v1/tenants", `{"id":"x","activeSubscriptions":9223372036854775808}`)},
		badInput{"subscriptions of 1e1 in a patch", post("PATCH /api/v1/tenants/acme", `[{"op":"replace","path":"/activeSubscriptions","value":1e1}]`)},
		badInput{"an allowance of -1", post("POST /api/v1/resume", `{"allow":-1}`)},
	)
}

// badPaths are targets that mean nothing, or another thing to others.
func badPaths() []badInput {
	of := func(name, target string) badInput { return badInput{"path: " + name, get("GET " + target)} }
	tenant := "/api/v1/tenants/"
	return []badInput{
		of("..", tenant+".."),
		of(".. in the midst", "/api/v1/../v1/tenants/acme"),
		of("%2e%2e", tenant+"%2e%2e"),
		of("%2e%2e before the id", "/api/v1/tenants/%2e%2e/tenants/acme"),
		of("%2E.", tenant+"%2E."),
		of("an encoded slash", tenant+"acme%2faccess"),
		of("an encoded slash, upper case", tenant+"acme%2Faccess"),
		of("an encoded backslash", tenant+"acme%5caccess"),
		of("a backslash", tenant+`acme\access`),
		of("a slash encoded twice", tenant+"acme%252faccess"),
		of("dots encoded twice", tenant+"%252e%252e"),
		of("two slashes", "/api/v1//tenants/acme"),
		of("a slash at the end", tenant+"acme/"),
		of("a path parameter", tenant+"acme;version=1"),
		of("a NUL", tenant+"acme%00"),
		of("a raw NUL", tenant+"acme\x00"),
		of("a newline", tenant+"acme%0aGET"),
		of("CR LF and a header", tenant+"acme%0d%0aX-Header:%20y"),
		of("a raw tab", tenant+"ac\tme"),
		of("DEL", tenant+"acme%7f"),
		of("a bidi override", tenant+"acme%e2%80%ae"),
		of("a raw bidi override", tenant+"acme\u202e"),
		of("a byte order mark", tenant+"%ef%bb%bfacme"),
		of("invalid UTF-8", tenant+"%ff%fe"),
		of("overlong UTF-8", tenant+"%c0%ae%c0%ae"),
		of("a surrogate in UTF-8", tenant+"%ed%a0%80"),
		of("half an escape", tenant+"acme%2"),
		of("an escape that is none", tenant+"acme%zz"),
		of("%u202e", tenant+"%u202e"),
		of("a date", tenant+"2026-01-05T10:00:00.000Z"),
		of("a date with slashes", tenant+"2026/01/05"),
		of("a date with an offset", tenant+"2026-01-05T10:00:00%2b01:00"),
		of("a date with a space", tenant+"2026-01-05%2010:00"),
		of("an id of 129 bytes", tenant+strings.Repeat("x", 129)),
		of("an id of 20,000 bytes", tenant+strings.Repeat("%41", 6_667)),
		of("a target of 60,000 bytes", tenant+strings.Repeat("x", 60_000)),
		of("a query parameter twice", tenant+"acme?allow_deleted=true&allow_deleted=false"),
		of("a query parameter in another case", tenant+"acme?Allow_Deleted=true"),
		of("a query parameter with an encoded name twice", tenant+"acme?allow_deleted=true&allow%5fdeleted=false"),
		of("a query with a semicolon", tenant+"acme?allow_deleted=true;x=1"),
		of("a query with a broken escape", tenant+"acme?allow_deleted=%zz"),
		of("a query with NUL", tenant+"acme?allow_deleted=true%00"),
		of("a query with a bidi override as name", tenant+"acme?%e2%80%ae=1"),
		of("a query with a name of 20,000 bytes", tenant+"acme?"+strings.Repeat("n%C3%A9", 2_500)+"=1"),
		of("a cursor that is none", "/api/v1/tenants?page=%2e%2e"),
		of("a cursor with NUL", "/api/v1/tenants?page=aQA"),
		of("a cursor of 20,000 bytes", "/api/v1/tenants?page="+strings.Repeat("a", 20_000)),
		of("a limit of 1e2", "/api/v1/tenants?limit=1e2"),
		of("a limit of -1", "/api/v1/tenants?limit=-1"),
		of("a limit of 2^63", "/api/v1/tenants?limit=9223372036854775808"),
		of("an audit entry of 2^64", "/api/v1/audit?from=18446744073709551616"),
		of("a purge that is a path", "/api/v1/purges/..%2f..%2fetc%2fpasswd"),
		of("an approval that is a path", "/api/v1/approvals/%2e%2e%2fx"),
		of("a receipt with a newline", "/api/v1/receipts/a%0ab"),
	}
}

// badHeaders are header fields that are wrong.
func badHeaders() []badInput {
	of := func(name string, headers ...string) badInput {
		return badInput{"header: " + name, get("DELETE /api/v1/tenants/off/hold", headers...)}
	}
	return []badInput{
		of("x-tenantid ..", "x-tenantid: .."),
		of("x-tenantid with an encoded slash", "x-tenantid: a%2fb"),
		of("x-tenantid empty", "x-tenantid:"),
		of("x-tenantid twice, the second wrong", "x-tenantid: off", "X-TENANTID: \u202e"),
		of("x-tenantid of 20,000 bytes", "x-tenantid: "+strings.Repeat("é", 10_000)),
		of("the host name of another", "X-Confirm-Hostname: \u202eevil.example.com"),
		of("a host name of 20,000 bytes", "qlik-confirm-hostname: "+strings.Repeat("é", 10_000)),
		of("an empty idempotency key", "Idempotency-Key:"),
		of("an idempotency key of 256 bytes", "Idempotency-Key: "+strings.Repeat("k", 256)),
		of("two idempotency keys", "Idempotency-Key: a", "Idempotency-Key: b"),
		of("an idempotency key with a bidi override", "Idempotency-Key: a\u202e"),
		of("an idempotency key with a tab", "Idempotency-Key: a\tb"),
		of("a NUL in a header", "X-Other: a\x00b"),
		of("a CR in a header", "X-Other: a\rb"),
		of("an escape sequence in a header", "X-Other: \x1b[2J"),
		of("a header of 60,000 bytes", "X-Other: "+strings.Repeat("x", 60_000)),
		of("20,000 headers", strings.Repeat("X: y\r\n", 20_000)+"X: y"),
		of("a traceparent that is none", "traceparent: \u202e<script>", "x-tenantid: .."),
	}
}

func TestBadInput_AHostileTraceparentIsReplaced(t *testing.T) {
	w := newWires(t)
	for _, header := range []string{"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "\u202e", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-\"}", strings.Repeat("a", 10_000)} {
		for _, network := range networks() {
			a := answersOf(t, w.send(t, network, get("GET /api/v1/tenants/nobody", "traceparent: "+header)))
			if len(a) != 1 || a[0].status != http.StatusNotFound || strings.Contains(a[0].body, header) {
				t.Errorf("%.60q: %+v", header, a)
			}
			checkRefusal(t, []byte(header), a[0])
		}
	}
}

// renamed is a store whose tenants have a name that no decoder takes today.
type renamed struct{ store.Store }

// odd is a name with characters that cannot be seen.
const odd = "a\u202e\u0085\ufeff\u007fb\U000E0001\U00010000"

// Tenant implements store.Store.
func (r renamed) Tenant(ctx context.Context, id string) (store.Tenant, error) {
	t, err := r.Store.Tenant(ctx, id)
	t.Name = odd
	return t, err
}

func TestBadInput_WhatCannotBeSeenIsEscapedInEveryAnswer(t *testing.T) {
	w := newWires(t, func(o *Options) { o.Store = renamed{o.Store} })
	w.create(t, client.NewTenant{ID: "acme"})
	for _, network := range networks() {
		a := answersOf(t, w.send(t, network, get("GET /api/v1/tenants/acme")))[0]
		checkRefusal(t, nil, a)
		if !strings.Contains(a.body, `"name":"a\u202e\u0085\ufeff\u007fb\udb40\udc01`+"\U00010000"+`"`) || a.json(t)["name"] != odd {
			t.Errorf("%s", a.body)
		}
	}
}
