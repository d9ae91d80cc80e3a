package config

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// leftOut is a key with its default, as a file in deploy shows it: "#key:", while
// there is a space in front of prose.
var leftOut = regexp.MustCompile(`(?m)^( *(?:- )?)#([A-Za-z]+:(?: |$))`)

// Each type has a file in deploy that has every key of its Config, each below what it
// means, and none that there is not.
func TestExternal_EachTypeHasAFileThatDocumentsEveryKey(t *testing.T) {
	for _, of := range []struct {
		dir    string
		types  map[string]reflect.Type
		common []string
	}{
		{"targets", targetTypes(), []string{"name", "type"}},
		{"sources", sourceTypes(), []string{"type", "every", "syncTimeout", "maxAge", "maxChange", "maxChangeFloor"}},
	} {
		for _, name := range slices.Sorted(maps.Keys(of.types)) {
			t.Run(of.dir+"/"+name, func(t *testing.T) {
				path := "../../../deploy/" + of.dir + "/" + name + ".yaml"
				if _, err := Load(path); err != nil {
					t.Errorf("as it stands: %v", err)
				}
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				var doc yaml.Node
				if err := yaml.Unmarshal(leftOut.ReplaceAll(text, []byte("$1$2")), &doc); err != nil {
					t.Fatal(err)
				}
				item := valueOf(doc.Content[0], strings.TrimSuffix(of.dir, "s"))
				if of.dir == "targets" {
					item = valueOf(doc.Content[0], of.dir).Content[0]
				}
				common, its := split(item, append(of.common, "policy")...)
				for _, key := range of.common {
					if valueOf(common, key) == nil {
						t.Errorf("%s is not in it", key)
					}
				}
				if name == typePostgres && of.dir == "targets" {
					p := DefaultTargetPolicy(name)
					if errs := readRecord("policy", valueOf(common, "policy"), reflect.ValueOf(&p).Elem()); len(errs) > 0 || p != DefaultTargetPolicy(name) {
						t.Errorf("policy: %+v, %v", p, errs)
					}
					undocumented(t, "policy", reflect.TypeFor[TargetPolicy](), []*yaml.Node{valueOf(common, "policy")}, strings.Split(string(text), "\n"))
				}
				if errs := readRecord("", its, reflect.New(of.types[name]).Elem()); len(errs) > 0 {
					t.Errorf("with all that is left out: %v", errs)
				}
				known := of.types[name]
				lines := strings.Split(string(text), "\n")
				for _, key := range of.common {
					if n := keyIn(common, key); n != nil && !documented(n, lines) {
						t.Errorf("%s has no comment above it", key)
					}
				}
				if of.dir == "targets" {
					its.Content = append(its.Content, common.Content...) // Config has the name, too
				}
				undocumented(t, "", known, []*yaml.Node{its}, lines)
			})
		}
	}
}

// undocumented tells which fields of a struct none of the mappings has, and which
// have no comment where they are for the first time.
func undocumented(t *testing.T, path string, typ reflect.Type, in []*yaml.Node, lines []string) {
	t.Helper()
	for _, f := range fieldsOf(typ) {
		at := path + "." + nameOf(f)
		var keys, values []*yaml.Node
		for _, n := range in {
			if key := keyIn(n, nameOf(f)); key != nil {
				keys, values = append(keys, key), append(values, valueOf(n, nameOf(f)))
			}
		}
		if len(keys) == 0 {
			t.Errorf("%s is not in it", at)
			continue
		}
		if !documented(keys[0], lines) {
			t.Errorf("%s has no comment above it", at)
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if k := inner.Kind(); k == reflect.Slice || k == reflect.Map {
			inner = inner.Elem()
			var items []*yaml.Node
			for _, v := range values {
				for i, n := range v.Content {
					if k == reflect.Slice || i%2 == 1 {
						items = append(items, n)
					}
				}
			}
			values = items
		}
		if inner.Kind() == reflect.Struct && len(fieldsOf(inner)) > 0 && !seenElsewhere(values) {
			undocumented(t, at, inner, values, lines)
		}
	}
}

// seenElsewhere reports whether all mappings are in one line: they have the keys of
// another one, which has them all.
func seenElsewhere(values []*yaml.Node) bool {
	return !slices.ContainsFunc(values, func(n *yaml.Node) bool { return n.Style&yaml.FlowStyle == 0 })
}

// documented reports whether prose is above a key.
func documented(key *yaml.Node, lines []string) bool {
	return strings.HasPrefix(strings.TrimSpace(lines[key.Line-2]), "# ")
}

// keyIn returns the node of a key, nil when it is not there.
func keyIn(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i]
		}
	}
	return nil
}
