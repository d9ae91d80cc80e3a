package main_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmeMasks are the parts of an output that differ from one run to the next,
// with what stands for them. The dates of the example, 2025 and 2099, are kept.
var readmeMasks = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`^.*\x1b\[K`), ""}, // a line of progress, which is gone at once
	{regexp.MustCompile(`\b20(2[6-9]|[3-8]\d)-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{16,64}\b`), "HASH"},
	{regexp.MustCompile(`\b[0-9.]+ ?(ns|µs|ms|s)\b`), "DURATION"},
	{regexp.MustCompile(`\b[0-9.]+ ([KMG]iB|bytes)\b`), "SIZE"},
	{regexp.MustCompile(`\bpid \d+`), "PID"},
	{regexp.MustCompile(`"(pid|ms)":\d+`), `"$1":N`},
	{regexp.MustCompile(`\buid:\d+( \([^)]*\))?`), "UID"},
	{regexp.MustCompile(`\bversion \S+`), "VERSION"},
	{regexp.MustCompile(`/\S*/purger-data\b`), "DIRECTORY"},
	{regexp.MustCompile(`\s+`), " "},
}

// readmeLines returns the lines of text, masked.
func readmeLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		for _, m := range readmeMasks {
			line = m.pattern.ReplaceAllString(line, m.mask)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// readmeMatch reports whether out is what README.md shows. A line "..." stands
// for any number of lines. With prefix, out may go on.
func readmeMatch(shown, out string, prefix bool) bool {
	want, got := readmeLines(shown), readmeLines(out)
	free := false // whether lines of got may be passed over
	for len(want) > 0 {
		if want[0] == "..." {
			free, want = true, want[1:]
			continue
		}
		n := slices.Index(want, "...")
		if n < 0 {
			n = len(want)
		}
		part := want[:n]
		at := 0
		for at+n <= len(got) && !slices.Equal(part, got[at:at+n]) {
			if !free {
				return false
			}
			at++
		}
		if at+n > len(got) {
			return false
		}
		want, got, free = want[n:], got[at+n:], false
	}
	return free || prefix || len(got) == 0
}

func TestReadmeMatch_TellsWhatIsShownFromWhatIsNot(t *testing.T) {
	const out = "acme  deleted  2027-01-02T03:04:05.678Z\nzeta  blocked\nPass ok: in 12 ms.\n"
	for _, c := range []struct {
		shown  string
		prefix bool
		want   bool
	}{
		{shown: out, want: true},
		{shown: "acme deleted 2031-12-24T00:00:00.000Z\nzeta blocked\nPass ok: in 1.5 s.\n", want: true},
		{shown: "acme  deleted  2025-01-02T03:04:05.678Z\nzeta  blocked\nPass ok: in 12 ms.\n"},
		{shown: "acme  deleted  2027-01-02T03:04:05.678Z\nPass ok: in 12 ms.\n"},
		{shown: "...\nPass ok: in 12 ms.\n", want: true},
		{shown: "acme  deleted  2027-01-02T03:04:05.678Z\n...\n", want: true},
		{shown: "acme  deleted  2027-01-02T03:04:05.678Z\n"},
		{shown: "acme  deleted  2027-01-02T03:04:05.678Z\n", prefix: true, want: true},
		{shown: "zeta  blocked\n...\n"},
		{shown: "...\nzeta  failed\n...\n"},
		{shown: "...\n", want: true},
	} {
		if got := readmeMatch(c.shown, out, c.prefix); got != c.want {
			t.Errorf("shown %q (prefix: %t): match %t, want %t", c.shown, c.prefix, got, c.want)
		}
	}
}
