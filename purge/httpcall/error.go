package httpcall

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tenantpurge/purger/store"
)

// maxRetryAfter is the longest wait that a server may ask for.
const maxRetryAfter = 24 * time.Hour

// Error is a call that brought no answer to work with. Its code, found by
// [store.CodeOf], is:
//
//   - [store.Internal] when the request may have been carried out and the answer
//     was lost: cut off, timed out, too large, cancelled, a redirect, 408, or any
//     status from 500 on: a gateway answers 503 when its connection ended, which
//     may be after the effect. The error of a context is then in the chain.
//   - [store.Unavailable] when nothing can have been changed: no connection; or
//     when the request is safe, whatever happened to it. The error of a context is
//     not in the chain, so that nobody takes it for lost.
//   - [store.Exhausted] for 429, which is said before anything is done.
//   - [store.Forbidden] for a host that is not configured, and for 403.
//   - [store.Unauthenticated] for 401 and for a token that was not issued.
//   - The code of the status otherwise: [store.NotFound] for 404, [store.Gone] for 410,
//     [store.Conflict] for 409 and 423, [store.Precondition] for 412 and 428,
//     [store.Unavailable] for 425, and [store.Invalid] for any other below 500.
type Error struct {
	// Status is that of the answer; 0 without one.
	Status int
	// Wait is what the server asked for in Retry-After; 0 when it did not.
	Wait time.Duration

	err *store.Error
}

// Error implements error.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the error with the code.
func (e *Error) Unwrap() error { return e.err }

// Code returns the code.
func (e *Error) Code() store.Code { return e.err.Code }

// RetryAfter returns how long the server asked to be left alone, up to 24 hours;
// 0 when it did not.
func (e *Error) RetryAfter() time.Duration { return e.Wait }

// Lost reports whether the request may have been carried out.
func (e *Error) Lost() bool { return e.err.Code == store.Internal }

// Outage implements [purge.Outage]: 408, 503 or a redirect, whatever it has done.
func (e *Error) Outage() bool {
	return e.Status == http.StatusRequestTimeout || e.Status == http.StatusServiceUnavailable || e.Status >= 300 && e.Status < 400
}

func newError(code store.Code, format string, args ...any) *Error {
	return &Error{err: store.Errorf(code, format, args...)}
}

// lost returns the error of a request whose answer did not come, or is not
// understood. A safe one did nothing all the same.
func lost(r Request, u *url.URL, cause error) *Error {
	if r.safe() {
		return newError(store.Unavailable, "%s %s: %v", r.Method, r.shown(u), cause)
	}
	return newError(store.Internal, "%s %s: the answer is lost: %w", r.Method, r.shown(u), cause)
}

// StatusError returns what a status that is not a success means for a request,
// as an error with the codes of [Error]; the caller has dealt with those that mean
// something else to it.
func StatusError(r Request, a *Response) *Error {
	code, wait := store.Invalid, time.Duration(0)
	switch a.Status {
	case http.StatusUnauthorized:
		code = store.Unauthenticated
	case http.StatusForbidden:
		code = store.Forbidden
	case http.StatusNotFound:
		code = store.NotFound
	case http.StatusGone:
		code = store.Gone
	case http.StatusConflict, http.StatusLocked:
		code = store.Conflict
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		code = store.Precondition
	case http.StatusTooEarly:
		code, wait = store.Unavailable, retryAfter(a.Header)
	case http.StatusRequestTimeout, http.StatusServiceUnavailable:
		code, wait = r.doubtful(), retryAfter(a.Header)
	case http.StatusTooManyRequests:
		code, wait = store.Exhausted, retryAfter(a.Header)
	default:
		if a.Status >= 500 || a.Status < 400 {
			code = r.doubtful()
		}
	}
	e := newError(code, "%s %s: status %d", r.Method, r.shown(a.URL), a.Status)
	e.Status, e.Wait = a.Status, wait
	return e
}

// Unusable returns the error for a success whose answer is not what it should
// be: the page of a proxy is no proof that anything was done, or was not. The
// format is that of [fmt.Errorf] and must not show what was answered.
func Unusable(r Request, a *Response, format string, args ...any) *Error {
	e := lost(r, a.URL, store.Errorf(store.Unavailable, format, args...))
	e.Status = a.Status
	return e
}

// retryAfter reads the header of that name. A date counts from the server's own
// clock, if it shows it.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		wait = time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		now, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// ended reports whether err is that of a context.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
