package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	module = "github.com/tenantpurge/purger"
	pgtest = module + "/purge/postgrestarget/pgtest"
)

// arrows holds, for each package, what it may import of this module. A key that
// ends in "/*" stands for the packages one below; they may also be imported by
// the tests of every layer above.
var arrows = map[string][]string{
	"store":                       {},
	"store/*":                     {"store"},
	"metrics":                     {"store"},
	"purge":                       {"metrics", "store"},
	"purge/*":                     {"purge", "purge/httpcall", "store"},
	"purge/httpcall":              {"purge", "store"},
	"purge/postgrestarget/pgtest": {},
	"purge/client":                {"purge", "store", "store/ndjson"},
	"scheduler":                   {"purge", "metrics", "store"},
	"cmd/internal/config":         {"scheduler", "purge", "purge/*", "metrics", "store"},
	"cmd/internal/api":            {"scheduler", "purge", "purge/client", "metrics", "store", "store/ndjson"},
	"cmd/purger":                  {"cmd/internal/*", "scheduler", "purge", "purge/*", "metrics", "store", "store/*"},
	"cmd/purger/disktest":         {}, // tests alone
	"cmd/purger/killtest":         {}, // tests alone
	"cmd/purger/postgrestest":     {}, // tests alone
	"deploy/nginx":                {}, // tests alone
	"deploy/prometheus":           {}, // tests alone
	"deploy/internal/deploytest":  {},
	"deploy/bench":                {"purge", "purge/postgrestarget", "purge/postgrestarget/pgtest", "purge/resttarget", "metrics", "store", "store/*"},
}

// rank orders the layers; a test imports nothing of a higher one.
var rank = []string{"store", "metrics", "purge", "scheduler", "cmd/internal", "cmd/purger", "deploy"}

// suites are the tests, and the packages that hold conformance suites and parts for them.
var suites = []string{"test", "store/storetest", "purge/targettest", "purge/postgrestarget/pgtest", "deploy/internal/deploytest"}

// homes holds, for each module of other people, the packages that may import
// it, and with "test" the tests of all of them.
var homes = map[string][]string{
	"github.com/robfig/cron":                 {"scheduler"},
	"go.etcd.io/bbolt":                       {"store/boltstore", "deploy/bench"}, // which compares with it
	"github.com/jackc/pgx":                   {"purge/postgrestarget", "purge/postgrestarget/pgtest", "purge/postgressource", "deploy/bench"},
	"github.com/prometheus/client_golang":    {"metrics", "cmd/internal/api", "deploy/bench", "test"},
	"github.com/prometheus/common":           {"metrics", "test"},
	"github.com/prometheus/exporter-toolkit": {"cmd/internal/api", "cmd/purger"},
	"go.yaml.in/yaml":                        {"cmd/internal/config", "cmd/purger", "test"},
	"github.com/spf13":                       {"cmd/purger"},
	"github.com/coreos/go-systemd":           {"cmd/purger"},
	"github.com/coreos/go-oidc":              {"cmd/internal/api"},
	"github.com/go-jose/go-jose":             {"cmd/internal/api", "test"},
	"github.com/cenkalti/backoff":            {"purge", "purge/*"},
	"go.uber.org/zap":                        {"store/*", "purge", "purge/*", "scheduler", "cmd/internal/config", "cmd/internal/api", "cmd/purger", "test"},
	"github.com/google/uuid":                 {"store/*", "purge", "purge/*", "scheduler", "cmd/internal/api", "cmd/purger", "test"},
	"github.com/tidwall/gjson":               {"purge/resttarget", "purge/restsource"},
	"golang.org/x":                           {"store/*", "purge", "purge/*", "scheduler", "cmd/internal/api", "cmd/purger", "deploy/bench", "test"},
	"github.com/google/go-cmp":               suites,
	"github.com/rogpeppe/go-internal":        suites,
	"go.uber.org/goleak":                     suites,
	"pgregory.net/rapid":                     suites,
	"github.com/anishathalye/porcupine":      suites,
	"github.com/santhosh-tekuri/jsonschema":  suites,
	"testing":                                suites,
	module + "/store/storetest":              {"test"},
	module + "/purge/targettest":             {"test"},
	pgtest:                                   {"test", "deploy/bench"},
	module + "/deploy/internal/deploytest":   {"test"},
	"log":                                    {},
	"log/slog":                               {"cmd/purger"}, // what exporter-toolkit logs to
}

