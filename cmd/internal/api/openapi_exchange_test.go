package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantpurge/purger/purge/client"
)

// daemonPart is one of the handlers of which a daemon consists.
type daemonPart int

const (
	callsPart daemonPart = iota // all of the Unix socket
	gatePart
	operationsPart
)

// of returns the part that answers for a path.
func partOf(path string) daemonPart {
	switch {
	case strings.HasPrefix(path, "/api/"), path == DescriptionPath:
		return callsPart
	case path == GatePath, strings.HasPrefix(path, GatePath+"/"):
		return gatePart
	}
	return operationsPart
}

// seenExchange is a request and its answer, as the server has seen and made them.
type seenExchange struct {
	request *http.Request
	of      daemonPart
	sent    part // of the request
	status  int
	header  http.Header // when the answer began
	trailer http.Header // and when it had ended
	answer  part
	cut     bool // broken off
}

// part is what was seen of a body.
type part struct {
	bytes.Buffer
	whole bool
}

// maxPart is how much is kept of a body, in bytes.
const maxPart = 4 << 20

// Write implements io.Writer.
func (p *part) Write(b []byte) (int, error) {
	if p.Len()+len(b) > maxPart {
		p.whole = false
		return len(b), nil
	}
	return p.Buffer.Write(b)
}

// everywhere are the headers of answers that are described once for all, or are
// those of HTTP itself.
func everywhere(name string) bool {
	return slices.Contains([]string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", "Connection", "Date", "Allow", "Vary", "Content-Encoding"}, name)
}

// check holds an exchange against the document. It returns what is seen there, an
// operation and a status, and what does not fit.
func (x *seenExchange) check(d *document) (seen string, problems []string) {
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s %s: %d: ", x.request.Method, x.request.URL.RequestURI(), x.status)+fmt.Sprintf(format, args...))
	}
	item, found := d.find(x.request.URL.EscapedPath())
	if partOf(x.request.URL.Path) != x.of {
		item, found = node{doc: d}, false
	}
	ours := x.of == callsPart
	method := strings.ToLower(x.request.Method)
	switch {
	case x.of == gatePart, x.request.Method == http.MethodHead && !strings.HasPrefix(x.request.URL.Path, "/api/"):
		method = "get"
	case strings.ToUpper(method) != x.request.Method: // the case of letters counts
		method = ""
	}
	o := item.get(method)
	if found && o.there() {
		seen = o.get("operationId").text() + " " + strconv.Itoa(x.status)
		x.checkAnswer(o, complain)
		if x.status < 400 {
			x.checkRequest(o, complain)
		}
		return seen, problems
	}
	// What is not in the document is not there.
	refusals := []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	want := http.StatusNotFound
	if found {
		want = http.StatusMethodNotAllowed
		x.checkAllow(item, complain)
	}
	if !ours {
		refusals = []int{http.StatusForbidden} // to pages of other origins
	}
	if x.status != want && !slices.Contains(refusals, x.status) {
		complain("not in the document, want %d", want)
	}
	if ours && x.answer.whole && !x.cut && x.answer.Len() > 0 && strings.HasPrefix(x.header.Get("Content-Type"), "application/json") {
		if err := d.at("/components/schemas/Error").validateJSON(x.answer.Bytes()); err != nil {
			complain("%v", err)
		}
	}
	return "", problems
}

// checkAllow holds the header Allow against the methods of the document.
func (x *seenExchange) checkAllow(item node, complain func(string, ...any)) {
	if x.status != http.StatusMethodNotAllowed {
		return
	}
	want := map[string]bool{}
	for _, m := range methods() {
		if item.get(m).there() {
			want[strings.ToUpper(m)] = true
		}
	}
	if !strings.HasPrefix(x.request.URL.Path, "/api/") && want["GET"] {
		want["HEAD"] = true
	}
	if got, want := x.header.Get("Allow"), strings.Join(slices.Sorted(maps.Keys(want)), ", "); got != want {
		complain("Allow: %s, the document has %s", got, want)
	}
}

