package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// FuzzAnswer reads answers that anything between may have made: each that is not of
// success is an error with a code, and one that the server rendered is read as the
// same again.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `<html>`, `{"errors":[]}`, `{"errors":[{}]}`, `{"errors":null}`, "\xff", `{"errors":[{"code":"conflict","detail":"x","status":"409","source":{"pointer":"/a~1b/0"}}],"traceId":"0"}`,
		`{"errors":[{"code":"precondition","detail":"tenant \"a\" is blocked: hold","meta":{"tenantId":"a","block":{"reason":"hold","by":"a"}}}]}`, `{"errors":[{"code":"unavailable","detail":"purging is stopped: paused","meta":{"gate":{"reason":"paused"}}}]}`,
		`{"errors":[{"code":"invalid","source":{"parameter":"page"}},{"code":"weird"}],"total":5}`, `{"approval":{"id":"x","status":"pending"}}`, `{"errors":[{"source":{"line":-1}}],"total":-1}`,
	} {
		f.Add(http.StatusConflict, []byte(seed))
		f.Add(http.StatusAccepted, []byte(seed))
		f.Add(http.StatusBadGateway, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 999 {
			return
		}
		c := Over(answering{status, body})
		_, err := c.Tenant(t.Context(), "acme", false)
		if (status > 299) && err == nil || err != nil && store.CodeOf(err) == "" {
			t.Fatalf("status %d: %v", status, err)
		}
		_, _ = c.Delete(canceled(t.Context()), "acme", 1) // a 202 is asked for again
		var e ErrorBody
		if json.Unmarshal(body, &e) != nil {
			return
		}
		_ = e.importErr().Error()
		if status <= 299 || len(e.Errors) != 1 || e.Errors[0].Source != nil && e.Errors[0].Source.Parameter != "" {
			return
		}
		var typed *store.Error
		if p := e.Errors[0]; p.Meta == nil && (!errors.As(err, &typed) || typed.Error() != p.Detail || p.Code != "" && typed.Code != p.Code) {
			t.Errorf("%s was read as %v", body, err)
		}
	})
}

// canceled returns a context that has ended.
func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// answering is a transport that always gives the same answer.
type answering struct {
	status int
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {ContentJSON}, "Location": {Prefix + "/purges/x"}}, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)),
	}, nil
}
