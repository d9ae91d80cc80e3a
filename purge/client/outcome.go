package client

import (
	"net/http"

	"github.com/tenantpurge/purger/store"
)

// Outcome is a row of the table of codes.
type Outcome struct {
	Code   store.Code
	Status int // of HTTP
	Title  string
}

// table is the one place where codes and HTTP statuses meet. For a status that
// stands for several codes the first row is the one that a client assumes when
// an answer does not name its code.
func table() []Outcome {
	return []Outcome{
		{store.Invalid, http.StatusBadRequest, "Invalid request"},
		{store.Unauthenticated, http.StatusUnauthorized, "Not authenticated"},
		{store.Forbidden, http.StatusForbidden, "Not allowed"},
		{store.NotFound, http.StatusNotFound, "Not found"},
		{store.Conflict, http.StatusConflict, "Conflict"},
		{store.Precondition, http.StatusConflict, "Not possible in this state"},
		{store.Gone, http.StatusGone, "Purged"},
		{store.Exhausted, http.StatusTooManyRequests, "Limit reached"},
		{store.Internal, http.StatusInternalServerError, "Internal error"},
		{store.Unavailable, http.StatusServiceUnavailable, "Unavailable"},
		// What HTTP has a status of its own for.
		{store.Unavailable, http.StatusRequestTimeout, "Request too slow"},
		{store.Invalid, http.StatusMethodNotAllowed, "Method not allowed"},
		{store.Invalid, http.StatusRequestEntityTooLarge, "Body too large"},
		{store.Invalid, http.StatusUnsupportedMediaType, "Unsupported content type"},
	}
}

// OutcomeOf returns the row of a code, that of [store.Internal] for one that is
// not known.
func OutcomeOf(code store.Code) Outcome {
	var internal Outcome
	for _, o := range table() {
		if o.Code == code {
			return o
		}
		if o.Code == store.Internal {
			internal = o
		}
	}
	return internal
}

// OutcomeOfStatus returns the row of an HTTP status. One that is not in the
// table is a request that never works (4xx), a service that may come back (502,
// 504) or a defect.
func OutcomeOfStatus(status int) Outcome {
	for _, o := range table() {
		if o.Status == status {
			return o
		}
	}
	o := OutcomeOf(store.Internal)
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		o = OutcomeOf(store.Unavailable)
	case status >= 400 && status < 500:
		o = OutcomeOf(store.Invalid)
	}
	o.Status = status
	return o
}
