package ndjson

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// LineError is what is wrong with one line of the input. A line can have
// several.
type LineError struct {
	Line  int64  // 1 for the first
	ID    string // of the record, "" when it could not be read
	Field string // the member at fault, "" for the line as a whole
	Err   error
}

// Error implements error.
func (e LineError) Error() string {
	if e.ID == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d: %s: %v", e.Line, strconv.Quote(e.ID), e.Err)
}

// Unwrap returns Err.
func (e LineError) Unwrap() error { return e.Err }

// InvalidInput refuses an input. Nothing of it was written, unless it says so
// of a conflict that came up while writing.
type InvalidInput struct {
	// Code is [store.Invalid], or [store.Conflict] when the input is sound and
	// differs from what the store keeps.
	Code store.Code
	// Errors are the first ones, in the order of their lines.
	Errors []LineError
	// Total counts all of them.
	Total int64
}

// Error implements error. It holds every error of Errors on a line of its own.
func (e *InvalidInput) Error() string {
	var b strings.Builder
	what := "errors"
	if e.Code == store.Conflict {
		what = "conflicts"
	}
	if e.Total == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	fmt.Fprintf(&b, "%d %s in the input", e.Total, what)
	for _, l := range e.Errors {
		b.WriteByte('\n')
		b.WriteString(l.Error())
	}
	if more := e.Total - int64(len(e.Errors)); more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// As makes [store.CodeOf] find the code.
func (e *InvalidInput) As(target any) bool {
	t, ok := target.(**store.Error)
	if ok {
		*t = store.Errorf(e.Code, "%s", e.Error())
	}
	return ok
}

// collector keeps the errors of the first lines, whatever the order in which
// they are found, and counts all.
type collector struct {
	limit int
	first []LineError // sorted by line
	total int64
}

// add takes one error.
func (c *collector) add(e LineError) {
	c.total++
	if len(c.first) == c.limit {
		if c.limit == 0 || e.Line >= c.first[c.limit-1].Line {
			return
		}
		c.first = c.first[:c.limit-1]
	}
	at := sort.Search(len(c.first), func(i int) bool { return c.first[i].Line > e.Line })
	c.first = slices.Insert(c.first, at, e)
}

// wants reports whether an error of the line would be among those kept, so
// that a costly message need not be made in vain.
func (c *collector) wants(line int64) bool {
	return len(c.first) < c.limit || c.limit > 0 && line < c.first[c.limit-1].Line
}

// list returns what was collected as conflicts.
func (c *collector) list() []Conflict {
	var all []Conflict
	for _, e := range c.first {
		all = append(all, Conflict{e.Line, e.ID, e.Err.Error()})
	}
	return all
}

// err returns what was collected as an error, nil when there is nothing.
func (c *collector) err(code store.Code) error {
	if c.total == 0 {
		return nil
	}
	return &InvalidInput{Code: code, Errors: c.first, Total: c.total}
}
