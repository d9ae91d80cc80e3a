package httpcall

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Secrets are what the references in texts of a configuration stand for, by the
// reference as it is written, such as "${file:/etc/purger/key}". The texts keep their
// references, so that errors can show them; a secret is filled in only where a request
// is made, escaped for its place. The zero value has none.
type Secrets map[string]string

// Piece is a part of a text: literal, or a reference.
type Piece struct {
	Text string // as it is written
	// Secret is what a reference stands for.
	Secret    string
	Reference bool
}

// Split takes a text apart. What is no reference to one of the secrets is literal.
func (s Secrets) Split(text string) []Piece {
	var pieces []Piece
	for text != "" {
		at, first := len(text), ""
		for ref := range s {
			if i := strings.Index(text, ref); ref != "" && i >= 0 && i < at {
				at, first = i, ref
			}
		}
		if at > 0 {
			pieces = append(pieces, Piece{Text: text[:at]})
		}
		if first != "" {
			pieces = append(pieces, Piece{Text: first, Secret: s[first], Reference: true})
		}
		text = text[at+len(first):]
	}
	return pieces
}

// The errors of a URL with references. They show nothing of it.
var (
	errBeforePath = errors.New("nothing can be filled in before the path")
	errDots       = errors.New("the secret cannot be in a path: . and .. are resolved by servers")
)

// URL returns a URL, or a path with a query, with the secrets in the places of their
// references, percent-encoded, and how errors show it: "" for as usual, and else the
// part before the query with its references; see [Request.Shown]. An error has no code
// and shows references alone.
func (s Secrets) URL(text string) (filled, shown string, err error) {
	var b, path strings.Builder
	inPath, secret := true, false
	for _, p := range s.Split(text) {
		if !p.Reference {
			before, _, query := strings.Cut(p.Text, "?")
			if inPath {
				path.WriteString(before)
			}
			inPath = inPath && !query
			b.WriteString(p.Text)
			continue
		}
		if inPath {
			if !secret && !ReachesPath(b.String()) {
				return "", "", fmt.Errorf("%s: %w", p.Text, errBeforePath)
			}
			if _, err := PathSegment(p.Secret); err != nil {
				return "", "", fmt.Errorf("%s: %w", p.Text, errDots)
			}
			secret = true
			path.WriteString(p.Text)
		}
		b.WriteString(Escape(p.Secret))
	}
	if secret {
		shown = path.String()
	}
	return b.String(), shown, nil
}

// ReachesPath reports whether a URL that begins with a text has scheme and host in
// it: what comes behind belongs to the path, the query or the fragment.
func ReachesPath(begin string) bool {
	u, err := url.Parse(begin)
	return err == nil && strings.HasPrefix(u.Path, "/")
}
