package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print writes the configuration as a file that Load reads to the same, every
// key in it.
func (c Config) Print(w io.Writer) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c.node()); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return enc.Close()
}

// MarshalYAML implements yaml.Marshaler.
func (c Config) MarshalYAML() (any, error) { return c.node(), nil }

// MarshalJSON implements json.Marshaler: the same keys and values, durations
// and sizes as strings.
func (c Config) MarshalJSON() ([]byte, error) {
	var v any
	if err := c.node().Decode(&v); err != nil {
		return nil, fmt.Errorf("print the configuration: %w", err)
	}
	return json.Marshal(v)
}

// node returns the configuration as a YAML mapping.
func (c Config) node() *yaml.Node {
	root := mappingNode()
	for _, f := range schema() {
		keys := strings.Split(f.key, ".")
		parent := root
		for _, name := range keys[:len(keys)-1] {
			parent = child(parent, name)
		}
		parent.Content = append(parent.Content, node(strTag, keys[len(keys)-1]), f.show(&c))
	}
	return root
}

func mappingNode() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

// child returns the mapping under the name. The schema keeps sections together,
// so that it is the last one or new.
func child(parent *yaml.Node, name string) *yaml.Node {
	if n := len(parent.Content); n > 0 && parent.Content[n-2].Value == name {
		return parent.Content[n-1]
	}
	m := mappingNode()
	parent.Content = append(parent.Content, node(strTag, name), m)
	return m
}

// Validate returns a *[Problems] with all that is wrong, or nil, for a
// configuration that was put together or changed after it was loaded.
func (c Config) Validate() error {
	_, _, problems := decode("", c.node())
	for i := range problems {
		problems[i].Line = 0
	}
	return problemsError(problems)
}
