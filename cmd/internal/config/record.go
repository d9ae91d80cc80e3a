package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// A record is a mapping that is read into a struct of another package, such as
// the settings of a target: the keys are the fields' names in lower camel case
// (BaseURL is baseUrl), or those of their yaml tags, and their types say what is
// taken. Fields of a type that is no part of a file are left out, as are those
// with the tag config:"-". Secrets have to be references, and only fields with a tag
// for it take them; see [Resolve].

// record reads a mapping into a struct.
type record struct {
	beside []string // further keys that there are at the top
	errs   []error
}

// readRecord reads n into the struct behind v, whose fields have their defaults.
// beside are the keys that somebody else reads. The errors are itemErrors.
func readRecord(path string, n *yaml.Node, v reflect.Value, beside ...string) []error {
	r := record{beside: beside}
	r.structure(path, n, v)
	return r.errs
}

func (r *record) fail(path string, n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, itemError{item: n, under: path, err: fmt.Errorf(format, args...)})
}

// structure reads a mapping.
func (r *record) structure(path string, n *yaml.Node, v reflect.Value) {
	names := slices.Clone(r.beside)
	for _, key := range keysOf(v.Type()) {
		if !slices.Contains(names, key) {
			names = append(names, key)
		}
	}
	r.beside = nil
	if n.Kind != yaml.MappingNode {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag {
			return
		}
		r.fail(path, n, "want a mapping with the keys %s", strings.Join(names, ", "))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := path + "." + short(key.Value)
		field, ok := fieldOf(v.Type(), key.Value)
		switch line, twice := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || !ok:
			want := "unknown key; want one of " + strings.Join(names, ", ")
			if near := nearest(key.Value, names); near != "" {
				want = "unknown key; did you mean " + near + "?"
			}
			r.errs = append(r.errs, itemError{item: key, under: at, err: errors.New(want), key: true})
		case twice:
			r.fail(at, value, "the key is in line %d already; want it once", line)
		case r.plain(at, key) && r.plain(at, value):
			first[key.Value] = key.Line
			r.value(at, value, v.FieldByIndex(field.Index), place{key: nameOf(field), tag: field.Tag.Get("config")})
		}
	}
}

// plain refuses what a file has only one way to say without; see decoder.plain.
func (r *record) plain(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fail(path, n, `aliases are not supported; want the value itself, in quotes when it begins with "*"`)
	case n.Anchor != "":
		r.fail(path, n, "anchors are not supported; want the value without &%s", short(n.Anchor))
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(path, n, "tags are not supported; want the value without %s", short(n.Tag))
	default:
		return true
	}
	return false
}

// place is where a value stands: under a key of a record, or, when it is free, under
// one that somebody has chosen.
type place struct {
	key  string
	free bool
	tag  string // of the field, which says whether it takes secrets
}

// value reads one value of any type that a file can hold.
func (r *record) value(path string, n *yaml.Node, v reflect.Value, in place) {
	if v.Type() != reflect.TypeFor[time.Duration]() {
		switch v.Kind() {
		case reflect.Struct:
			r.structure(path, n, v)
			return
		case reflect.Pointer:
			if v.IsNil() { // else it has the defaults
				v.Set(reflect.New(v.Type().Elem()))
			}
			r.value(path, n, v.Elem(), in)
			return
		case reflect.Slice:
			r.list(path, n, v, in)
			return
		case reflect.Map:
			r.table(path, n, v, in.tag)
			return
		default:
		}
	}
	if err := readScalar(n, v, in); err != nil {
		r.fail(path, n, "%w", err)
	}
}

// list reads a sequence.
func (r *record) list(path string, n *yaml.Node, v reflect.Value, in place) {
	if n.Kind != yaml.SequenceNode {
		r.fail(path, n, "want a list")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		if r.plain(at, item) {
			r.value(at, item, list.Index(i), in)
		}
	}
	v.Set(list)
}

// table reads a mapping whose keys are not known before; tag is that of its field.
func (r *record) table(path string, n *yaml.Node, v reflect.Value, tag string) {
	if n.Kind != yaml.MappingNode {
		r.fail(path, n, "want a mapping")
		return
	}
	table := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := path + "." + short(name.Value)
		if !r.plain(at, name) || !r.plain(at, value) {
			continue
		}
		key := reflect.New(v.Type().Key()).Elem()
		switch {
		case name.Kind != yaml.ScalarNode || name.ShortTag() != strTag || key.Kind() != reflect.String:
			r.fail(at, name, "want a name, in quotes when it looks like a number")
			continue
		default:
			key.SetString(name.Value)
		}
		if table.MapIndex(key).IsValid() {
			r.fail(at, name, "the key comes before; want it once")
			continue
		}
		one := reflect.New(v.Type().Elem()).Elem()
		r.value(at, value, one, place{name.Value, true, tag})
		table.SetMapIndex(key, one)
	}
	v.Set(table)
}

