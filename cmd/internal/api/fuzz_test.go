package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// every is an object with a member of each type that there is. Their zero values
// are left out, as an absent member is.
type every struct {
	S    string          `json:"s,omitempty"`
	P    *string         `json:"p,omitempty"`
	N    int             `json:"n,omitempty"`
	Long int64           `json:"long,omitempty"`
	Q    *int            `json:"q,omitempty"`
	B    *bool           `json:"b,omitempty"`
	T    store.Timestamp `json:"t,omitzero"`
	Any  json.RawMessage `json:"any,omitempty"`
}

// members returns where the members of an object go.
func (e *every) members() members {
	return members{"s": &e.S, "p": &e.P, "n": &e.N, "long": &e.Long, "q": &e.Q, "b": &e.B, "t": &e.T, "any": &e.Any, "none": notKept{}}
}

// checkError holds the error of a decoder against what is true of every one: it is
// about the request, readable, short, and repeats little of it.
func checkError(t *testing.T, sent string, err error) {
	t.Helper()
	var e *store.Error
	msg := err.Error()
	switch {
	case !errors.As(err, &e) || e.Code != store.Invalid && e.Code != store.Unauthenticated:
		t.Errorf("the code of %q is %q", msg, store.CodeOf(err))
	case !utf8.ValidString(msg) || strings.ContainsFunc(msg, func(r rune) bool { return unicode.IsControl(r) || invisible(r) }):
		t.Errorf("error %q", msg)
	case len(msg) > 600 || len(e.Field) > maxQuote+8:
		t.Errorf("an error of %d bytes at %q: %s", len(msg), e.Field, msg)
	case e.Code == store.Invalid && e.Field == "" && !ofTheWhole(msg):
		t.Errorf("it says nowhere what is wrong: %s", msg)
	}
	if run := repeats(msg, sent); run != "" {
		t.Errorf("it repeats %q: %s", run, msg)
	}
}

// ofTheWhole reports whether a refusal is not about one member or parameter, or is
// about one whose name is empty.
func ofTheWhole(msg string) bool {
	for _, begin := range []string{"body: ", "query: ", "content type ", "operation ", `member ""`, `parameter ""`} {
		if strings.HasPrefix(msg, begin) {
			return true
		}
	}
	return false
}

// FuzzBody holds objects that are taken against encoding/json, and that what was
// read of them is read as the same again.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"s":"x","p":"","n":0,"long":-1,"q":7,"b":false,"t":"2026-01-05T10:00:00.000Z","any":[{"s":"y"}],"none":"z"}`,
		`{"s":"x","s":"y"}`, `{"S":"x"}`, `{"s":"\ud83d\ude00"}`, `{"s":"\ud83d"}`, `{"s":"\\ufffd\ud800"}`, "{\"s\":\"\ufffd\"}", `{"s":"\uD800\uDC00"}`,
		`{"n":1e2}`, `{"n":-0}`, `{"long":9223372036854775808}`, `{"n":1e400}`, `{"q":null}`, `{"t":""}`, `{"t":"2026-01-05T10:00:00,5Z"}`,
		`{"none":"\u0000"}`, `{"any":null}`, `{"s":"x"} {}`, "\xef\xbb\xbf{}", `{"` + strings.Repeat("é", 40) + `":1}`, "{\"s\":1,\"\u202e\":2}", `{"n":"` + strings.Repeat("é", 40) + `"}`,
		strings.Repeat("1", 4000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) { // readJSON has refused it
			return
		}
		var got every
		if err := decodeObject(data, got.members()); err != nil {
			checkError(t, string(data), err)
			return
		}
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
		for name, v := range map[string]any{"s": got.S, "p": got.P, "b": got.B} {
			if w, there := want[name]; there && encoding(t, w) != encoding(t, v) {
				t.Errorf("%s of %q is %s", name, data, encoding(t, v))
			}
		}
		var again every
		text := encoding(t, got)
		if err := decodeObject([]byte(text), again.members()); err != nil || encoding(t, again) != text {
			t.Errorf("%q was read as %s, which is read as %s, %v", data, text, encoding(t, again), err)
		}
	})
}

