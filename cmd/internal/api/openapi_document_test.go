package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// described is the document, for all tests of the package.
var described = sync.OnceValue(func() *document {
	d := &document{schemas: map[string]*jsonschema.Schema{}, members: map[string]bool{}, compiler: jsonschema.NewCompiler()}
	var err error
	if d.root, err = jsonschema.UnmarshalJSON(bytes.NewReader(openAPI)); err != nil {
		panic(err)
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(documentURL, d.root); err != nil {
		panic(err)
	}
	return d
})

// documentURL is the name of the document for its own references.
const documentURL = "http://purger/openapi.json"

// document is the description of the API, with its schemas. It is safe for
// concurrent use.
type document struct {
	root any

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by pointer
	members  map[string]bool               // that were in something that was exchanged, by pointer
}

// node is a place in the document: a JSON pointer, and what is there.
type node struct {
	doc   *document
	at    string
	value any
}

// at returns the place of a JSON pointer.
func (d *document) at(pointer string) node {
	n := node{d, "", d.root}
	for _, token := range strings.Split(pointer, "/")[1:] {
		n = n.get(strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"))
	}
	return n
}

// escaped returns a name as a token of a JSON pointer.
func escaped(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// get returns what is below, a reference followed. What is not there has no value.
func (n node) get(keys ...string) node {
	for _, key := range keys {
		members, _ := n.value.(map[string]any)
		n = node{n.doc, n.at + "/" + escaped(key), members[key]}
		if list, ok := n.value.(map[string]any); ok {
			if ref, ok := list["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
				n = n.doc.at(ref[1:])
			}
		}
	}
	return n
}

// there reports whether the document has the place.
func (n node) there() bool { return n.value != nil }

// isTrue reports whether the value is true.
func (n node) isTrue() bool {
	b, _ := n.value.(bool)
	return b
}

// text returns a string, "" for none.
func (n node) text() string {
	s, _ := n.value.(string)
	return s
}

// members returns the names of what is below.
func (n node) members() []string {
	m, _ := n.value.(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

// items returns the elements of an array, references followed.
func (n node) items() []node {
	list, _ := n.value.([]any)
	var all []node
	for i, v := range list {
		item := node{n.doc, fmt.Sprintf("%s/%d", n.at, i), v}
		if members, ok := v.(map[string]any); ok {
			if ref, ok := members["$ref"].(string); ok {
				item = n.doc.at(ref[1:])
			}
		}
		all = append(all, item)
	}
	return all
}

// validate holds a value, as [jsonschema.UnmarshalJSON] makes it, against the
// schema at the place.
func (n node) validate(v any) error {
	n.doc.mu.Lock()
	schema := n.doc.schemas[n.at]
	if schema == nil {
		var tokens []string
		for _, token := range strings.Split(n.at, "/") {
			tokens = append(tokens, url.PathEscape(token))
		}
		var err error
		if schema, err = n.doc.compiler.Compile(documentURL + "#" + strings.Join(tokens, "/")); err != nil {
			n.doc.mu.Unlock()
			return err
		}
		n.doc.schemas[n.at] = schema
	}
	n.doc.mu.Unlock()
	return schema.Validate(v)
}

// validateJSON is validate for JSON that was exchanged. It notes which members of
// the schemas that has.
func (n node) validateJSON(b []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err == nil {
		err = n.validate(v)
	}
	if err == nil {
		n.doc.mu.Lock()
		defer n.doc.mu.Unlock()
		n.mark(v)
	}
	return err
}

// mark notes the members of a value that is valid.
func (n node) mark(v any) {
	for _, key := range []string{"oneOf", "anyOf"} {
		for _, branch := range n.get(key).items() {
			branch.mark(v)
		}
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n.get("items").mark(item)
		}
	case map[string]any:
		for name, value := range v {
			if n.get("properties", name).there() {
				n.doc.members[n.at+"/properties/"+name] = true
				n.get("properties", name).mark(value)
			} else {
				n.get("additionalProperties").mark(value)
			}
		}
	}
}

// parameters returns those of an operation and of its path.
func (n node) parameters() []node {
	var all []node
	if i := strings.LastIndexByte(n.at, '/'); i > 0 {
		all = n.doc.at(n.at[:i] + "/parameters").items()
	}
	return append(all, n.get("parameters").items()...)
}

// methods are the names that operations have in a path.
func methods() []string {
	return []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}
}

// operations returns every operation by its method and path, such as
// "GET /api/v1/plan".
func (d *document) operations() map[string]node {
	all := map[string]node{}
	paths := d.at("/paths")
	for _, p := range paths.members() {
		for _, method := range methods() {
			if o := paths.get(p, method); o.there() {
				all[strings.ToUpper(method)+" "+p] = o
			}
		}
	}
	return all
}

// find returns the path of the document that a request is for, which begins with
// no dot segments and has no empty ones.
func (d *document) find(escaped string) (item node, found bool) {
	if clean := path.Clean(escaped); clean != escaped && clean+"/" != escaped {
		return node{}, false
	}
	if escaped == GatePath || strings.HasPrefix(escaped, GatePath+"/") {
		return d.at("/paths").get(GatePath), true
	}
	got := strings.Split(escaped, "/")
	best := ""
	for _, template := range d.at("/paths").members() {
		want := strings.Split(template, "/")
		fits := len(got) == len(want)
		for i := 0; fits && i < len(want); i++ {
			variable := strings.HasPrefix(want[i], "{")
			given, err := url.PathUnescape(got[i])
			fits = err == nil && (given == want[i] || variable && given != "")
		}
		if fits && (best == "" || strings.Count(template, "{") < strings.Count(best, "{")) {
			best = template
		}
	}
	return d.at("/paths").get(best), best != ""
}

// TestOpenAPI_IsWhatTheSpecificationAllows holds the document against the schema
// of OpenAPI 3.1, and each schema in it against that of JSON Schema.
func TestOpenAPI_IsWhatTheSpecificationAllows(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/openapi/schema-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	d := described()
	if err := schema.Validate(d.root); err != nil {
		t.Error(err)
	}
	ids := map[string]string{}
	for what, o := range d.operations() {
		id := o.get("operationId").text()
		if other := ids[id]; id == "" || other != "" {
			t.Errorf("%s: the operationId %q is that of %q, too", what, id, other)
		}
		ids[id] = what
	}
	used := map[string]bool{}
	d.walk("", d.root, func(at string, m map[string]any) {
		if ref, ok := m["$ref"].(string); ok {
			used[ref] = true
			if len(ref) == 0 || ref[0] != '#' || !d.at(ref[1:]).there() {
				t.Errorf("%s: there is no %s", at, ref)
			}
		}
	})
	for _, kind := range []string{"parameters", "headers", "responses", "schemas"} {
		for _, name := range d.at("/components/" + kind).members() {
			if at := "#/components/" + kind + "/" + name; !used[at] {
				t.Errorf("nothing refers to %s", at)
			}
		}
	}
}

// walk calls f for every object below a place.
func (d *document) walk(at string, v any, f func(at string, m map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(at, v)
		for key, below := range v {
			d.walk(at+"/"+escaped(key), below, f)
		}
	case []any:
		for i, below := range v {
			d.walk(fmt.Sprintf("%s/%d", at, i), below, f)
		}
	}
}

// TestOpenAPI_SchemasAndExamplesAreSound compiles every schema and validates every
// example.
func TestOpenAPI_SchemasAndExamplesAreSound(t *testing.T) {
	d := described()
	examples := 0
	d.walk("", d.root, func(at string, m map[string]any) {
		schema := node{d, at, m}.get("schema")
		if line, ok := m["x-line-schema"]; ok && line != nil {
			schema = node{d, at, m}.get("x-line-schema")
		}
		if schema.there() && !strings.Contains(at, "/properties/") {
			if err := schema.validate(nil); err != nil && strings.Contains(err.Error(), "failed to compile") {
				t.Errorf("%s: %v", at, err)
			}
		}
		if example, ok := m["example"]; ok {
			examples++
			if err := schema.validate(example); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
	})
	for _, name := range d.at("/components/schemas").members() {
		schema := d.at("/components/schemas").get(name)
		list, _ := schema.get("examples").value.([]any)
		for _, example := range list {
			if err := schema.validate(example); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if examples < 20 {
		t.Errorf("%d examples", examples)
	}
}

// The answers are closed: a member that is not described is a mistake.
func TestOpenAPI_ObjectsAreClosed(t *testing.T) {
	d := described()
	open := map[string]bool{ // whose members nobody but the caller knows
		"/components/schemas/Record/oneOf/1/properties/data": true, "/components/schemas/PendingCall/properties/body": true,
		"/paths/~1openapi.json/get/responses/200/content/application~1json/schema": true, "/components/schemas/None": true,
	}
	d.walk("", d.root, func(at string, m map[string]any) {
		if _, closed := m["additionalProperties"]; m["type"] == "object" && !closed && !open[at] && strings.Contains(strings.ToLower(at), "schema") {
			t.Errorf("%s: want additionalProperties", at)
		}
	})
}

// decodeAs decodes the value of a place.
func decodeAs[T any](t *testing.T, n node) T {
	t.Helper()
	var out T
	b, err := json.Marshal(n.value)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatalf("%s: %v", n.at, err)
	}
	return out
}
