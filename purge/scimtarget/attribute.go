package scimtarget

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// attribute is the path of an attribute: schema "" is that of the resource's own
// type, sub "" is none.
type attribute struct{ schema, name, sub string }

// parseAttribute reads a path by the grammar of RFC 7644, section 3.4.2.2. The
// version in a URN has a dot as a sub-attribute does; only what follows the last
// colon is a name.
func parseAttribute(path string) (attribute, error) {
	var a attribute
	rest := path
	if i := strings.LastIndexByte(path, ':'); i >= 0 {
		a.schema, rest = path[:i], path[i+1:]
		if !regexp.MustCompile(`^(?i:urn):[A-Za-z0-9][A-Za-z0-9-]*(:[A-Za-z0-9._-]+)+$`).MatchString(a.schema) {
			return a, store.Errorf(store.Invalid, "%q: %q is not a URN", path, a.schema)
		}
	}
	a.name, a.sub, _ = strings.Cut(rest, ".")
	name := regexp.MustCompile(`^[A-Za-z$][A-Za-z0-9_-]*$`)
	if !name.MatchString(a.name) || strings.Contains(rest, ".") && !name.MatchString(a.sub) {
		return a, store.Errorf(store.Invalid, "%q; want a name, name.sub or URN:name", path)
	}
	return a, nil
}

// String returns the path.
func (a attribute) String() string {
	s := a.name
	if a.schema != "" {
		s = a.schema + ":" + s
	}
	if a.sub != "" {
		s += "." + a.sub
	}
	return s
}

// filter returns the filter that finds what belongs to a tenant. The value is a
// JSON string, in which nothing ends it before its time. What JSON would write
// with \u is refused: servers do not agree on it.
func (a attribute) filter(tenantID string) (string, error) {
	value, err := httpcall.Quoted(tenantID)
	if err != nil {
		return "", err
	}
	return a.String() + ` eq "` + value + `"`, nil
}

// values returns what a resource has in the attribute. Anything but strings is
// an error: it could not be compared.
func (a attribute) values(resource map[string]json.RawMessage) ([]string, error) {
	container := resource
	if a.schema != "" {
		raw, err := member(resource, a.schema)
		switch {
		case err != nil:
			return nil, err
		case raw != nil:
			if err := json.Unmarshal(raw, &container); err != nil {
				return nil, store.Errorf(store.Unavailable, "%s is not an object", a.schema)
			}
		case strings.Contains(a.schema, ":extension:") || !strings.Contains(a.schema, ":schemas:core:"):
			// Only attributes of a core schema are at the top.
			return nil, nil
		}
	}
	raw, err := member(container, a.name)
	if raw == nil || err != nil {
		return nil, err
	}
	return texts(raw, a.sub)
}

// texts returns the strings in a value: itself, those of a list, or the
// sub-attribute of each.
func texts(raw json.RawMessage, sub string) ([]string, error) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	var values []string
	for _, raw := range list {
		if sub != "" {
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) != nil {
				return nil, store.Errorf(store.Unavailable, "a value without sub-attributes")
			}
			v, err := member(object, sub)
			if err != nil {
				return nil, err
			}
			if v == nil {
				continue
			}
			raw = v
		}
		var s *string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, store.Errorf(store.Unavailable, "a value that is not a string")
		}
		if s != nil {
			values = append(values, *s)
		}
	}
	return values, nil
}

// member finds an attribute by its name, of which case is no part (RFC 7643,
// section 2.1); nil when there is none. Two are an error: nobody knows which one the
// server goes by.
func member(object map[string]json.RawMessage, name string) (json.RawMessage, error) {
	var found json.RawMessage
	for k, v := range object {
		if !strings.EqualFold(k, name) {
			continue
		}
		if found != nil {
			return nil, store.Errorf(store.Unavailable, "%s is there twice, in upper and lower case", name)
		}
		found = v
	}
	return found, nil
}
