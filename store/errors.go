package store

import (
	"errors"
	"fmt"
)

// Code classifies an error for whoever has to act on it. It is the same word
// in the store, in the HTTP API and in the client.
type Code string

// The codes.
const (
	// Invalid: the request itself is wrong; the same request never works.
	Invalid Code = "invalid"
	// NotFound: there is no such tenant, receipt or resource.
	NotFound Code = "not_found"
	// Gone: the tenant was purged; its tombstone remains.
	Gone Code = "gone"
	// Conflict: the record is another than the caller believed: a stale
	// version, an id that is taken, a claim that was superseded.
	Conflict Code = "conflict"
	// Precondition: the state of the tenant or of its family forbids it now.
	Precondition Code = "precondition"
	// Unauthenticated: the caller did not prove who it is.
	Unauthenticated Code = "unauthenticated"
	// Forbidden: the caller may not do this.
	Forbidden Code = "forbidden"
	// Exhausted: a limit is reached, or the disk has no room.
	Exhausted Code = "exhausted"
	// Unavailable: it may work later; a gate is closed or the store cannot
	// be written.
	Unavailable Code = "unavailable"
	// Internal: a defect or a corrupt store.
	Internal Code = "internal"
)

// Error is an error with a code. Field, where it is set, names what was wrong
// as the caller wrote it (a JSON member such as "purgeAfterDays").
type Error struct {
	Code  Code
	Field string
	msg   string
	cause error
}

// Errorf returns an error with the code; the format is that of [fmt.Errorf],
// including %w.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, msg: err.Error(), cause: err}
}

// At returns a copy of e that names the field at fault.
func (e *Error) At(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// Error implements error.
func (e *Error) Error() string { return e.msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf returns the code of the first error in err's chain that has one, and
// [Internal] for any other error. It returns "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var b *BlockedError
	if errors.As(err, &b) {
		return Precondition
	}
	var g *GateError
	if errors.As(err, &g) {
		return Unavailable
	}
	var s *SpaceError
	if errors.As(err, &s) {
		return Exhausted
	}
	return Internal
}

// BlockedError refuses a claim because of one tenant in the subtree. Its code
// is [Precondition].
type BlockedError struct {
	TenantID string
	Block    Block
}

// Error implements error.
func (e *BlockedError) Error() string {
	if e.Block.By == e.TenantID {
		return fmt.Sprintf("tenant %q is blocked: %s", e.TenantID, e.Block.Reason)
	}
	return fmt.Sprintf("tenant %q is blocked: %s of %q", e.TenantID, e.Block.Reason, e.Block.By)
}

// GateError refuses a claim because nothing at all may be claimed. Its code is
// [Unavailable].
type GateError struct {
	Gate Gate
}

// Error implements error.
func (e *GateError) Error() string {
	if e.Gate.Detail == "" {
		return fmt.Sprintf("purging is stopped: %s", e.Gate.Reason)
	}
	return fmt.Sprintf("purging is stopped: %s: %s", e.Gate.Reason, e.Gate.Detail)
}
