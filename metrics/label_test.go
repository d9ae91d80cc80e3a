package metrics

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// constants returns the values of the string constants of the type that the
// package in the folder declares.
func constants(t *testing.T, folder, typeName string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, e.Name()), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typeName {
				return true
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, s)
				}
			}
			return true
		})
	}
	return values
}

// metrics may not import the packages that say these words.
func TestLabels_AreTheWordsOfTheOtherPackages(t *testing.T) {
	for name, c := range map[string]struct {
		ours             []string
		folder, typeName string
		without          string // a word that is no label value: dry runs are not counted
	}{
		"triggers":      {triggers(), "../purge", "Trigger", "plan"},
		"results":       {results(), "../purge", "Result", "planned"},
		"reasons":       {reasons(), "../store", "Code", ""},
		"kinds":         {kinds(), "../store", "Kind", ""},
		"postponements": {postponements(), "../purge", "PostponeReason", ""},
		"source checks": {sourceChecks(), "../purge", "checkResult", ""},
		"sync results":  {syncResults(), "../store", "SyncResult", ""},
	} {
		theirs := slices.DeleteFunc(constants(t, c.folder, c.typeName), func(s string) bool { return s == c.without })
		ours := slices.Clone(c.ours)
		slices.Sort(ours)
		slices.Sort(theirs)
		if !slices.Equal(ours, theirs) {
			t.Errorf("%s: the label has %q, package %s has %q", name, ours, c.folder, theirs)
		}
	}
}

func TestBounded_TellsTheFirstUseOfEachValueOnce(t *testing.T) {
	b := &bounded{max: 2}
	for _, c := range []struct {
		in, label string
		first     bool
	}{
		{"a", "a", true}, {"a", "a", false}, {"b", "b", true},
		{"c", other, true}, {"d", other, false}, {"c", other, false}, {"a", "a", false},
	} {
		if label, first := b.value(c.in); label != c.label || first != c.first {
			t.Errorf("value(%q) = %q, %t; want %q, %t", c.in, label, first, c.label, c.first)
		}
	}
	if label, _ := (&bounded{max: 1}).value("x\xff"); label != "x\uFFFD" {
		t.Errorf("invalid UTF-8 became %q", label)
	}
}

func TestBounded_OneOfManyIsTheFirst(t *testing.T) {
	b := &bounded{max: 2}
	var mu sync.Mutex
	firsts := 0
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, first := b.value("a"); first {
				mu.Lock()
				firsts++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if firsts != 1 {
		t.Errorf("%d callers were the first, want 1", firsts)
	}
}
