package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// Target is one system outside the store that holds resources.
type Target struct {
	Name   string
	Type   string // a key of targetTypes
	Policy TargetPolicy
	// Options is the Config of the target's package, with references where it has
	// secrets; see [Resolve]. It is nil for one that [Load] could not read.
	Options any
}

// TargetPolicy says how hard a target is worked; see [purge.Policy], of which this
// is the form in the file. It may change while the daemon runs.
type TargetPolicy struct {
	Concurrency                int
	Rate                       float64
	Burst                      int
	Timeout                    time.Duration
	Retries                    int
	BackoffInitial, BackoffMax time.Duration
	BreakerFailures            int
	BreakerCooldown            time.Duration
	Window                     string
}

// DefaultTargetPolicy returns that of a target of a type that sets none.
func DefaultTargetPolicy(typ string) TargetPolicy {
	p := purge.DefaultPolicy()
	if typ == typePostgres {
		p = postgrestarget.DefaultPolicy()
	}
	return TargetPolicy{
		Concurrency: p.Concurrency, Rate: p.Rate, Burst: p.Burst, Timeout: p.Timeout, Retries: p.Retries,
		BackoffInitial: p.BackoffInitial, BackoffMax: p.BackoffMax,
		BreakerFailures: p.BreakerFailures, BreakerCooldown: p.BreakerCooldown, Window: p.Window.String(),
	}
}

// Parsed returns the policy as the engine takes them. Its error joins one for
// each field that is wrong, with the field's key.
func (l TargetPolicy) Parsed() (purge.Policy, error) {
	p := purge.Policy{
		Concurrency: l.Concurrency, Rate: l.Rate, Burst: l.Burst, Timeout: l.Timeout, Retries: l.Retries,
		BackoffInitial: l.BackoffInitial, BackoffMax: l.BackoffMax,
		BreakerFailures: l.BreakerFailures, BreakerCooldown: l.BreakerCooldown,
	}
	var err error
	if p.Window, err = purge.ParseWindow(l.Window); err != nil {
		err = store.Errorf(store.Invalid, "%w", err).At("window")
	}
	return p, errors.Join(err, p.Validate(""))
}

// targets is the list of targets. Its error joins an itemError for each problem.
func targets(key string, at func(*Config) *[]Target) field {
	return field{
		key: key,
		read: func(c *Config, n *yaml.Node) error {
			switch {
			case n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag:
				*at(c) = nil
				return nil
			case n.Kind != yaml.SequenceNode:
				return errors.New("want a list of targets")
			}
			var list []Target
			var errs []error
			first := map[string]int{}
			for i, item := range n.Content {
				t, more := readTarget(fmt.Sprintf("[%d]", i), item)
				if line, twice := first[t.Name]; twice && t.Name != "" {
					more = append(more, itemError{item: item, under: fmt.Sprintf("[%d].name", i), key: true,
						err: fmt.Errorf("%q is the name of the target in line %d; want another", t.Name, line)})
				}
				if other, kind := sameRows(list, t); other != "" {
					more = append(more, itemError{item: item, under: fmt.Sprintf("[%d].kinds.%s", i, kind), key: true,
						err: fmt.Errorf("the target %s has the same table and tenant column, by the same dsn; want each row to be in one target", other)})
				}
				first[t.Name] = item.Line
				if len(more) > 0 {
					t.Options = nil
				}
				list, errs = append(list, t), append(errs, more...)
			}
			*at(c) = list
			return errors.Join(errs...)
		},
		show: func(c *Config) *yaml.Node {
			n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
			for _, t := range *at(c) {
				n.Content = append(n.Content, showTarget(t))
			}
			if len(n.Content) == 0 {
				n.Style = yaml.FlowStyle
			}
			return n
		},
	}
}

// sameRows returns which target of a list has rows that another one has, too, and of
// which kind they are there; "" for none.
func sameRows(list []Target, t Target) (other string, kind store.Kind) {
	c, _ := t.Options.(postgrestarget.Config)
	for _, earlier := range list {
		e, ok := earlier.Options.(postgrestarget.Config)
		if !ok || e.DSN == "" || e.DSN != c.DSN {
			continue
		}
		for _, kind := range store.Kinds() {
			for _, k := range e.Kinds {
				if k.SameRows(c.Kinds[kind]) {
					return earlier.Name, kind
				}
			}
		}
	}
	return "", ""
}

