package client

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// ErrMisaddressed is in the chain, beside [ErrNotReachable], of an error that trying
// again does not cure: the URL has the wrong scheme, or one side does not trust the
// other's certificate.
var ErrMisaddressed = errors.New("the server is not what the URL says")

// misaddressedError adds ErrMisaddressed to the chain of an error, and nothing to its
// text.
type misaddressedError struct{ error }

// Is implements what [errors.Is] asks for.
func (misaddressedError) Is(target error) bool { return target == ErrMisaddressed }

// Unwrap returns the error.
func (e misaddressedError) Unwrap() error { return e.error }

func misaddressed(format string, args ...any) error {
	return misaddressedError{fmt.Errorf(format, args...)}
}

// unreachable returns err with [ErrNotReachable], and what would be right, if the
// exchange did not get to the API at all. Else it returns err.
func (c *Client) unreachable(err error) error {
	var op *net.OpError
	var untrusted *tls.CertificateVerificationError
	isOp := errors.As(err, &op)
	switch {
	case errors.Is(err, ErrNotReachable):
		return err
	case errors.Is(err, http.ErrSchemeMismatch):
		return misaddressed("%w: %s: it speaks no TLS; want http%s", ErrNotReachable, c.base, strings.TrimPrefix(c.base, "https"))
	case errors.As(err, &untrusted):
		return misaddressed("%w: %s: %w; want %s", ErrNotReachable, c.base, err, wantOf(untrusted.Err))
	case isOp && op.Op == "dial":
		return fmt.Errorf("%w: %w", ErrNotReachable, err)
	case isOp && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate"): // a TLS alert
		return misaddressed("%w: %s: %w; want a client certificate that it accepts", ErrNotReachable, c.base, err)
	}
	return err
}

// wantOf says what would be right about a certificate.
func wantOf(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return "a URL with a name that the certificate is for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "a certificate that is valid now, and a clock that is right"
	}
	return "the CA of its certificate among those of the system, or in the file that SSL_CERT_FILE names"
}

// spokeToTLS returns the error for the answer that a server for TLS gives to who
// does without, nil for any other. net/http gives it, before any handler.
func (c *Client) spokeToTLS(res *http.Response, body []byte) error {
	if res.StatusCode != http.StatusBadRequest || !bytes.HasPrefix(body, []byte("Client sent an HTTP request to an HTTPS server.")) {
		return nil
	}
	return misaddressed("%w: %s: it speaks TLS; want https%s", ErrNotReachable, c.base, strings.TrimPrefix(c.base, "http"))
}
