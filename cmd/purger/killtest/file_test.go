package killtest

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file is an import: the trees in it, and where it is.
type file struct {
	path    string
	tenants []*tenant
}

// writeFile writes an import of some trees, its lines in any order.
func writeFile(t *testing.T, rng *rand.Rand, dir string, trees []*tenant) *file {
	t.Helper()
	f := &file{path: filepath.Join(dir, trees[0].id+".ndjson")}
	var lines []string
	for _, tree := range trees {
		for _, n := range tree.subtree() {
			n.importOf = f
			f.tenants = append(f.tenants, n)
			lines = append(lines, n.lines()...)
		}
	}
	rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	if err := os.WriteFile(f.path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}
