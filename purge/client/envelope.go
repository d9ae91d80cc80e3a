package client

import (
	"strings"

	"github.com/tenantpurge/purger/store"
)

// ErrorBody is the body of every answer that is an error.
type ErrorBody struct {
	Errors  []Problem `json:"errors"` // at least one
	TraceID string    `json:"traceId,omitempty"`
	// Total is set where Errors holds only the first of more.
	Total int64 `json:"total,omitempty"`
}

// Problem is one error of an answer.
type Problem struct {
	Code   store.Code `json:"code"`
	Title  string     `json:"title"`
	Detail string     `json:"detail"`
	Status string     `json:"status"` // the HTTP status, as text
	Source *Source    `json:"source,omitempty"`
	Meta   *Meta      `json:"meta,omitempty"`
}

// Source says where in the request the error is.
type Source struct {
	// Pointer is a JSON pointer into the body (RFC 6901).
	Pointer string `json:"pointer,omitempty"`
	// Parameter is the name of a path or query parameter.
	Parameter string `json:"parameter,omitempty"`
	// Line is the line of an imported file, from 1, and ID that of its record.
	Line int64  `json:"line,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Meta carries what a typed error of the store holds besides its message.
type Meta struct {
	TenantID string       `json:"tenantId,omitempty"`
	Block    *store.Block `json:"block,omitempty"`
	Gate     *store.Gate  `json:"gate,omitempty"`
}

// PointerTo returns the JSON pointer of a field that is named as [store.Error]
// names it, members joined by dots.
func PointerTo(field string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	return "/" + strings.ReplaceAll(escape.Replace(field), ".", "/")
}

// Field returns the name that PointerTo or a parameter was made of; s may be
// nil.
func (s *Source) Field() string {
	switch {
	case s == nil:
		return ""
	case s.Parameter != "":
		return s.Parameter
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	return unescape.Replace(strings.ReplaceAll(strings.TrimPrefix(s.Pointer, "/"), "/", "."))
}
