package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// traceKey is the key of the trace id in the context of a request.
type traceKey struct{}

// withTrace gives a request a trace id: that of its traceparent header (W3C
// Trace Context), or a new one.
func withTrace(r *http.Request) *http.Request {
	id := traceID(r.Header.Get("traceparent"))
	if id == "" {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		id = hex.EncodeToString(b[:])
	}
	return r.WithContext(context.WithValue(r.Context(), traceKey{}, id))
}

// traceOf returns the trace id of the request of ctx.
func traceOf(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	return id
}

// traceID returns the trace id of a traceparent header, "" for an invalid one.
// A version that is not known yet may have more fields after the known ones.
func traceID(header string) string {
	parts := strings.Split(header, "-")
	if len(parts) < 4 || len(parts) > 4 && parts[0] == "00" || parts[0] == "ff" {
		return ""
	}
	for i, want := range [...]int{2, 32, 16, 2} {
		if len(parts[i]) != want || strings.Trim(parts[i], "0123456789abcdef") != "" {
			return ""
		}
	}
	if strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return ""
	}
	return parts[1]
}
