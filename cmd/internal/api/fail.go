package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// refusal is an error that HTTP has a status of its own for.
type refusal struct {
	status int
	err    *store.Error
}

// Error implements error.
func (e *refusal) Error() string { return e.err.Error() }

// Unwrap returns the error of the store's kind.
func (e *refusal) Unwrap() error { return e.err }

// parameterError is an error about a parameter of the path or the query, which
// the error's field names.
type parameterError struct {
	err *store.Error
}

// Error implements error.
func (e *parameterError) Error() string { return e.err.Error() }

// Unwrap returns the error of the store's kind.
func (e *parameterError) Unwrap() error { return e.err }

// parameterf returns an Invalid error about a parameter.
func parameterf(name, format string, args ...any) error {
	return &parameterError{store.Errorf(store.Invalid, format, args...).At(name)}
}

// inParameter says that the field of err is a parameter and not a member of the
// body.
func inParameter(err error) error {
	var e *store.Error
	if !errors.As(err, &e) {
		return err
	}
	return &parameterError{e}
}

// codeOf returns the code of an error. Beside [store.CodeOf] it knows that a
// context that ended is no defect.
func codeOf(err error) store.Code {
	var e *store.Error
	if !errors.As(err, &e) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return store.Unavailable
	}
	return store.CodeOf(err)
}

// problemOf renders an error, and returns its HTTP status.
func problemOf(err error) (client.Problem, int) {
	o := client.OutcomeOf(codeOf(err))
	var r *refusal
	if errors.As(err, &r) {
		o = client.OutcomeOfStatus(r.status)
	}
	p := client.Problem{Code: codeOf(err), Title: o.Title, Detail: err.Error(), Status: strconv.Itoa(o.Status)}
	var e *store.Error
	if errors.As(err, &e) && e.Field != "" {
		p.Source = &client.Source{}
		var param *parameterError
		if errors.As(err, &param) {
			p.Source.Parameter = e.Field
		} else {
			p.Source.Pointer = client.PointerTo(e.Field)
		}
	}
	var blocked *store.BlockedError
	var gate *store.GateError
	if errors.As(err, &blocked) {
		p.Meta = &client.Meta{TenantID: blocked.TenantID, Block: &blocked.Block}
	} else if errors.As(err, &gate) {
		p.Meta = &client.Meta{Gate: &gate.Gate}
	}
	return p, o.Status
}

// errorBody renders an error for the body of an answer to the request of ctx. An
// error that joins several has a problem for each, and the status of the first.
func errorBody(ctx context.Context, err error) (client.ErrorBody, int) {
	body := client.ErrorBody{TraceID: traceOf(ctx)}
	status := 0
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, err := range list {
		p, s := problemOf(err)
		p = told(ctx, p)
		body.Errors = append(body.Errors, p)
		if status == 0 {
			status = s
		}
	}
	return body, status
}

// remoteKey is the key of a true in the context of a request from elsewhere.
type remoteKey struct{}

// told returns what of a problem the caller of ctx is told. A defect may name
// paths, hosts or worse: elsewhere it is told by its trace id alone.
func told(ctx context.Context, p client.Problem) client.Problem {
	if remote, _ := ctx.Value(remoteKey{}).(bool); remote && p.Code == store.Internal {
		p.Detail, p.Source, p.Meta = "an internal error; the log has the details, with the trace id of this answer", nil, nil
	}
	return p
}

// fail answers with an error. Once the answer has begun it only notes it for
// the log.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	noteError(w, err)
	if begun(w) {
		return
	}
	body, status := errorBody(r.Context(), err)
	if err := reply(w, status, body); err != nil {
		noteError(w, err)
	}
}
