package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/store"
)

// field is one key of the file.
type field struct {
	key string // with those of its sections, "purge.backoff.max"
	// read sets the field of c from n. Its error says what would be right.
	read func(c *Config, n *yaml.Node) error
	// show returns the field of c as read takes it.
	show func(c *Config) *yaml.Node
}

// scalar returns a field that is no list. tags are the YAML types that parse
// is called for; want completes "want ...".
func scalar[T any](key string, at func(*Config) *T, want string, parse func(string) (T, error), format func(T) *yaml.Node, tags ...string) field {
	return field{
		key: key,
		read: func(c *Config, n *yaml.Node) error {
			switch {
			case n.Kind != yaml.ScalarNode:
				return fmt.Errorf("want %s", want)
			case n.ShortTag() == nullTag:
				return fmt.Errorf("want %s; without the key it is the default", want)
			}
			v, err := parse(n.Value)
			switch {
			case err != nil:
				return err
			case slices.Contains(tags, n.ShortTag()):
				*at(c) = v
				return nil
			case n.ShortTag() == strTag:
				return fmt.Errorf("want %s, without quotes", want)
			}
			return fmt.Errorf("want %s, in quotes: %s", want, quoted(n.Value))
		},
		show: func(c *Config) *yaml.Node { return format(*at(c)) },
	}
}

// The YAML types of scalars.
const (
	strTag   = "!!str"
	intTag   = "!!int"
	floatTag = "!!float"
	boolTag  = "!!bool"
	nullTag  = "!!null"
)

// node returns a scalar that is printed in the simplest style that reads back
// as the same type.
func node(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// text is a string that check accepts.
func text(key string, at func(*Config) *string, want string, check func(string) error) field {
	parse := func(s string) (string, error) {
		if err := store.CheckText("value", s, 4096); err != nil {
			return "", fmt.Errorf("want %s of printable characters, at most 4096 bytes", want)
		}
		return s, check(s)
	}
	return scalar(key, at, want, parse, showText, strTag)
}

func showText(s string) *yaml.Node {
	n := node(strTag, s)
	if s == "" || !isPlain(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// isPlain reports whether s needs no quotes, or such that the encoder adds by
// itself; what it writes in other characters does not always read back.
func isPlain(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return true
}

// choice is one of a few words.
func choice(key string, at func(*Config) *string, words ...string) field {
	want := "one of " + strings.Join(words, ", ")
	return text(key, at, want, func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("want %s", want)
		}
		return nil
	})
}

// flag is true or false.
func flag(key string, at func(*Config) *bool) field {
	const want = "true or false"
	parse := func(s string) (bool, error) {
		if s != "true" && s != "false" { // and not yes, on or TRUE, which readers of YAML take differently
			return false, errors.New("want " + want)
		}
		return s == "true", nil
	}
	return scalar(key, at, want, parse, func(v bool) *yaml.Node { return node(boolTag, strconv.FormatBool(v)) }, boolTag)
}

// whole is a whole number.
func whole[T int | int64](key string, at func(*Config) *T, low, high T) field {
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	parse := func(s string) (T, error) {
		v, err := strconv.ParseInt(s, 10, 64)
		// 010 is eight for half of the YAML readers and ten for the others.
		if err != nil || strconv.FormatInt(v, 10) != s || v < int64(low) || v > int64(high) {
			return 0, fmt.Errorf("want %s", want)
		}
		return T(v), nil
	}
	format := func(v T) *yaml.Node { return node(intTag, strconv.FormatInt(int64(v), 10)) }
	return scalar(key, at, want, parse, format, intTag)
}

// share is a number from 0 to 1.
func share(key string, at func(*Config) *float64) field {
	const want = "a number from 0 to 1, such as 0.10"
	parse := func(s string) (float64, error) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || v < 0 || v > 1 {
			return 0, fmt.Errorf("want %s", want)
		}
		return math.Abs(v), nil // -0 is 0
	}
	format := func(v float64) *yaml.Node {
		s, tag := strconv.FormatFloat(v, 'f', -1, 64), floatTag
		if !strings.Contains(s, ".") {
			tag = intTag // what s reads back as
		}
		return node(tag, s)
	}
	return scalar(key, at, want, parse, format, floatTag, intTag)
}

// quantity is a number with a unit: a duration or a size. example shows one.
func quantity[T ~int64](key string, at func(*Config) *T, what, example string, low, high T, parse func(string) (T, error), show func(T) string) field {
	want := fmt.Sprintf("%s with a unit, such as %s, from %s to %s", what, example, show(low), show(high))
	return scalar(key, at, want, func(s string) (T, error) {
		v, err := parse(s)
		if err != nil || cmp.Compare(v, low) < 0 || cmp.Compare(v, high) > 0 {
			return 0, fmt.Errorf("want %s", want)
		}
		return v, nil
	}, func(v T) *yaml.Node { return node(strTag, show(v)) }, strTag, intTag, floatTag)
}

// span is a duration.
func span(key string, at func(*Config) *time.Duration, example string, low, high time.Duration) field {
	return quantity(key, at, "a duration", example, low, high, parseDuration, formatDuration)
}

// size is a number of bytes.
func size(key string, at func(*Config) *int64, example string, low, high int64) field {
	return quantity(key, at, "a size", example, low, high, parseSize, formatSize)
}
