package commandtarget

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tenantpurge/purger/store"
)

// protocolVersion is that of both the request and the answer.
const protocolVersion = 1

// The operations.
const (
	opCount = "count"
	opPurge = "purge"
	opCheck = "check"
)

// request is what the program reads.
type request struct {
	Version   int        `json:"version"`
	Operation string     `json:"operation"`
	Target    string     `json:"target"`
	TenantID  string     `json:"tenantId,omitempty"`
	Kind      store.Kind `json:"kind,omitempty"`
	Limit     int        `json:"limit,omitempty"`
	Resumed   *bool      `json:"resumed,omitempty"` // of a purge alone
}

// answer is what the program wrote; a member that was left out is nil.
type answer struct {
	version, count, deleted, retryAfter *int64
	more, inexact                       *bool
	err                                 *string
}

// decode reads an answer, which is one object without members that it does not
// know and without anything behind it. encoding/json would take a name in other
// letters, and the last one of two.
func decode(b []byte) (answer, error) {
	var a answer
	members := map[string]any{
		"version": &a.version, "count": &a.count, "deleted": &a.deleted, "more": &a.more,
		"inexact": &a.inexact, "error": &a.err, "retryAfterSeconds": &a.retryAfter,
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return answer{}, fmt.Errorf("want a JSON object on the standard output")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return answer{}, fmt.Errorf("the answer is no JSON: %w", err)
		}
		name, _ := t.(string)
		value, ok := members[name]
		if !ok {
			return answer{}, fmt.Errorf("the answer has the member %.64q, which is unknown or there twice", name)
		}
		delete(members, name)
		if err := dec.Decode(value); err != nil {
			return answer{}, fmt.Errorf("member %q of the answer: %w", name, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return answer{}, fmt.Errorf("the answer is no JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return answer{}, fmt.Errorf("there is more than one object on the standard output")
	}
	if a.version == nil || *a.version != protocolVersion {
		return answer{}, fmt.Errorf("want \"version\":%d in the answer", protocolVersion)
	}
	for name, n := range map[string]*int64{"count": a.count, "deleted": a.deleted, "retryAfterSeconds": a.retryAfter} {
		if n != nil && *n < 0 {
			return answer{}, fmt.Errorf("member %q of the answer is %d, want 0 or more", name, *n)
		}
	}
	return a, nil
}

// complete returns why the answer does not answer the operation.
func (a answer) complete(op string) error {
	var missing string
	switch {
	case a.err != nil || a.retryAfter != nil:
		return fmt.Errorf("the answer has an error and the exit code is 0")
	case op == opCount && a.count == nil:
		missing = "count"
	case op == opPurge && a.deleted == nil:
		missing = "deleted"
	case op == opPurge && a.more == nil:
		missing = "more"
	case op != opCount && a.count != nil, op != opPurge && (a.deleted != nil || a.more != nil || a.inexact != nil):
		return fmt.Errorf("the answer is to another operation than %s", op)
	default:
		return nil
	}
	return fmt.Errorf("the answer has no member %q", missing)
}

// throttled is an error of a program that said how long to wait.
type throttled struct {
	err   error
	after time.Duration
}

// Error implements error.
func (t throttled) Error() string { return t.err.Error() }

// Unwrap returns the error with the code.
func (t throttled) Unwrap() error { return t.err }

// RetryAfter implements [purge.RetryAfter].
func (t throttled) RetryAfter() time.Duration { return t.after }