// forbiddenNames are names that say nothing about what a package is for, or
// hide a package of the standard library.
var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "http", "errors"}

// listed is what go list tells about one package.
type listed struct {
	ImportPath, Name                   string
	Imports, TestImports, XTestImports []string
	Standard                           bool
	Module                             *struct{ Path string }
}

func TestArrows_PackagesImportOnlyWhatIsBelowThem(t *testing.T) {
	packages := goList(t, "./...")
	if len(packages) < 8 {
		t.Fatalf("go list names %d packages: too few to be all of them", len(packages))
	}
	for _, p := range packages {
		for _, complaint := range complaints(p) {
			t.Error(complaint)
		}
	}
}

func TestArrows_TheBinaryHoldsNoTestCode(t *testing.T) {
	linked := 0
	for _, p := range goList(t, "-deps", "./cmd/purger") {
		if p.Module == nil {
			continue
		}
		linked++
		allowed := allowedIn(p.ImportPath)
		shipped := func(home string) bool { return home != "deploy/bench" && !slices.Contains(suites, home) }
		if allowed != nil && !slices.ContainsFunc(allowed, shipped) {
			t.Errorf("cmd/purger links %s, which is for tests", p.ImportPath)
		}
	}
	if linked == 0 {
		t.Error("go list -deps names no package of any module")
	}
}

// TestArrows_EveryRuleCanFail breaks each rule once.
func TestArrows_EveryRuleCanFail(t *testing.T) {
	ours := func(path string) string { return module + "/" + path }
	for _, c := range []struct {
		from, imported string
		test, fine     bool
	}{
		{from: "store", imported: "go.uber.org/zap"},
		{from: "store", imported: ours("metrics")},
		{from: "store", imported: "crypto/sha256", fine: true},
		{from: "store/boltstore", imported: ours("metrics")},
		{from: "store/boltstore", imported: ours("store/ndjson")},
		{from: "store/boltstore", imported: ours("store/storetest"), test: true, fine: true},
		{from: "store/boltstore", imported: ours("purge"), test: true},
		{from: "metrics", imported: ours("purge")},
		{from: "metrics", imported: ours("store"), fine: true},
		{from: "purge", imported: ours("scheduler")},
		{from: "purge", imported: ours("store/boltstore")},
		{from: "purge", imported: ours("store/boltstore"), test: true, fine: true},
		{from: "purge", imported: ours("scheduler"), test: true},
		{from: "purge/resttarget", imported: ours("metrics")},
		{from: "purge/resttarget", imported: ours("purge"), fine: true},
		{from: "scheduler", imported: ours("cmd/internal/config")},
		{from: "cmd/internal/api", imported: ours("cmd/internal/config")},
		{from: "cmd/internal/config", imported: ours("cmd/internal/api")},
		{from: "cmd/internal/api", imported: ours("store/boltstore")},
		{from: "cmd/purger", imported: ours("store/boltstore"), fine: true},
		{from: "cmd/purger", imported: ours("store/storetest")},
		{from: "purge", imported: "github.com/robfig/cron/v3"},
		{from: "purge", imported: "go.etcd.io/bbolt"},
		{from: "scheduler", imported: "github.com/prometheus/client_golang/prometheus"},
		{from: "scheduler", imported: "github.com/prometheus/client_golang/prometheus", test: true, fine: true},
		{from: "cmd/internal/api", imported: "github.com/spf13/cobra"},
		{from: "scheduler", imported: "go.yaml.in/yaml/v3"},
		{from: "purge", imported: "github.com/google/go-cmp/cmp"},
		{from: "purge", imported: "testing"},
		{from: "deploy/bench", imported: ours("deploy/internal/deploytest")},
		{from: "deploy/nginx", imported: ours("deploy/internal/deploytest"), test: true, fine: true},
		{from: "purge", imported: "log"},
		{from: "purge", imported: "example.org/new/library"},
		{from: "purge/util", imported: "fmt"},
		{from: "store/http", imported: "fmt"},
		{from: "report", imported: "fmt"},
	} {
		p := listed{ImportPath: ours(c.from), Name: filepath.Base(c.from)}
		if c.test {
			p.XTestImports = []string{c.imported}
		} else {
			p.Imports = []string{c.imported}
		}
		if got := complaints(p); (len(got) == 0) != c.fine {
			t.Errorf("%s imports %s (test: %t): complaints %q, want none: %t", c.from, c.imported, c.test, got, c.fine)
		}
	}
}

