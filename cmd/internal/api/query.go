package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// query holds the query parameters of a request, each at most once.
type query map[string]string

// readQuery refuses a query that cannot be parsed, that has another parameter
// than those allowed, or has one twice.
func readQuery(r *http.Request, allowed []string) (query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "query: %w", err)
	}
	q := query{}
	for name, v := range values {
		switch {
		case !slices.Contains(allowed, name) && len(allowed) == 0:
			return nil, parameterf(cut(name), "parameter %s: there are none here", store.Quote(name))
		case !slices.Contains(allowed, name):
			return nil, parameterf(cut(name), "parameter %s: want %s", store.Quote(name), strings.Join(allowed, ", "))
		case len(v) > 1:
			return nil, parameterf(name, "parameter %s: given %d times", name, len(v))
		}
		q[name] = v[0]
	}
	return q, nil
}

// flag returns a parameter that is true or false; absent is false.
func (q query) flag(name string) (bool, error) {
	v, ok := q[name]
	switch {
	case !ok || v == "false":
		return false, nil
	case v == "true":
		return true, nil
	}
	return false, parameterf(name, "%s %s: want true or false", name, store.Quote(v))
}

// number returns a parameter that is a whole number from lowest to highest;
// absent is otherwise.
func (q query) number(name string, lowest, highest, otherwise int64) (int64, error) {
	v, ok := q[name]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	// Only the one way to write a number that ParseInt itself would choose.
	if err != nil || strconv.FormatInt(n, 10) != v || n < lowest || n > highest {
		return 0, parameterf(name, "%s %s: want a whole number, %d to %d", name, store.Quote(v), lowest, highest)
	}
	return n, nil
}

// oneOf returns a parameter that is one of several words; absent is the first.
func (q query) oneOf(name string, words ...string) (string, error) {
	v, ok := q[name]
	switch {
	case !ok:
		return words[0], nil
	case slices.Contains(words, v):
		return v, nil
	}
	return "", parameterf(name, "%s %s: want %s", name, store.Quote(v), strings.Join(words, " or "))
}

// maxQuote is how much of what a caller sent is told back, in bytes.
const maxQuote = 64

// cut returns what a caller sent, cut to a readable length.
func cut(s string) string { return store.Cut(s, maxQuote) }