// readTarget reads one item: name, type and policy, and beside them the keys of
// the type.
func readTarget(path string, n *yaml.Node) (Target, []error) {
	var t Target
	if n.Kind != yaml.MappingNode {
		return t, []error{itemError{item: n, under: path, err: errors.New("want a mapping with the keys name, type, policy and those of the type")}}
	}
	var common struct {
		Name, Type string
		Policy     *TargetPolicy
	}
	mine, its := split(n, "name", "type", "policy")
	if typ := valueOf(mine, "type"); typ != nil {
		t.Policy = DefaultTargetPolicy(typ.Value)
	}
	common.Policy = &t.Policy
	errs := readRecord(path, mine, reflect.ValueOf(&common).Elem())
	t.Name, t.Type = common.Name, common.Type
	if common.Policy != nil {
		t.Policy = *common.Policy
	}
	bad := func(key string, err error) { errs = append(errs, errorAt(path, n, mine, key, err)) }
	if err := store.CheckID("name", t.Name); err != nil || t.Name == metrics.StoreTarget {
		bad("name", errors.New(`want a name of letters, digits and . _ : - that is not "store", such as crm`))
	}
	kind, ok := targetTypes()[t.Type]
	if !ok {
		bad("type", errors.New("want one of "+strings.Join(slices.Sorted(maps.Keys(targetTypes())), ", ")))
		return t, errs
	}
	options := reflect.New(kind)
	errs = append(errs, readRecord(path, its, options.Elem(), "name", "type", "policy")...)
	t.Options = options.Elem().Interface()
	policy, err := t.Policy.Parsed()
	if err != nil {
		errs = append(errs, policyErrors(path, n, mine, err)...)
	}
	if c, ok := t.Options.(postgrestarget.Config); ok && len(errs) == 0 {
		if err := c.CheckPolicy(policy); err != nil {
			errs = append(errs, errorAt(path, n, its, "statementTimeout", err))
		}
	}
	return t, errs
}

// split returns a mapping with the given keys, and one with all others.
func split(n *yaml.Node, keys ...string) (mine, others *yaml.Node) {
	mine, others = mappingNode(), mappingNode()
	mine.Line, others.Line = n.Line, n.Line
	for i := 0; i+1 < len(n.Content); i += 2 {
		to := others
		if slices.Contains(keys, n.Content[i].Value) {
			to = mine
		}
		to.Content = append(to.Content, n.Content[i], n.Content[i+1])
	}
	return mine, others
}

// errorAt is an error about a key of a mapping, at its value if it is there and
// else at n.
func errorAt(path string, n, mapping *yaml.Node, key string, err error) error {
	if value := valueOf(mapping, key); value != nil {
		return itemError{item: value, under: path + "." + key, err: err}
	}
	return itemError{item: n, under: path + "." + key, key: true, err: err}
}

// policyErrors puts each error of a policy where its key is.
func policyErrors(path string, n, mine *yaml.Node, err error) []error {
	var errs []error
	for _, err := range flatten(err) {
		key := ""
		if e := (*store.Error)(nil); errors.As(err, &e) {
			key = e.Field
		}
		in := valueOf(mine, "policy")
		errs = append(errs, errorAt(path+".policy", n, in, key, withoutValue(err, key, valueOf(in, key))))
	}
	return errs
}

// withoutValue takes from an error the key and its value, which the problem shows
// anyway.
func withoutValue(err error, key string, n *yaml.Node) error {
	if n == nil {
		return err
	}
	for _, value := range []string{n.Value, strconv.Quote(n.Value)} {
		if rest, ok := strings.CutPrefix(err.Error(), key+" "+value+": "); ok {
			return errors.New(rest)
		}
	}
	return err
}

// flatten returns the errors that others join.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, flatten(err)...)
	}
	return all
}

// valueOf returns the value of a key of a mapping; nil when there is none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if i := keyAt(n, key); i >= 0 {
		return n.Content[i+1]
	}
	return nil
}

// showTarget returns a target as readTarget takes it.
func showTarget(t Target) *yaml.Node {
	n := mappingNode()
	n.Content = append(n.Content, node(strTag, "name"), showText(t.Name), node(strTag, "type"), showText(t.Type))
	if t.Policy != DefaultTargetPolicy(t.Type) {
		n.Content = append(n.Content, node(strTag, "policy"), showRecord(reflect.ValueOf(t.Policy)))
	}
	n.Content = append(n.Content, showRecord(reflect.ValueOf(t.Options)).Content...)
	return n
}
