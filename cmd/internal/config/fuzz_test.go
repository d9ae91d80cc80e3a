package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse: whatever is in a file, reading it ends with a configuration that
// prints and reads back as the same and that the engine takes, or with
// problems of one line each that name a line of the file.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/bad-*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, "../../../deploy/purger.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(full()))
	f.Add([]byte("dataDir: a\n---"))
	f.Add([]byte("dataDir: a\rlog: 1\r\nweb: 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, _, problems := parse("f", text)
		if len(problems) == 0 {
			checkAccepted(t, c)
		}
		last := 1 + bytes.Count(text, []byte("\n"))
		for _, p := range problems {
			if p.Line < 1 || p.Line > last {
				t.Errorf("%s: a file of %d lines", p, last)
			}
			if p.Want == "" {
				t.Errorf("%s: what would be right?", p)
			}
			if i := strings.IndexFunc(p.String(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%q: a character at %d forges output", p, i)
			}
		}
	})
}

// checkAccepted fails when c is not what an accepted file must give.
func checkAccepted(t *testing.T, c Config) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Errorf("accepted and not valid: %v", err)
	}
	if err := c.PurgeSettings().Validate(); err != nil {
		t.Errorf("accepted, and the engine refuses it: %v", err)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, _, problems := parse("printed", b.Bytes())
	if len(problems) > 0 {
		t.Fatalf("what is printed is refused: %v\n%s", problems, b.Bytes())
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("what is printed reads back as another: %s\n%s", diff, b.Bytes())
	}
}
