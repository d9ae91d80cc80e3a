package httpcall

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/tenantpurge/purger/store"
)

// Escape returns s for a place in a query: all but letters, digits and "-_.~"
// is percent-encoded, a space as "%20".
func Escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// PathSegment returns s as one segment of a path, escaped like [Escape]. It
// refuses those that cannot be one: the empty one, which names the collection
// instead of a thing in it, and "." and "..", which servers resolve even when
// they are escaped. Errors: [store.Invalid].
func PathSegment(s string) (string, error) {
	if s == "" || s == "." || s == ".." {
		return "", store.Errorf(store.Invalid, "%q cannot be put into the path of a URL", s)
	}
	return Escape(s), nil
}

// JSONString returns s for a place between the quotes of a JSON string. It
// refuses what is not UTF-8, which would become another string on the way. Errors:
// [store.Invalid], which do not show s.
func JSONString(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", store.Errorf(store.Invalid, "it is not UTF-8")
	}
	b, err := json.Marshal(s)
	if err != nil {
		return "", store.Errorf(store.Invalid, "it is not JSON: %w", err)
	}
	return string(b[1 : len(b)-1]), nil
}

// Quoted returns s for a place between the double quotes of a filter language
// that escapes by backslash, as those of SCIM, Lucene, Okta and Auth0 do. It
// refuses control characters and what is not UTF-8, on which they do not agree.
// Errors: [store.Invalid], which do not show s.
func Quoted(s string) (string, error) {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return "", store.Errorf(store.Invalid, "it has a character that cannot be put into a filter")
		}
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s), nil
}
