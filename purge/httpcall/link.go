package httpcall

import (
	"errors"
	"net/http"
	"strings"
)

// errLink says that a Link header is not one.
var errLink = errors.New("a Link header that cannot be read")

// NextLink returns the target of the link with the relation "next" in the Link
// headers of an answer (RFC 8288); "" when there is none. Several are an error, and
// so is a header that is none by that standard: nobody knows what it leaves out. The
// error has no code, and shows nothing of the header.
func NextLink(header http.Header) (string, error) {
	next := ""
	for _, h := range header.Values("Link") {
		for rest := strings.TrimLeft(h, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
			if rest[0] != '<' {
				return "", errLink
			}
			target, after, ok := strings.Cut(rest[1:], ">")
			if !ok {
				return "", errLink
			}
			var rel string
			if rel, rest, ok = linkParams(after); !ok {
				return "", errLink
			}
			for _, r := range strings.Fields(rel) {
				if !strings.EqualFold(r, "next") {
					continue
				}
				if next != "" && next != target || target == "" {
					return "", errLink
				}
				next = target
			}
		}
	}
	return next, nil
}

// linkParams reads the parameters of one link. It returns the first "rel" and
// what comes after the link.
func linkParams(s string) (rel, rest string, ok bool) {
	seen := false
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == ',' {
			return rel, s, true
		}
		if s[0] != ';' {
			return "", "", false
		}
		s = strings.TrimLeft(s[1:], " \t")
		end := strings.IndexAny(s, "=;, \t")
		if end < 0 {
			end = len(s)
		}
		name := s[:end]
		s = strings.TrimLeft(s[end:], " \t")
		value := ""
		if strings.HasPrefix(s, "=") {
			if value, s, ok = linkValue(strings.TrimLeft(s[1:], " \t")); !ok {
				return "", "", false
			}
		}
		if !seen && strings.EqualFold(name, "rel") {
			rel, seen = value, true
		}
	}
}

// linkValue reads a token or a quoted string.
func linkValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ";, \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
