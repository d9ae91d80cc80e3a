package httpcall

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tenantpurge/purger/store"
)

// tokens keeps the token of an OAuth client until it expires or is refused.
type tokens struct {
	cfg    clientcredentials.Config
	client *http.Client
	// turn holds the right to use kept; unlike a mutex it can be waited for
	// with a context.
	turn chan struct{}
	kept *oauth2.Token
}

func newTokens(o OAuth, transport http.RoundTripper, observe func(Observation)) *tokens {
	t := &tokens{
		cfg: clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes,
			EndpointParams: url.Values{}, AuthStyle: oauth2.AuthStyleInHeader,
		},
		turn: make(chan struct{}, 1),
		client: &http.Client{
			Transport:     watcher{transport, observe},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for name, value := range o.Params {
		t.cfg.EndpointParams.Set(name, value)
	}
	if o.InBody {
		t.cfg.AuthStyle = oauth2.AuthStyleInParams
	}
	return t
}

// get returns a token other than refused, and whether it was issued just now.
func (t *tokens) get(ctx context.Context, refused *oauth2.Token) (token *oauth2.Token, fresh bool, err error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, false, newError(store.Unavailable, "waiting for a token: %v", ctx.Err())
	}
	if t.kept.Valid() && (refused == nil || t.kept.AccessToken != refused.AccessToken) {
		return t.kept, false, nil
	}
	token, err = t.cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err != nil {
		return nil, false, t.refusal(err)
	}
	t.kept = token
	return token, true, nil
}

// reasons are what RFC 6749 allows as the word for an error.
var reasons = regexp.MustCompile(`^[a-z_]{1,40}$`)

// refusal tells why there is no token, and nothing of what was answered but the
// word for the error.
func (t *tokens) refusal(err error) *Error {
	where := t.cfg.TokenURL
	if u, err := url.Parse(where); err == nil {
		where = shown(u)
	}
	var r *oauth2.RetrieveError
	if !errors.As(err, &r) {
		cause := bare(err)
		if cause == err && !ended(err) { //nolint:errorlint // the very same error: not one of the transport
			return newError(store.Unavailable, "a token from %s: the answer is not one of a token endpoint", where)
		}
		return newError(store.Unavailable, "a token from %s: %v", where, cause)
	}
	status := r.Response.StatusCode
	code := store.Unauthenticated
	if status >= 500 || status == http.StatusTooManyRequests || status < 400 {
		code = store.Unavailable
	}
	reason := ""
	if reasons.MatchString(r.ErrorCode) {
		reason = " " + r.ErrorCode
	}
	e := newError(code, "a token from %s: status %d%s", where, status, reason)
	e.Status = status
	if code == store.Unavailable {
		e.Wait = retryAfter(r.Response.Header)
	}
	return e
}

// bare returns the cause in an error of [http.Client], which shows the URL with
// its query.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// watcher tells of each exchange.
type watcher struct {
	http.RoundTripper
	observe func(Observation)
}

// RoundTrip implements http.RoundTripper.
func (w watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	a, err := w.RoundTripper.RoundTrip(r)
	o := Observation{Method: r.Method, Took: time.Since(began)}
	if err == nil {
		o.Status = a.StatusCode
	}
	w.observe(o)
	return a, err
}
