package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// reply answers with JSON. It is encoded first, so that an answer is whole or
// not there.
func reply(w http.ResponseWriter, status int, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return store.Errorf(store.Internal, "encode the answer: %w", err)
	}
	b = append(b, '\n')
	h := w.Header()
	h.Set("Content-Type", client.ContentJSON)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		return notRead(err)
	}
	return nil
}

// noContent answers that there is nothing to tell.
func noContent(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// notRead returns the error for an answer whose reader went away.
func notRead(err error) error {
	return store.Errorf(store.Unavailable, "the answer was not read to its end: %w", err)
}
