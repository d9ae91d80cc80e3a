package main

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether the descriptor is a terminal.
func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// printable returns s as it is if it can do no harm on a terminal or in a log,
// and quoted otherwise: control and bidirectional-override characters could
// forge a line or hide a part of one.
func printable(s string) string {
	harmful := func(r rune) bool {
		return r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029' ||
			unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.ContainsFunc(s, harmful) {
		return strconv.QuoteToASCII(s)
	}
	return s
}
