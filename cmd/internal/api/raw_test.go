package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
)

// answered is an answer as it came.
type answered struct {
	status int
	header http.Header
	body   string
}

// raw makes a request that the client would not make. A body is sent as JSON.
func raw(t *testing.T, r *rig, what, body string, headers ...string) answered {
	t.Helper()
	method, target := methodOf(what)
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://purger"+target, in)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", client.ContentJSON)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := r.transport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return answered{res.StatusCode, res.Header, string(b)}
}

// json returns the members of a JSON object.
func (a answered) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return m
}

// problem returns the only error of an answer, after a look at its form.
func (a answered) problem(t testing.TB) client.Problem {
	t.Helper()
	var body client.ErrorBody
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || len(body.Errors) != 1 {
		t.Fatalf("status %d: not one error in %q: %v", a.status, a.body, err)
	}
	p := body.Errors[0]
	if len(body.TraceID) != 32 || p.Title == "" || p.Detail == "" || p.Code == "" ||
		p.Status != strconv.Itoa(a.status) || a.header.Get("Content-Type") != client.ContentJSON {
		t.Errorf("envelope %q with status %d and %v", a.body, a.status, a.header)
	}
	return p
}

// encode returns the JSON members of v.
func encode(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return answered{body: string(b)}.json(t)
}