func TestTopLevel_HoldsExactlyTheAgreedEntries(t *testing.T) {
	out := output(t, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	seen := map[string]bool{}
	for path := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		top, _, _ := strings.Cut(path, "/")
		seen[top] = true
	}
	got := slices.Sorted(func(yield func(string) bool) {
		for name := range seen {
			if !yield(name) {
				return
			}
		}
	})
	want := []string{".ci", ".gitignore", ".golangci.yml", "README.md", "cmd", "deploy", "go.mod", "go.sum", "metrics", "purge", "scheduler", "store"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries of the top level (-want +got):\n%s", diff)
	}
}

// complaints returns what is wrong with the name and the imports of p.
func complaints(p listed) []string {
	var found []string
	path := strings.TrimPrefix(p.ImportPath, module+"/")
	if slices.Contains(forbiddenNames, p.Name) || slices.Contains(forbiddenNames, filepath.Base(path)) {
		found = append(found, fmt.Sprintf("package %s: the name says nothing about what it is for", path))
	}
	may, known := lookUp(path)
	if !known {
		return append(found, fmt.Sprintf("package %s has no place among the arrows", path))
	}
	for _, imported := range p.Imports {
		if below, ok := strings.CutPrefix(imported, module+"/"); ok && !matches(may, below) {
			found = append(found, fmt.Sprintf("%s imports %s; it may import only %q", path, below, may))
		}
		found = append(found, strangers(path, imported, false)...)
	}
	for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
		if below, ok := strings.CutPrefix(imported, module+"/"); ok && layer(below) > layer(path) {
			found = append(found, fmt.Sprintf("a test of %s imports %s, which is above it", path, below))
		}
		found = append(found, strangers(path, imported, true)...)
	}
	return found
}

// strangers complains when imported is at home elsewhere or nowhere.
func strangers(path, imported string, test bool) []string {
	allowed := allowedIn(imported)
	if allowed == nil {
		first, _, _ := strings.Cut(imported, "/")
		if strings.Contains(first, ".") && !strings.HasPrefix(imported, module) {
			return []string{fmt.Sprintf("%s imports %s, which has no home yet: give it one in homes and in .golangci.yml", path, imported)}
		}
		return nil
	}
	if matches(allowed, path) || test && slices.Contains(allowed, "test") {
		return nil
	}
	return []string{fmt.Sprintf("%s imports %s, whose home is %q", path, imported, allowed)}
}

// allowedIn returns the homes of an import path, nil when it has none.
func allowedIn(imported string) []string {
	for prefix, allowed := range homes {
		if imported == prefix || !standardExact(prefix) && strings.HasPrefix(imported, prefix+"/") {
			return allowed
		}
	}
	return nil
}

// standardExact reports whether a key of homes is a package of the standard
// library, which does not stand for those below it.
func standardExact(prefix string) bool { return !strings.Contains(prefix, ".") && prefix != "testing" }

// lookUp returns what the package at path may import.
func lookUp(path string) ([]string, bool) {
	if may, ok := arrows[path]; ok {
		return may, true
	}
	may, ok := arrows[filepath.Dir(path)+"/*"]
	return may, ok
}

// matches reports whether path is in patterns, where "x/*" is anything one
// below x.
func matches(patterns []string, path string) bool {
	return slices.Contains(patterns, path) || slices.Contains(patterns, filepath.Dir(path)+"/*")
}

// layer returns the rank of the layer that path belongs to.
func layer(path string) int {
	return slices.IndexFunc(rank, func(top string) bool { return path == top || strings.HasPrefix(path, top+"/") })
}

// goList runs go list in the root of the module.
func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	out := output(t, "go", append([]string{"list", "-tags=long", "-json=ImportPath,Name,Imports,TestImports,XTestImports,Standard,Module"}, args...)...)
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// output runs a command in the root of the repository.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
