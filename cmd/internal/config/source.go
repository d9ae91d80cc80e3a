package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/purge"
)

// Source is the system that says which tenants exist and are disabled.
type Source struct {
	Type string // a key of sourceTypes
	// Every is the time between two syncs.
	Every time.Duration
	// SyncTimeout bounds how long all tenants may be read.
	SyncTimeout time.Duration
	// MaxAge is how long ago the last good sync may have ended for a tenant to be
	// purged; 0 is [Source.Age].
	MaxAge time.Duration
	// MaxChange and MaxChangeFloor are those of [purge.SyncSettings].
	MaxChange      float64
	MaxChangeFloor int64
	// Options is the Config of the source's package, with references where it has
	// secrets; see [Resolve].
	Options any
}

// The bounds of Every.
const (
	minEvery = time.Second
	maxEvery = 7 * 24 * time.Hour
)

// Those of SyncTimeout and MaxAge.
const (
	minSyncTimeout, maxSyncTimeout = 10 * time.Second, 24 * time.Hour
	minMaxAge, maxMaxAge           = time.Minute, 30 * 24 * time.Hour
)

// Age returns MaxAge, or without one three times Every, and an hour at the least.
func (s *Source) Age() time.Duration {
	if s.MaxAge > 0 {
		return s.MaxAge
	}
	return max(3*s.Every, time.Hour)
}

// DefaultSource returns a source without a type.
func DefaultSource() Source {
	d := purge.DefaultSyncSettings()
	return Source{Every: 5 * time.Minute, SyncTimeout: d.Timeout, MaxChange: d.MaxChange, MaxChangeFloor: d.Floor}
}

// source is the source. Its error joins an itemError for each problem.
func source(key string, at func(*Config) **Source) field {
	return field{
		key: key,
		read: func(c *Config, n *yaml.Node) error {
			switch {
			case n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag:
				*at(c) = nil
				return nil
			case n.Kind != yaml.MappingNode:
				return errors.New("want a mapping with the keys type, every, syncTimeout, maxAge, maxChange, maxChangeFloor and those of the type")
			}
			s, errs := readSource(n)
			if len(errs) > 0 {
				return errors.Join(errs...)
			}
			*at(c) = &s
			return nil
		},
		show: func(c *Config) *yaml.Node {
			if *at(c) == nil {
				return node(nullTag, "null")
			}
			return showSource(**at(c))
		},
	}
}

// readSource reads the common keys, and beside them those of the type.
func readSource(n *yaml.Node) (Source, []error) {
	s := DefaultSource()
	own := keysOf(reflect.TypeFor[Source]())
	mine, its := split(n, own...)
	errs := readRecord("", mine, reflect.ValueOf(&s).Elem())
	bad := func(key string, format string, args ...any) {
		errs = append(errs, errorAt("", n, mine, key, fmt.Errorf(format, args...)))
	}
	if s.Every < minEvery || s.Every > maxEvery {
		bad("every", "want %s to %s", formatDuration(minEvery), formatDuration(maxEvery))
	}
	if s.SyncTimeout < minSyncTimeout || s.SyncTimeout > maxSyncTimeout {
		bad("syncTimeout", "want %s to %s", formatDuration(minSyncTimeout), formatDuration(maxSyncTimeout))
	}
	if s.MaxAge != 0 && (s.MaxAge < minMaxAge || s.MaxAge > maxMaxAge) {
		bad("maxAge", "want %s to %s, or 0s for three times every, and an hour at the least", formatDuration(minMaxAge), formatDuration(maxMaxAge))
	}
	if s.MaxAge != 0 && s.MaxAge <= s.Every {
		bad("maxAge", "want more than every, %s: between two syncs nobody would be purged", formatDuration(s.Every))
	}
	if s.MaxChange > 1 {
		bad("maxChange", "want a number from 0 to 1, such as 0.2")
	}
	if s.MaxChangeFloor < 0 {
		bad("maxChangeFloor", "want 0 or more")
	}
	kind, ok := sourceTypes()[s.Type]
	if !ok {
		bad("type", "want one of %s", strings.Join(slices.Sorted(maps.Keys(sourceTypes())), ", "))
		return s, errs
	}
	options := reflect.New(kind)
	errs = append(errs, readRecord("", its, options.Elem(), own...)...)
	s.Options = options.Elem().Interface()
	return s, errs
}

// showSource returns a source as readSource takes it.
func showSource(s Source) *yaml.Node {
	n := mappingNode()
	for _, c := range []struct {
		key   string
		value *yaml.Node
	}{
		{"type", showText(s.Type)}, {"every", node(strTag, formatDuration(s.Every))},
		{"syncTimeout", node(strTag, formatDuration(s.SyncTimeout))}, {"maxAge", node(strTag, formatDuration(s.MaxAge))},
		{"maxChange", showValue(reflect.ValueOf(s.MaxChange))}, {"maxChangeFloor", showValue(reflect.ValueOf(s.MaxChangeFloor))},
	} {
		n.Content = append(n.Content, node(strTag, c.key), c.value)
	}
	n.Content = append(n.Content, showRecord(reflect.ValueOf(s.Options)).Content...)
	return n
}
