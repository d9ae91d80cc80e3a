package store

import (
	"strconv"
	"unicode/utf8"
)

// maxQuoted is how much of a text [Quote] shows, in bytes.
const maxQuoted = 64

// Quote quotes a text from outside for a message: what could forge a line of
// output is escaped, and of a long text only the beginning is shown, followed by
// three dots.
func Quote(s string) string {
	if begin := Cut(s, maxQuoted); begin != s {
		return strconv.Quote(begin) + "..."
	}
	return strconv.Quote(s)
}

// Cut returns the first limit bytes of s, or up to three fewer, so that no
// character is cut in two. Bytes that are not UTF-8 count as characters.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
