package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// deactivated is the body of a refusal, as a tenant's user gets to see it.
type deactivated struct {
	Errors  [1]deactivatedProblem `json:"errors"`
	TraceID string                `json:"traceId"`
}

// deactivatedProblem is its one error. It has no detail: why the tenant is not
// served is not for its users.
type deactivatedProblem struct {
	Title  string `json:"title"`
	Code   string `json:"code"`
	Status string `json:"status"`
}

// refuse answers that a tenant may not be served, or what is wrong with the
// question, and returns the status.
func refuse(w http.ResponseWriter, r *http.Request, a store.Access, err error) int {
	ctx := r.Context()
	status := http.StatusUnauthorized
	var body any
	switch {
	case err != nil:
		if codeOf(err) == store.Unauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		body, status = refusedQuestion(ctx, err)
	case a.Known:
		body = deactivated{[1]deactivatedProblem{{
			"Tenant has been deactivated. Contact your administrator for more details.", "TENANT_DEACTIVATED", "401"}}, traceOf(ctx)}
	default:
		body = deactivated{[1]deactivatedProblem{{"Tenant is not known.", "TENANT_UNKNOWN", "401"}}, traceOf(ctx)}
	}
	b, broken := json.Marshal(body)
	if broken != nil {
		status, b, err = http.StatusInternalServerError, []byte("{}"), broken
	}
	h := w.Header()
	h.Set("Content-Type", client.ContentJSON)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h["Cache-Control"] = noStore
	if err == nil && r.Header.Get(headerRefusal) == "header" {
		h.Set(headerRefusal, string(b))
	}
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(b) // whoever asked has the status
	return status
}

// refusedQuestion renders what is wrong with a question. Gateways show it to their
// users, who are not told what is the matter with the daemon.
func refusedQuestion(ctx context.Context, err error) (client.ErrorBody, int) {
	body, status := errorBody(ctx, err)
	if status >= http.StatusInternalServerError {
		for i := range body.Errors {
			p := &body.Errors[i]
			p.Detail, p.Source, p.Meta = "who may be served cannot be told; the log has the details, with the trace id of this answer", nil, nil
		}
	}
	return body, status
}
