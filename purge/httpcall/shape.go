package httpcall

import (
	"encoding/json"
	"mime"
	"strings"
)

// IsJSON reports whether an answer, whatever its status, is JSON and says so.
func IsJSON(a *Response) bool {
	_, ok := mediaType(a)
	return ok && json.Valid(a.Body)
}

// mediaType returns what an answer says to be, and whether that is JSON.
func mediaType(a *Response) (kind string, isJSON bool) {
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return kind, err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"))
}

// JSON returns the body of a success that is JSON and says so; anything else is
// an [Unusable] error.
func JSON(r Request, a *Response) ([]byte, error) {
	kind, ok := mediaType(a)
	switch {
	case !ok:
		return nil, Unusable(r, a, "status %d with %s, want JSON", a.Status, named(kind))
	case len(a.Body) == 0:
		return nil, Unusable(r, a, "status %d with an empty body, want JSON", a.Status)
	case !json.Valid(a.Body):
		return nil, Unusable(r, a, "status %d with a body that is not JSON", a.Status)
	}
	return a.Body, nil
}

// named returns a media type for a message.
func named(kind string) string {
	if kind == "" || len(kind) > 60 {
		return "no content type"
	}
	return kind
}
