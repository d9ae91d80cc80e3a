package purge

import (
	"strings"
	"unicode"

	"github.com/tenantpurge/purger/store"
)

// maxErrorLength bounds the text of an error that is kept, in bytes.
const maxErrorLength = 1024

// printable returns err's text in one printable line of bounded length: it may
// come from anywhere, and goes to records, logs and terminals.
func printable(err error) string { return printableText(err.Error()) }

// printableText is printable for a text.
func printableText(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxErrorLength {
		s = store.Cut(s, maxErrorLength-3) + "..."
	}
	return s
}
