package config

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/store"
)

// itemError is what is wrong with one item of a list or mapping.
type itemError struct {
	item  *yaml.Node
	under string // its path below the field, such as "[0].name"
	key   bool   // item is a key, and has no value to show
	err   error
}

// Error implements error.
func (e itemError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e itemError) Unwrap() error { return e.err }

// ids is a list of tenant ids. Its error joins an itemError for each bad item.
func ids(key string, at func(*Config) *[]string) field {
	const want = "a list of tenant ids, such as [acme, globex]"
	return field{
		key: key,
		read: func(c *Config, n *yaml.Node) error {
			switch {
			case n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag:
				*at(c) = nil
				return nil
			case n.Kind != yaml.SequenceNode:
				return fmt.Errorf("want %s", want)
			}
			var list []string
			var errs []error
			seen := map[string]int{}
			for _, item := range n.Content {
				err := checkItem(item)
				if line, twice := seen[item.Value]; err == nil && twice {
					err = errors.New("the same id comes before; want it once")
					if line > 0 {
						err = fmt.Errorf("the same id is in line %d; want it once", line)
					}
				}
				if err != nil {
					errs = append(errs, itemError{item: item, err: err})
					continue
				}
				seen[item.Value] = item.Line
				list = append(list, item.Value)
			}
			if len(errs) > 0 {
				return errors.Join(errs...)
			}
			*at(c) = list
			return nil
		},
		show: func(c *Config) *yaml.Node {
			n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
			for _, id := range *at(c) {
				n.Content = append(n.Content, node(strTag, id))
			}
			if len(n.Content) == 0 {
				n.Style = yaml.FlowStyle
			}
			return n
		},
	}
}

// checkItem refuses what is not the id of a tenant, and an id that YAML takes
// for a number or a date, since 007 and 7 are two tenants.
func checkItem(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == nullTag {
		return errors.New("want the id of a tenant")
	}
	if err := store.CheckID("id", n.Value); err != nil {
		return fmt.Errorf("want an id of letters, digits and . _ : - that begins with a letter or a digit, at most %d bytes", store.MaxIDLength)
	}
	if n.ShortTag() != strTag {
		return fmt.Errorf("want the id in quotes: %q", n.Value)
	}
	return nil
}
