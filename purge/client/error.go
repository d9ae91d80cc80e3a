package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// maxErrorBody bounds what is read of an answer that is an error, in bytes.
const maxErrorBody = 1 << 20

// readError turns an answer that is an error into the error that the server
// rendered. An answer of another shape, such as that of something between, is
// told by its status.
func (c *Client) readError(res *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if tls := c.spokeToTLS(res, b); tls != nil {
		return store.Errorf(store.Unavailable, "%w", tls)
	}
	var body ErrorBody
	if err == nil {
		err = json.Unmarshal(b, &body)
	}
	if err != nil || len(body.Errors) == 0 {
		return store.Errorf(OutcomeOfStatus(res.StatusCode).Code, "the answer is %s", res.Status)
	}
	return body.err(res.StatusCode)
}

// err returns the errors of the body, joined when there are several. status is
// taken for a problem without a code.
func (b *ErrorBody) err(status int) error {
	var all []error
	for _, p := range b.Errors {
		all = append(all, p.err(status))
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// err returns the error that the problem was rendered from.
func (p Problem) err(status int) error {
	var typed error
	if m := p.Meta; m != nil && m.Block != nil {
		typed = &store.BlockedError{TenantID: m.TenantID, Block: *m.Block}
	} else if m != nil && m.Gate != nil {
		typed = &store.GateError{Gate: *m.Gate}
	}
	e := p.storeError(status)
	switch {
	case typed == nil:
		return e
	case typed.Error() == p.Detail && store.CodeOf(typed) == e.Code:
		return typed
	}
	// It was wrapped: the message is the wrapper's, the cause is still there.
	return store.Errorf(e.Code, "%w", worded{p.Detail, typed}).At(e.Field)
}

// worded is an error with a message of its own.
type worded struct {
	message string
	cause   error
}

// Error implements error.
func (e worded) Error() string { return e.message }

// Unwrap returns the cause.
func (e worded) Unwrap() error { return e.cause }

// storeError returns the problem as an error of the store's.
func (p Problem) storeError(status int) *store.Error {
	code := p.Code
	if code == "" {
		code = OutcomeOfStatus(status).Code
	}
	e := store.Errorf(code, "%s", p.Detail)
	if f := p.Source.Field(); f != "" {
		e = e.At(f)
	}
	return e
}

// importErr returns the error that ended an import.
func (b *ErrorBody) importErr() error {
	if len(b.Errors) == 0 {
		return store.Errorf(store.Internal, "the import failed without saying why")
	}
	if b.Total == 0 { // not the input is at fault
		return b.err(http.StatusInternalServerError)
	}
	e := &ImportError{Total: b.Total, err: b.Errors[0].storeError(http.StatusBadRequest)}
	for _, p := range b.Errors {
		l := LineProblem{Field: p.Source.Field(), Code: p.Code, Message: p.Detail}
		if p.Source != nil {
			l.Line, l.ID = p.Source.Line, p.Source.ID
		}
		e.Problems = append(e.Problems, l)
	}
	return e
}

// Error implements error: one line a problem.
func (e *ImportError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		if p.Line > 0 {
			fmt.Fprintf(&b, "line %d: ", p.Line)
		}
		b.WriteString(p.Message)
	}
	if more := e.Total - int64(len(e.Problems)); more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// Unwrap returns the first problem as an error of the store's.
func (e *ImportError) Unwrap() error { return e.err }