// readScalar reads one text, number, duration, or true or false.
func readScalar(n *yaml.Node, v reflect.Value, in place) error {
	want := wantOf(v)
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("want %s", want)
	}
	tag := n.ShortTag()
	switch {
	case tag == nullTag:
		return fmt.Errorf("want %s; without the key it is the default", want)
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := parseDuration(n.Value)
		if err == nil && d < 0 {
			return errors.New("want a positive duration, such as 30s")
		}
		if err != nil {
			return fmt.Errorf("want %s", want)
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		if hasSecret(in.key, n.Value, in.free) { // before its type, of which the error shows it
			return errSecretInFile
		}
		if !takesSecret(in.tag) && reference.MatchString(n.Value) {
			return errNoSecret
		}
		if kind := unknownReference(n.Value); kind != "" && takesSecret(in.tag) {
			return fmt.Errorf("${%s:...} refers to nothing; want ${credential:NAME} or ${file:/path}", kind)
		}
		if tag != strTag {
			return fmt.Errorf("want %s, in quotes: %s", want, quoted(n.Value))
		}
		v.SetString(n.Value)
	case reflect.Bool:
		if tag != boolTag || n.Value != "true" && n.Value != "false" {
			return fmt.Errorf("want %s", want)
		}
		v.SetBool(n.Value == "true")
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if tag != intTag || err != nil || v.OverflowInt(i) || strconv.FormatInt(i, 10) != n.Value {
			return fmt.Errorf("want %s", want)
		}
		v.SetInt(i)
	default: // the only other kind that keysOf lets through
		x, err := strconv.ParseFloat(n.Value, 64)
		if tag != intTag && tag != floatTag || err != nil || math.IsNaN(x) || x < 0 {
			return fmt.Errorf("want %s", want)
		}
		v.SetFloat(x)
	}
	return nil
}

// wantOf completes "want ...".
func wantOf(v reflect.Value) string {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return "a duration with a unit, such as 30s"
	}
	switch v.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	}
	return "a number of 0 or more"
}

// readable reports whether a file can hold a value of the type.
func readable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64, reflect.Struct:
		return true
	case reflect.Pointer, reflect.Slice:
		return readable(t.Elem())
	case reflect.Map:
		return t.Key().Kind() == reflect.String && readable(t.Elem())
	}
	return false
}

// fieldsOf returns the fields of a struct that are keys.
func fieldsOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		return !f.IsExported() || f.Anonymous || f.Tag.Get("config") == "-" || f.Tag.Get("config") == tagSecrets || !readable(f.Type)
	})
}

// keysOf returns the keys of a record.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, nameOf(f))
	}
	return keys
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for _, f := range fieldsOf(t) {
		if nameOf(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// nameOf returns the key of a field.
func nameOf(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
		return name
	}
	return keyOf(f.Name)
}

// keyOf returns a name in lower camel case: BatchSize is batchSize, DSN is dsn,
// BaseURL is baseUrl, URLPath is urlPath.
func keyOf(name string) string {
	r := []rune(name)
	out := make([]rune, len(r))
	for i := range r {
		// A word begins after a small letter, or with the last capital of many.
		begins := i > 0 && unicode.IsUpper(r[i]) && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1]))
		if out[i] = unicode.ToLower(r[i]); begins {
			out[i] = r[i]
		}
	}
	return string(out)
}

// showRecord returns the fields of the struct v that are not zero, as readRecord
// takes them. References to secrets are shown, which are no secrets.
func showRecord(v reflect.Value) *yaml.Node {
	n := mappingNode()
	for _, f := range fieldsOf(v.Type()) {
		if value := v.FieldByIndex(f.Index); !value.IsZero() {
			n.Content = append(n.Content, node(strTag, nameOf(f)), showValue(value))
		}
	}
	return n
}

func showValue(v reflect.Value) *yaml.Node {
	if d, ok := v.Interface().(time.Duration); ok {
		return node(strTag, formatDuration(d))
	}
	switch v.Kind() {
	case reflect.Struct:
		return showRecord(v)
	case reflect.Pointer:
		return showValue(v.Elem())
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v.Len() {
			n.Content = append(n.Content, showValue(v.Index(i)))
		}
		return n
	case reflect.Map:
		n := mappingNode()
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			n.Content = append(n.Content, showText(k.String()), showValue(v.MapIndex(k)))
		}
		return n
	case reflect.Bool:
		return node(boolTag, strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int64:
		return node(intTag, strconv.FormatInt(v.Int(), 10))
	case reflect.Float64:
		s, tag := strconv.FormatFloat(v.Float(), 'f', -1, 64), floatTag
		if !strings.Contains(s, ".") {
			tag = intTag
		}
		return node(tag, s)
	}
	return showText(v.String())
}