// checkAnswer holds status, headers, trailers and body against an operation.
func (x *seenExchange) checkAnswer(o node, complain func(string, ...any)) {
	r := o.get("responses", strconv.Itoa(x.status))
	if !r.there() {
		complain("the status is not in the document: %.300s", x.answer.String())
		return
	}
	if strings.HasPrefix(x.request.URL.Path, "/api/") && (x.header.Get("Cache-Control") != "no-store" || x.header.Get("X-Content-Type-Options") != "nosniff") {
		complain("Cache-Control %q, X-Content-Type-Options %q", x.header.Get("Cache-Control"), x.header.Get("X-Content-Type-Options"))
	}
	headers := map[string]bool{}
	for _, name := range r.get("headers").members() {
		headers[http.CanonicalHeaderKey(name)] = true
		h := r.get("headers", name)
		values := x.header.Values(name)
		switch {
		case len(values) == 0 && h.get("required").isTrue():
			complain("the header %s is missing", name)
		case len(values) > 0:
			if err := h.get("schema").validate(scalar(h.get("schema"), strings.Join(values, ", "))); err != nil {
				complain("the header %s: %v", name, err)
			}
		}
	}
	for name := range x.header {
		if trailer := r.get("x-trailers", name).there(); !headers[name] && !everywhere(name) && !trailer {
			complain("the header %s: %q is not in the document", name, x.header[name])
		}
	}
	if x.cut || x.request.Method == http.MethodHead {
		return
	}
	if x.trailer.Get(client.TrailerError) != "" {
		x.answer.Truncate(bytes.LastIndexByte(x.answer.Bytes(), '\n') + 1) // it ends where the error came
	}
	content := r.get("content")
	if x.header.Get(client.HeaderReplayed) == "true" && x.answer.whole && x.answer.Len() > 0 &&
		o.doc.at("/components/headers/Replayed").get("x-forgotten").validateJSON(x.answer.Bytes()) == nil {
		return
	}
	if err := x.answer.check(content, x.header.Get("Content-Type")); err != nil {
		complain("the answer: %v", err)
	}
	if trailers := r.get("x-trailers"); trailers.there() {
		sent := 0
		for _, name := range trailers.members() {
			if v := x.trailer.Get(name); v != "" {
				sent++
				if err := trailers.get(name).validateJSON([]byte(v)); err != nil {
					complain("the trailer %s: %v", name, err)
				}
			}
		}
		if sent != 1 {
			complain("%d trailers, want one", sent)
		}
	}
}

// checkRequest holds a request that was accepted against an operation.
func (x *seenExchange) checkRequest(o node, complain func(string, ...any)) {
	query, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil {
		complain("%v", err)
	}
	for _, p := range o.parameters() {
		name := p.get("name").text()
		var values []string
		switch p.get("in").text() {
		case "query":
			values = query[name]
			delete(query, name)
		case "header":
			values = x.request.Header.Values(name)
		default:
			continue
		}
		if len(values) == 0 && p.get("required").isTrue() {
			complain("it was accepted without %s", name)
		}
		for _, v := range values {
			if err := p.get("schema").validate(scalar(p.get("schema"), v)); err != nil {
				complain("it was accepted with %s: %v", name, err)
			}
		}
	}
	if len(query) > 0 && o.at != o.doc.at("/paths").get(GatePath, "get").at && strings.HasPrefix(x.request.URL.Path, "/api/") {
		complain("it was accepted with %v", query)
	}
	body := o.get("requestBody")
	switch {
	case o.get("operationId").text() == "importAll" && !bytes.Contains(x.answer.Bytes(), []byte(`"summary"`)): // refused in the answer
	case !x.sent.whole || strings.HasPrefix(x.request.URL.Path, GatePath):
	case x.sent.Len() == 0:
		if body.get("required").isTrue() {
			complain("it was accepted without a body")
		}
	case !body.there():
		complain("it was accepted with a body")
	default:
		if err := x.sent.check(body.get("content"), x.request.Header.Get("Content-Type")); err != nil {
			complain("it was accepted: %v", err)
		}
	}
}

// scalar returns the value of a header or parameter: a number or a truth value
// where the schema wants one.
func scalar(schema node, v string) any {
	switch schema.get("type").text() {
	case "integer":
		if _, err := strconv.ParseInt(v, 10, 64); err == nil {
			return json.Number(v)
		}
	case "boolean":
		if b, err := strconv.ParseBool(v); err == nil && (v == "true" || v == "false") {
			return b
		}
	}
	return v
}

// check holds a body against the content that a request or an answer may have.
func (p *part) check(content node, contentType string) error {
	if !content.there() {
		if p.Len() > 0 {
			return fmt.Errorf("%d bytes where the document has none", p.Len())
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("content type %q: %w", contentType, err)
	}
	for _, name := range content.members() {
		if known, _, err := mime.ParseMediaType(name); err != nil || known != mediaType {
			continue
		}
		m := content.get(name)
		switch {
		case !p.whole:
			return nil
		case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
			return m.get("schema").validateJSON(p.Bytes())
		case m.get("x-line-schema").there():
			return eachLine(p.Bytes(), m.get("x-line-schema"))
		}
		return nil
	}
	return fmt.Errorf("content type %q, the document has %q", contentType, content.members())
}

// eachLine validates NDJSON; of a long one the first lines.
func eachLine(b []byte, schema node) error {
	lines := bufio.NewReader(bytes.NewReader(b))
	for n := 1; n <= 1000; n++ {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := schema.validateJSON(line); err != nil {
				return fmt.Errorf("line %d: %w in %.200s", n, err, line)
			}
		}
		if err == io.EOF {
			return nil
		}
	}
	return nil
}
