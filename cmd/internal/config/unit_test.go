package config

import (
	"strings"
	"testing"
	"time"
)

func TestFormatDuration_LeavesOutWhatIsZero(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Nanosecond: "1ns", 2500 * time.Microsecond: "2.5ms", 30 * time.Second: "30s", 5 * time.Minute: "5m",
		90 * time.Second: "1m30s", time.Hour: "1h", 90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s",
		10 * time.Minute: "10m", 100 * time.Hour: "100h", 10*time.Hour + 10*time.Minute: "10h10m", 8784 * time.Hour: "8784h",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
		if back, err := parseDuration(want); err != nil || back != d {
			t.Errorf("%q reads back as %v, %v", want, back, err)
		}
	}
}

func TestFormatSize_IsExactInTheLargestUnit(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 1: "1B", 1023: "1023B", 1024: "1KiB", 1 << 20: "1MiB", 4 << 30: "4GiB", 1536 << 20: "1536MiB", 1 << 40: "1TiB", 1<<40 + 1: "1099511627777B",
	} {
		if got := formatSize(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
		if back, err := parseSize(want); err != nil || back != n {
			t.Errorf("%q reads back as %d, %v", want, back, err)
		}
	}
}

func TestNearest_FindsTypingMistakesAndNothingElse(t *testing.T) {
	known := []string{"dataDir", "log", "web", "gracePeriod", "perDay", "perDayShare", "callTimeout"}
	for word, want := range map[string]string{
		"datadir": "dataDir", "dataDri": "dataDir", "dataDirectory": "dataDir", "lgo": "log", "logs": "log", "loq": "log",
		"gracePreiod": "gracePeriod", "grace_period": "gracePeriod", "call-timeout": "callTimeout",
		"perDay": "perDay", "perDays": "perDay", "perDayshare": "perDayShare",
		"x": "", "": "", "database": "", "weeb\x00log": "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistance_CountsASwapAsOne(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"é", "e", 1}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestSyntax_NamesTheLineThatCannotFollowThoseBefore(t *testing.T) {
	filler := strings.Repeat("# filler\n", maxSearchLines)
	for text, line := range map[string]int{
		"a: b: c":                              1,
		"log: {\nweb: 1\n":                     1,
		"log:\n  level: \"info\nweb: {}\n":     2,
		"log:\n  level: info\n format: json\n": 3,
		"log: {}\n\tweb: {}\n":                 2,
		"log: {}\nweb: {}\n...\nx\n":           4,
		"log: {}\nweb: *x\n":                   2,
		"log: {}\nweb: @x\nlog: {}\nlog: {}\n": 2,
		filler + "log: {}\n\tweb: {}\n":        maxSearchLines + 2, // not looked for: the reader's own
		"#" + strings.Repeat("x", maxSearchBytes) + "\nlog: {}\n\tweb: {}\n": 3,
	} {
		_, _, problems := parse("f", []byte(text))
		if len(problems) != 1 || problems[0].Line != line || !strings.HasPrefix(problems[0].Want, "not YAML: ") {
			t.Errorf("%.40q: %v, want one problem in line %d", text, problems, line)
		}
	}
}

func TestProblems_AreToldOneByOneUpToAHundred(t *testing.T) {
	_, err := load(t, strings.Repeat("x: 1\n", maxLines))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != maxLines || strings.Contains(lines[maxLines-1], "in all") {
		t.Errorf("%d problems are %d lines, the last one %s", maxLines, len(lines), lines[len(lines)-1])
	}
	_, err = load(t, strings.Repeat("x: 1\n", maxLines+1))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != maxLines+1 || lines[maxLines] != "101 problems in all; the first 100 are told" {
		t.Errorf("%d problems are %d lines, the last one %s", maxLines+1, len(lines), lines[len(lines)-1])
	}
}

func TestLoad_AHostileFileTakesNoTime(t *testing.T) {
	for name, text := range map[string]string{
		"nested":   strings.Repeat("[", maxSize),
		"indented": strings.Repeat("- ", maxSize/2),
		"long":     "dataDir: " + strings.Repeat("x", maxSize-20),
		"keys":     strings.Repeat("a: 1\n", maxSize/5),
		"anchors":  "a: &a [x]\n" + strings.Repeat("b: [*a,*a,*a,*a]\n", 1000),
		"lines":    strings.Repeat("- [\n", maxSearchLines-1),
	} {
		began := time.Now()
		if _, err := load(t, text); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestProblem_ShowsOneLineWhateverTheFileHolds(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\nb": `"a\nb"`, "\x1b[31m": `"\x1b[31m"`, "\u202e": `"\u202e"`, `a"b`: `"a\"b"`,
	} {
		if got := short(in); got != want {
			t.Errorf("short(%q) = %s, want %s", in, got, want)
		}
	}
	long := "é"
	for len(long) < 200 {
		long += "xé"
	}
	if got := short(long); len(got) > maxShown+3 || got[len(got)-3:] != "..." {
		t.Errorf("short of a long text is %q", got)
	}
}
