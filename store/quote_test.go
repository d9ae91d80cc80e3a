package store_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

func TestQuote_ShowsTheBeginningInOneLine(t *testing.T) {
	for s, want := range map[string]string{
		"":                             `""`,
		"acme":                         `"acme"`,
		"a\n\u202eb":                   `"a\n\u202eb"`,
		strings.Repeat("x", 64):        `"` + strings.Repeat("x", 64) + `"`,
		strings.Repeat("x", 65):        `"` + strings.Repeat("x", 64) + `"...`,
		strings.Repeat("\u00e4", 33):   `"` + strings.Repeat("\u00e4", 32) + `"...`,
		"x" + strings.Repeat("ä", 32):  `"x` + strings.Repeat("ä", 31) + `"...`,
		strings.Repeat("\xff", 70):     `"` + strings.Repeat(`\xff`, 64) + `"...`,
		strings.Repeat("\x80", 70):     `"` + strings.Repeat(`\x80`, 60) + `"...`,
		strings.Repeat("x", 1<<20)[5:]: `"` + strings.Repeat("x", 64) + `"...`,
	} {
		if got := store.Quote(s); got != want {
			t.Errorf("Quote(%.80q) = %s, want %s", s, got, want)
		}
	}
}

func TestCut_KeepsCharactersWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, limit := rapid.String().Draw(t, "text"), rapid.IntRange(0, 40).Draw(t, "limit")
		got := store.Cut(s, limit)
		switch {
		case !strings.HasPrefix(s, got) || len(got) > limit:
			t.Fatalf("Cut(%q, %d) = %q", s, limit, got)
		case utf8.ValidString(s) && !utf8.ValidString(got):
			t.Fatalf("Cut(%q, %d) = %q, which is not UTF-8", s, limit, got)
		case len(s) > limit && len(got) <= limit-utf8.UTFMax, len(s) <= limit && got != s:
			t.Fatalf("Cut(%q, %d) = %q, which is too short", s, limit, got)
		}
	})
}
