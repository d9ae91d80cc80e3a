package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

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
	b = append(visible(b), '\n')
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

// visible returns JSON with what cannot be seen in it written as escapes: an answer
// may repeat a text that came from elsewhere, and must not be able to rearrange
// the terminal or the page that shows it.
func visible(b []byte) []byte {
	if !bytes.ContainsFunc(b, invisible) {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for _, r := range string(b) {
		if !invisible(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// invisible reports whether a character of JSON may only be in it as an escape.
func invisible(r rune) bool {
	return r >= 0x7f && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp))
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
