package httpcall

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/oauth2"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Options are hooks. The zero value has none.
type Options struct {
	// Transport makes the calls instead of one of the client's own; the
	// certificates of the configuration are then its business. For tests.
	Transport http.RoundTripper
	// Observe is told of every exchange with a server, those for tokens
	// included, by many goroutines.
	Observe func(Observation)
}

// Observation is one exchange.
type Observation struct {
	Method string
	// Status is that of the answer; 0 without one.
	Status int
	// Took is how long it was to the end of the answer; of a request for a token it is
	// to the head of the answer.
	Took time.Duration
}

// Client makes calls. It is safe for concurrent use.
type Client struct {
	cfg     Config
	base    string // without a slash at the end; "" without a base URL
	allowed map[origin]bool
	header  http.Header // of every request; the values are shared
	// transport and not an [http.Client]: no redirect is followed and no cookie kept.
	transport http.RoundTripper
	tokens    *tokens // nil without OAuth
	observe   func(Observation)
}

// New returns a client, or a [store.Invalid] error that names the field. It
// calls nobody.
func New(cfg Config, opt Options) (*Client, error) {
	allowed, base, badOrigins := cfg.origins()
	t, badTLS := cfg.tls()
	if err := errors.Join(cfg.validate(), badOrigins, badTLS); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Conns == 0 {
		cfg.Conns = DefaultConns
	}
	transport := opt.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        t,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    cfg.Conns,
			IdleConnTimeout:        30 * time.Second, // less than what servers and proxies commonly have
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 256 << 10,
		}
	}
	c := &Client{cfg: cfg, allowed: allowed, header: cfg.header(), transport: transport, observe: opt.Observe}
	if base != nil {
		c.base = strings.TrimSuffix(base.String(), "/")
	}
	if cfg.Auth.OAuth.TokenURL != "" {
		c.tokens = newTokens(cfg.Auth.OAuth, transport, c.observed)
	}
	return c, nil
}

// Close closes idle connections. Calls that are under way go on.
func (c *Client) Close() error {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// Do makes one call and reads its answer. The error is an *[Error]; any status
// but a redirect, 429 and 503 comes back as an answer. It is tried once, and
// once more with a new token when a token that was kept is refused. Each request
// waits in [purge.Pace] before it is sent.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	u, err := c.resolve(r)
	if err != nil {
		return nil, err
	}
	if !httpguts.ValidHeaderFieldName(r.Method) { // a method is a token as well
		return nil, newError(store.Invalid, "%q %s: not a method", r.Method, r.shown(u))
	}
	if header := c.headerOf(r); c.tokens == nil || header.Get("Authorization") != "" {
		if err := pace(ctx, r, u); err != nil {
			return nil, err
		}
		return c.exchange(ctx, u, header, r)
	}
	token, fresh, err := c.authorize(ctx, u, r, nil)
	if err != nil {
		return nil, err
	}
	a, err := c.exchange(ctx, u, c.authorized(r, token), r)
	if err != nil || a.Status != http.StatusUnauthorized || fresh {
		return a, err
	}
	// Refused is not carried out: it may have been revoked before its time.
	if token, _, err = c.authorize(ctx, u, r, token); err != nil {
		return nil, err
	}
	return c.exchange(ctx, u, c.authorized(r, token), r)
}

// authorize returns a token other than refused for a request to u, once that may be
// sent. It waits with no token in hand, so that nobody else waits for that too:
// a request for a token takes the place, and the next one is waited for.
func (c *Client) authorize(ctx context.Context, u *url.URL, r Request, refused *oauth2.Token) (token *oauth2.Token, fresh bool, err error) {
	if err := pace(ctx, r, u); err != nil {
		return nil, false, err
	}
	asking, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	token, fresh, err = c.tokens.get(asking, refused)
	cancel()
	if err != nil {
		return nil, false, err
	}
	if fresh {
		if err := pace(ctx, r, u); err != nil {
			return nil, false, err
		}
	}
	return token, fresh, nil
}