// encoding returns the JSON of v.
func encoding(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzPatch applies patches that are taken, and again what they have changed.
func FuzzPatch(f *testing.F) {
	for _, seed := range []string{
		``, `[]`, `null`, `{}`, `[null]`, `[[]]`, `[{}]`, `[{"op":"replace","path":"/name","value":"x"}]`, `[{"op":"replace","path":"/hostnames/0","value":"a.example.com"},{"op":"replace","path":"/hostname","value":""}]`,
		`[{"op":"replace","path":"/activeSubscriptions","value":3}]`, `[{"op":"replace","path":"/activeSubscriptions","value":1e1}]`, `[{"op":"replace","path":"/activeSubscriptions","value":-1}]`,
		`[{"op":"add","path":"/name","value":"x"}]`, `[{"op":"replace","path":"/a~1b","value":"x"}]`, `[{"op":"replace","path":"/name","value":null}]`, `[{"op":"replace","path":"/name","value":"\ud800"}]`,
		`[{"op":"replace","path":"/name","path":"/hostname","value":"x"}]`, ` [ { "value" : "x" , "path":"/name","op":"replace"} ] `, `[1,2]`, `[` + strings.Repeat(`{"op":"replace","path":"/name","value":"x"},`, 100) + `{}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/api/v1/tenants/acme", bytes.NewReader(data))
		req.Header.Set("Content-Type", contentPatch)
		edit, err := readPatch(httptest.NewRecorder(), &request{Request: req})
		if err != nil {
			checkError(t, string(data), err)
			return
		}
		v := store.Tenant{ID: "acme", Status: store.StatusActive, Name: "before", Hostname: "before.example.com", ActiveSubscriptions: 1}
		if err := edit.Apply(&v, nil, store.Origin{}); err != nil {
			t.Fatal(err)
		}
		if err := v.Validate(); err != nil {
			t.Fatalf("%q makes a tenant that is not valid: %v", data, err)
		}
		text := encoding(t, []client.PatchOperation{{Op: "replace", Path: "/name", Value: v.Name}, {Op: "replace", Path: "/hostname", Value: v.Hostname}, {Op: "replace", Path: "/activeSubscriptions", Value: v.ActiveSubscriptions}})
		req = httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/api/v1/tenants/acme", strings.NewReader(text))
		req.Header.Set("Content-Type", client.ContentJSON)
		again, err := readPatch(httptest.NewRecorder(), &request{Request: req})
		if err != nil {
			t.Fatalf("%q changes to what is refused, %s: %v", data, text, err)
		}
		twice := v
		if err := again.Apply(&twice, nil, store.Origin{}); err != nil || cmp.Diff(v, twice) != "" {
			t.Errorf("%q: %v %s", data, err, cmp.Diff(v, twice))
		}
	})
}

// FuzzQuery reads queries with every kind of parameter. What is taken means the
// same when it is written anew, and there is one way to write each number and each
// cursor.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "limit=100", "limit=0100", "limit=+1", "limit=1e2", "limit=9223372036854775808", "due=true", "due=TRUE", "due=true&due=true", "sort=id&page=aWFjbWU", "sort=estimatedPurgeDate&page=ZQAAAZxxAAAAYQ",
		"page=aWE=", "page=aWF", "a;b", "%zz", "%00=1", "parentId=", "parentId=%2e%2e", "status=purged", "status=deleted", "%e2%80%ae=1", "sort=estimatedPurgeDate&page=Zf__________YQ", "limit", "=1", "&&&",
		"status=" + strings.Repeat("!", 70), "due=" + strings.Repeat("!", 70), "version=" + strings.Repeat("!", 70), "sort=" + strings.Repeat("!", 70), "parentId=" + strings.Repeat("!", 200),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := &request{Request: &http.Request{URL: &url.URL{RawQuery: raw}}}
		var err error
		if r.query, err = readQuery(r.Request, []string{"status", "due", "parentId", "sort", "page", "limit", "version"}); err != nil {
			checkError(t, raw, err)
			return
		}
		values := url.Values{}
		for name, v := range r.query {
			values.Set(name, v)
		}
		again, err := readQuery(&http.Request{URL: &url.URL{RawQuery: values.Encode()}}, []string{"status", "due", "parentId", "sort", "page", "limit", "version"})
		if err != nil || cmp.Diff(map[string]string(r.query), map[string]string(again)) != "" {
			t.Errorf("%q was read as %v, and then as %v, %v", raw, r.query, again, err)
		}
		if _, err := filterOf(r); err != nil {
			checkError(t, raw, err)
		}
		if n, err := r.query.number("version", 1, 1<<62, 7); err != nil {
			checkError(t, raw, err)
		} else if v, there := r.query["version"]; there && encoding(t, n) != v {
			t.Errorf("version %q was read as %d", v, n)
		}
		sort, err := r.query.oneOf("sort", client.SortID, client.SortDate)
		if err != nil {
			checkError(t, raw, err)
			return
		}
		c, err := cursorOf(r.query, sort)
		if err != nil {
			checkError(t, raw, err)
		} else if v, there := r.query["page"]; there && pageAfter(sort, c) != v {
			t.Errorf("page %q was read as %+v, which is %q", v, c, pageAfter(sort, c))
		}
	})
}
