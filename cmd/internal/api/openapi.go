package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the document
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// DescriptionPath is where the description of the API is, an OpenAPI document, for
// everyone: nothing in it is of this daemon. Its tests hold it against every answer
// that the tests of this package get.
const DescriptionPath = "/openapi.json"

// openAPI is the document.
//
//go:embed openapi.json
var openAPI []byte

// newDescription returns the handler of [DescriptionPath].
func newDescription() http.Handler {
	sum := sha256.Sum256(openAPI)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			fail(w, r, &refusal{http.StatusMethodNotAllowed, store.Errorf(store.Invalid, "method %.16q: want GET, HEAD", r.Method)})
			return
		}
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache") // kept, and asked for again after an upgrade
		h.Set("X-Content-Type-Options", "nosniff")
		if hasTag(r.Header, tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", client.ContentJSON)
		h.Set("Content-Length", strconv.Itoa(len(openAPI)))
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodHead {
			return
		}
		if _, err := bytes.NewReader(openAPI).WriteTo(w); err != nil {
			noteError(w, notRead(err))
		}
	})
}

// hasTag reports whether a request says that its caller has what the tag names
// (RFC 9110, section 13.1.2).
func hasTag(h http.Header, tag string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(h.Values("If-None-Match"), ","), ","), func(v string) bool {
		v = strings.TrimSpace(v)
		return v == "*" || strings.TrimPrefix(v, "W/") == tag
	})
}
