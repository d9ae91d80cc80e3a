package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// ErrNotReachable is in the chain of an error of a call that never reached a
// daemon: there is no socket, nobody listens, or TLS is on one side alone or its
// certificate not trusted. Nothing has happened.
var ErrNotReachable = errors.New("the daemon is not reachable")

// Client calls the API, one method a call. It is safe for concurrent use.
//
// Errors carry the code that the store gave: [errors.As] finds a *store.Error, a
// *store.BlockedError or a *store.GateError in them, with code, field and
// message as they were. A daemon that cannot be reached ([ErrNotReachable]), or
// that went away in the midst of an answer, is [store.Unavailable].
type Client struct {
	http  *http.Client
	base  string // URL without a path
	token TokenSource
}

// CallOption adds to one call.
type CallOption func(http.Header)

// WithHostname repeats the host name of the tenant that is meant, as calls that
// change who is served want it for a tenant that has one. Any call is refused
// whose tenant has another one. "" adds nothing.
func WithHostname(hostname string) CallOption {
	return func(h http.Header) {
		if hostname != "" {
			h.Set(HeaderConfirm, hostname)
		}
	}
}

// TokenSource returns the bearer token of a request. It is asked for each one,
// so that a token that was renewed is used at once.
type TokenSource func(context.Context) (string, error)

// Options say where the API is and who calls it.
type Options struct {
	// Server is the URL of the daemon, such as https://purger.example.com:9464.
	Server string
	// Token is nil for a server that knows its callers otherwise. It is refused
	// for a server that is reached without TLS beyond the loopback address.
	Token TokenSource
	// Insecure sends a token without TLS all the same, where something else,
	// such as a service mesh, encrypts.
	Insecure bool
	// Transport is nil for a copy of [http.DefaultTransport].
	Transport http.RoundTripper
}

// New returns a client of a daemon on TCP. Errors: [store.Invalid].
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.Server)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, store.Errorf(store.Invalid, "server %q: want a URL such as https://purger.example.com:9464", o.Server).At("server")
	}
	if o.Token != nil && u.Scheme == "http" && !o.Insecure && !loopback(u.Hostname()) {
		return nil, store.Errorf(store.Invalid, "server %q: want https, since a token would be readable on its way", o.Server).At("server")
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	c := Over(o.Transport)
	c.base, c.token = u.Scheme+"://"+u.Host, o.Token
	return c, nil
}

// loopback reports whether what is sent to a host stays on this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Over returns a client over a transport that leads to one daemon whatever the
// host of a request is, such as that of [NewTransport].
func Over(t http.RoundTripper) *Client {
	return &Client{base: "http://purger", http: &http.Client{
		Transport: t,
		// The API never redirects; following would repeat a request elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the transport. Calls under way on an in-process transport end
// with an error.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	if t, ok := c.http.Transport.(io.Closer); ok {
		return t.Close()
	}
	return nil
}

// call makes one request with a JSON body (nil for none) and decodes the answer.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any, options ...CallOption) (T, error) {
	var out, none T
	res, err := c.exchange(ctx, method, path, query, in, options...)
	if err != nil {
		return none, err
	}
	if err := decode(ctx, method, path, res, &out); err != nil {
		return none, err
	}
	return out, nil
}

// exchange makes one request with a JSON body, nil for none. The caller closes
// the body of the answer, or gives it to decode.
func (c *Client) exchange(ctx context.Context, method, path string, query url.Values, in any, options ...CallOption) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, store.Errorf(store.Invalid, "encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	return c.send(ctx, method, path, query, body, ContentJSON, options...)
}

// decode reads an answer into out, to its end, so that the connection can be
// kept, and closes it. A nil out is for an answer without a body.
func decode(ctx context.Context, method, path string, res *http.Response, out any) error {
	defer res.Body.Close()
	var err error
	if out != nil {
		err = json.NewDecoder(res.Body).Decode(out)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
	}
	if err != nil {
		return cutOff(ctx, method, path, err)
	}
	return nil
}

// send makes one request. The answer it returns is a 2xx one, whose body the
// caller closes.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body io.Reader, contentType string, options ...CallOption) (*http.Response, error) {
	u := c.base + Prefix + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "make the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	for _, set := range options {
		set(req.Header)
	}
	if c.token != nil {
		token, err := c.token(ctx)
		if err != nil {
			return nil, store.Errorf(store.Unauthenticated, "token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var u *url.Error // which would name a URL that means nothing to anyone
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, cutOff(ctx, method, path, c.unreachable(err))
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer res.Body.Close()
		return nil, c.readError(res)
	}
	if err := pending(ctx, method, path, res); err != nil {
		return nil, err
	}
	return res, nil
}

// cutOff returns the error for an exchange that broke off.
func cutOff(ctx context.Context, method, path string, err error) error {
	if cause := ctx.Err(); cause != nil {
		return store.Errorf(store.Unavailable, "%s %s: %w", method, path, context.Cause(ctx))
	}
	if errors.Is(err, ErrNotReachable) {
		return store.Errorf(store.Unavailable, "%w", err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the answer was cut off: %w", err)
	}
	return store.Errorf(store.Unavailable, "%s %s: %w", method, path, err)
}
