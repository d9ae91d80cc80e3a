package api

import (
	"net/http"

	"github.com/tenantpurge/purger/store"
)

// outcome is a row of the table of codes.
type outcome struct {
	code   store.Code
	status int
	title  string
}

// table is the one place where codes and HTTP statuses meet. For a status that
// stands for several codes the first row is the one that a client assumes when
// an answer does not name its code.
func table() []outcome {
	return []outcome{
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

// outcomeOf returns the row of a code, that of [store.Internal] for one that is
// not known.
func outcomeOf(code store.Code) outcome {
	var internal outcome
	for _, o := range table() {
		if o.code == code {
			return o
		}
		if o.code == store.Internal {
			internal = o
		}
	}
	return internal
}

// outcomeOfStatus returns the row of an HTTP status. One that is not in the
// table is a request that never works (4xx), a service that may come back (502,
// 504) or a defect.
func outcomeOfStatus(status int) outcome {
	for _, o := range table() {
		if o.status == status {
			return o
		}
	}
	o := outcomeOf(store.Internal)
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		o = outcomeOf(store.Unavailable)
	case status >= 400 && status < 500:
		o = outcomeOf(store.Invalid)
	}
	o.status = status
	return o
}
