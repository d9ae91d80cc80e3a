package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// section is a mapping of the file.
type section struct {
	fields   map[string]field
	sections map[string]*section
	keys     []string // of both, in order
}

// sections returns the schema as a tree.
func sections(fields []field) *section {
	root := newSection()
	for _, f := range fields {
		s, key := root, f.key
		for {
			name, rest, nested := strings.Cut(key, ".")
			if !nested {
				s.fields[name] = f
				s.keys = append(s.keys, name)
				break
			}
			if s.sections[name] == nil {
				s.sections[name] = newSection()
				s.keys = append(s.keys, name)
			}
			s, key = s.sections[name], rest
		}
	}
	return root
}

func newSection() *section {
	return &section{fields: map[string]field{}, sections: map[string]*section{}}
}

// decoder reads one document and collects what is wrong with it.
type decoder struct {
	file     string
	fields   []field
	config   Config
	set      map[string]*yaml.Node // what the document says of each field
	bad      map[string]bool       // the fields that have a problem of their own
	problems []Problem
}

// decode reads the document, nil for an empty one, over the defaults. set is
// what it says of each field.
func decode(file string, document *yaml.Node) (c Config, set map[string]*yaml.Node, problems []Problem) {
	d := decoder{file: file, fields: schema(), config: Default(), set: map[string]*yaml.Node{}, bad: map[string]bool{}}
	if document != nil {
		d.mapping(sections(d.fields), "", document)
	}
	d.relate()
	return d.config, d.set, d.problems
}

// problem notes what is wrong with the field, whose value is at n.
func (d *decoder) problem(key string, n *yaml.Node, want string) {
	d.bad[key] = true
	d.problems = append(d.problems, Problem{File: d.file, Line: n.Line, Field: key, Value: written(n), Want: want})
}

// mapping reads a section; prefix is its key with a dot behind, "" for the root.
func (d *decoder) mapping(s *section, prefix string, n *yaml.Node) {
	path := strings.TrimSuffix(prefix, ".")
	if !d.plain(path, n) || n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.problem(path, n, "want a mapping with the keys "+strings.Join(s.keys, ", "))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.problem(path, key, "want one of the keys "+strings.Join(s.keys, ", "))
			continue
		}
		full := prefix + key.Value
		f, isField := s.fields[key.Value]
		sub, isSection := s.sections[key.Value]
		if !isField && !isSection {
			d.problems = append(d.problems, Problem{File: d.file, Line: key.Line, Field: prefix + short(key.Value), Want: d.unknown(s, prefix, key)})
			continue
		}
		if line, twice := first[key.Value]; twice {
			d.problems = append(d.problems, Problem{File: d.file, Line: key.Line, Field: full, Value: written(value),
				Want: fmt.Sprintf("the key is in line %d already; want it once", line)})
			continue
		}
		first[key.Value] = key.Line
		switch {
		case !d.plain(full, key):
		case isSection:
			d.mapping(sub, full+".", value)
		default:
			d.field(f, value)
		}
	}
}

// unknown says what may have been meant by a key.
func (d *decoder) unknown(s *section, prefix string, key *yaml.Node) string {
	if key.Value == "<<" {
		return "merges are not supported; want the keys themselves"
	}
	if near := nearest(key.Value, s.keys); near != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", prefix+near)
	}
	// The right key in the wrong section.
	for _, f := range d.fields {
		if strings.HasSuffix(f.key, "."+key.Value) {
			return fmt.Sprintf("unknown key; did you mean %s?", f.key)
		}
	}
	return "unknown key; want one of " + strings.Join(s.keys, ", ")
}

// field reads one value.
func (d *decoder) field(f field, n *yaml.Node) {
	d.set[f.key] = n
	if !d.plain(f.key, n) {
		return
	}
	clean := true
	for _, item := range n.Content {
		clean = d.plain(f.key, item) && clean
	}
	if !clean {
		return
	}
	err := f.read(&d.config, n)
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			at := n
			var item itemError
			if errors.As(err, &item) {
				at = item.item
			}
			d.problem(f.key+item.under, at, err.Error())
			if item.key {
				d.problems[len(d.problems)-1].Value = ""
			}
			if errors.Is(err, errSecretInFile) { // what is told goes to terminals and logs
				d.problems[len(d.problems)-1].Value = hidden
			}
		}
		return
	}
	d.problem(f.key, n, err.Error())
}

// plain refuses aliases, anchors and tags: the file has one meaning for
// whoever reads it from top to bottom.
func (d *decoder) plain(key string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.problem(key, n, `aliases are not supported; want the value itself, in quotes when it begins with "*"`)
	case n.Anchor != "":
		d.problem(key, n, fmt.Sprintf("anchors are not supported; want the value without &%s, in quotes when it begins with \"&\"", short(n.Anchor)))
	case n.Style&yaml.TaggedStyle != 0:
		d.problem(key, n, fmt.Sprintf("tags are not supported; want the value without %s", short(n.Tag)))
	default:
		return true
	}
	return false
}

// relate looks at the rules between fields. The problem is that of the second
// one, in the line of the one that the document sets.
func (d *decoder) relate() {
	for _, r := range relations() {
		if d.bad[r.first] || d.bad[r.second] || r.holds(&d.config) {
			continue
		}
		p := Problem{File: d.file, Field: r.second, Want: r.want(&d.config)}
		if n := d.set[r.second]; n != nil {
			p.Line, p.Value = n.Line, written(n)
		} else {
			i := slices.IndexFunc(d.fields, func(f field) bool { return f.key == r.second })
			p.Line, p.Value = d.set[r.first].Line, written(d.fields[i].show(&d.config))+" (the default)"
		}
		d.problems = append(d.problems, p)
	}
}
