package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// rolesOf is a table of roles.
type rolesOf = map[string]client.Role

// roles is a mapping to roles. wantKey says what its keys are, and checkKey
// refuses others. Its error joins an itemError for each bad entry.
func roles(key string, at func(*Config) *rolesOf, wantKey string, checkKey func(string) error) field {
	return field{
		key: key,
		read: func(c *Config, n *yaml.Node) error {
			if n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag {
				*at(c) = nil
				return nil
			}
			if n.Kind != yaml.MappingNode {
				return fmt.Errorf("want a mapping of %s to a role", wantKey)
			}
			var table rolesOf // nil for an empty one, as for null
			if len(n.Content) > 0 {
				table = rolesOf{}
			}
			var errs []error
			for i := 0; i+1 < len(n.Content); i += 2 {
				name, value := n.Content[i], n.Content[i+1]
				if err := readRole(table, name, value, checkKey); err != nil {
					errs = append(errs, err)
				}
			}
			if len(errs) > 0 {
				return errors.Join(errs...)
			}
			*at(c) = table
			return nil
		},
		show: func(c *Config) *yaml.Node {
			n := mappingNode()
			for _, name := range slices.Sorted(maps.Keys(*at(c))) {
				n.Content = append(n.Content, showText(name), showText(string((*at(c))[name])))
			}
			if len(n.Content) == 0 {
				n.Style = yaml.FlowStyle
			}
			return n
		},
	}
}

// readRole reads one entry into the table.
func readRole(table rolesOf, name, value *yaml.Node, checkKey func(string) error) error {
	if name.Kind != yaml.ScalarNode || name.ShortTag() != strTag || store.CheckText("key", name.Value, store.MaxNameLength) != nil {
		return itemError{name, errors.New("want a key of printable characters, in quotes when it is a number")}
	}
	if err := checkKey(name.Value); err != nil {
		return itemError{name, err}
	}
	if _, twice := table[name.Value]; twice {
		return itemError{name, errors.New("the same key comes before; want it once")}
	}
	role, err := client.ParseRole(value.Value)
	if value.Kind != yaml.ScalarNode || err != nil {
		return itemError{value, errors.New("want one of tenant, viewer, operator, super_admin")}
	}
	table[name.Value] = role
	return nil
}
