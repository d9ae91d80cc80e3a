package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// Problem is one thing that is wrong.
type Problem struct {
	File  string // as it was given; "" for a configuration that is no file
	Line  int    // from 1; 0 when it is about the whole file
	Field string // such as "purge.backoff.max"; "" when it is about no field
	Value string // as it was written, cut to a readable length; "" when there is none
	Want  string // what is wrong with it and what would be right
}

// String returns "file:line: field: value: want ..." without what is empty.
func (p Problem) String() string {
	var parts []string
	switch {
	case p.File != "" && p.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d", p.File, p.Line))
	case p.File != "":
		parts = append(parts, p.File)
	}
	for _, s := range []string{p.Field, p.Value, p.Want} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Problems is the error of a configuration that is not valid: everything that
// is wrong with it, in the order of the lines. Its code is [store.Invalid].
type Problems struct {
	List []Problem // never empty
}

// About reports whether one of the problems is at a field or in a section, such as
// "web".
func (p *Problems) About(field string) bool {
	return slices.ContainsFunc(p.List, func(v Problem) bool {
		return v.Field == field || strings.HasPrefix(v.Field, field+".") || strings.HasPrefix(v.Field, field+"[")
	})
}

// maxLines is how many problems are told one by one.
const maxLines = 100

// Error returns one line for each of the first 100 problems, and then their
// number.
func (p *Problems) Error() string {
	shown := p.List[:min(len(p.List), maxLines)]
	lines := make([]string, 0, len(shown)+1)
	for _, v := range shown {
		lines = append(lines, v.String())
	}
	if len(p.List) > len(shown) {
		lines = append(lines, fmt.Sprintf("%d problems in all; the first %d are told", len(p.List), len(shown)))
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets store.CodeOf find the code.
func (p *Problems) Unwrap() error {
	return store.Errorf(store.Invalid, "the configuration is not valid")
}

// problemsError returns the error of the list, nil for an empty one.
func problemsError(list []Problem) error {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b Problem) int { return a.Line - b.Line })
	return &Problems{List: list}
}
