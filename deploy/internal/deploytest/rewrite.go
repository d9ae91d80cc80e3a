package deploytest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Rewrite copies a file of deploy/ into a directory, with every match of the patterns
// replaced as by [regexp.Regexp.ReplaceAll], and returns the path of the copy. A
// pattern without a match ends the test: the copy would not be what is meant.
func Rewrite(t testing.TB, path, dir string, patterns map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, with := range patterns {
		re := regexp.MustCompile(pattern)
		if !re.Match(text) {
			t.Fatalf("%s has nothing like %s", path, pattern)
		}
		text = re.ReplaceAll(text, []byte(with))
	}
	return Write(t, dir, filepath.Base(path), string(text))
}

// Write writes a file into a directory and returns its path.
func Write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