// pace waits until a request may be sent.
func pace(ctx context.Context, r Request, u *url.URL) error {
	if err := purge.Pace(ctx); err != nil {
		return newError(store.Unavailable, "%s %s: not sent: %w", r.Method, r.shown(u), err)
	}
	return nil
}

// Allowed returns why a request, of which the URL counts, may not be made; nil when
// it may.
func (c *Client) Allowed(r Request) error {
	r.Method = http.MethodGet
	_, err := c.resolve(r)
	return err
}

// resolve returns the URL to call, if it may be.
func (c *Client) resolve(r Request) (*url.URL, error) {
	s := r.URL
	if strings.HasPrefix(s, "/") {
		s = c.base + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, newError(store.Invalid, "%s: not a URL that can be called", r.Method)
	}
	if !c.allowed[originOf(u)] || u.User != nil || u.Opaque != "" {
		return nil, newError(store.Forbidden, "%s %s: %q is not among the hosts that are configured", r.Method, r.shown(u), u.Host)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// headerOf returns the headers of a request, but for a token that is to be asked
// for. They may be shared with others.
func (c *Client) headerOf(r Request) http.Header {
	if len(r.Header) == 0 {
		return c.header
	}
	header := maps.Clone(c.header)
	for name, values := range r.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header
}

// authorized returns the headers of a request with a token.
func (c *Client) authorized(r Request, token *oauth2.Token) http.Header {
	req := http.Request{Header: maps.Clone(c.headerOf(r))}
	token.SetAuthHeader(&req)
	return req.Header
}

// sending notes whether a connection was found. Whoever has one may have written to
// it.
type sending struct {
	httptrace.ClientTrace
	connected atomic.Bool
}

// exchange sends a request and reads the answer.
func (c *Client) exchange(ctx context.Context, u *url.URL, header http.Header, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	s := &sending{}
	s.GotConn = func(httptrace.GotConnInfo) { s.connected.Store(true) }
	req := http.Request{Method: r.Method, URL: u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if len(r.Body) > 0 {
		req.ContentLength = int64(len(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		req.Body, _ = req.GetBody() // which never fails
	}
	began := time.Now()
	resp, err := c.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, &s.ClientTrace)))
	if err != nil {
		c.observed(Observation{r.Method, 0, time.Since(began)})
		err = scheme(err)
		if !s.connected.Load() {
			return nil, newError(store.Unavailable, "%s %s: not sent: %v", r.Method, r.shown(u), err)
		}
		return nil, lost(r, u, err)
	}
	defer resp.Body.Close()
	a := &Response{Status: resp.StatusCode, Header: resp.Header, URL: u}
	if resp.Body != http.NoBody {
		a.Body, err = io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxBody+1))
	}
	c.observed(Observation{r.Method, a.Status, time.Since(began)})
	switch {
	case a.Status >= 300 && a.Status < 400:
		e := newError(r.doubtful(), "%s %s: status %d: redirects are not followed; configure the address that they lead to", r.Method, r.shown(u), a.Status)
		e.Status = a.Status
		return nil, e
	case a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable:
		return nil, StatusError(r, a)
	case err != nil && a.OK():
		e := lost(r, u, fmt.Errorf("status %d, and the body ends in the midst: %w", a.Status, err))
		e.Status = a.Status
		return nil, e
	case int64(len(a.Body)) > c.cfg.MaxBody && a.OK():
		e := lost(r, u, fmt.Errorf("status %d with a body of more than %d bytes", a.Status, c.cfg.MaxBody))
		e.Status = a.Status
		return nil, e
	case err != nil || int64(len(a.Body)) > c.cfg.MaxBody:
		a.Body = nil // the status says it all
	}
	return a, nil
}

func (c *Client) observed(o Observation) {
	if c.observe != nil {
		c.observe(o)
	}
}

// scheme returns an error that says so when a server did not speak TLS.
func scheme(err error) error {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
		return http.ErrSchemeMismatch
	}
	return err
}
