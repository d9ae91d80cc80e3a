package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
)

// How long the keys of an issuer are good for.
const (
	// keysFresh is how long they are used without asking again: a key that the
	// issuer has retired is refused from then on.
	keysFresh = 5 * time.Minute
	// keysStale is how long they are used when the issuer does not answer.
	keysStale = time.Hour
	// keysApart is the least time between two questions: tokens with invented key
	// ids are no way to flood the issuer.
	keysApart = 10 * time.Second
	// keysTimeout bounds one question.
	keysTimeout = 5 * time.Second
	// keysPatience is how long a token waits for fresh keys whose key is at hand.
	keysPatience = 500 * time.Millisecond
	// maxKeys bounds an answer, in bytes.
	maxKeys = 1 << 20
)

// IssuerKeys are the keys that an issuer publishes (OpenID Connect Discovery 1.0).
// They are asked for when the first token comes, so that a daemon starts without
// its issuer. They implement oidc.KeySet and are safe for concurrent use.
//
// One question is under way at a time, and who has a key that is good is not kept
// waiting for it: neither an issuer that hangs nor a token with an invented key id
// holds up the others.
type IssuerKeys struct {
	issuer string
	client *http.Client
	logger *zap.Logger
	uri    string // of the keys; "": not known. It is the question's under way.

	mu      sync.Mutex
	keys    keySet
	fetched time.Time     // of keys; zero: never
	tried   time.Time     // when the last question began
	failed  error         // how the last one ended
	asking  chan struct{} // closed when the question under way ends; nil: none is
}

// NewIssuerKeys returns the keys of an issuer. A nil transport is a copy of
// [http.DefaultTransport]. Why the issuer cannot be asked is told to the logger
// alone; a nil one logs nothing.
func NewIssuerKeys(issuer string, t http.RoundTripper, l *zap.Logger) *IssuerKeys {
	if t == nil {
		t = http.DefaultTransport.(*http.Transport).Clone()
	}
	if l == nil {
		l = zap.NewNop()
	}
	return &IssuerKeys{issuer: issuer, logger: l, client: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// VerifySignature implements oidc.KeySet.
func (k *IssuerKeys) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	token, err := parseToken(raw)
	if err != nil {
		return nil, err
	}
	keys, err := k.get(ctx, token.Signatures[0].Header.KeyID)
	if err != nil {
		if o, ok := ctx.Value(outageKey{}).(*outage); ok {
			o.cause = err
		}
		return nil, err
	}
	return keys.verify(token)
}

// outage is where VerifySignature notes that it was not the token's fault, which
// the library's error does not tell.
type outage struct {
	cause error
}

// outageKey is the key of the outage in the context of a verification.
type outageKey struct{}

// withOutage returns a context for one verification, and where to look afterwards.
func withOutage(ctx context.Context) (context.Context, *outage) {
	o := &outage{}
	return context.WithValue(ctx, outageKey{}, o), o
}

// get returns the keys for a token of the key kid; "" may be any. Keys that are not
// fresh are given out until an answer comes, or the issuer is slow to give one.
// Errors: how the last question ended; that of ctx.
func (k *IssuerKeys) get(ctx context.Context, kid string) (keySet, error) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	known, fresh := k.good(kid, now)
	if known && fresh {
		return k.keys, nil
	}
	if k.asking == nil && (k.tried.IsZero() || now.Sub(k.tried) >= keysApart) {
		k.ask(ctx, now)
	}
	if asking := k.asking; asking != nil {
		var slow <-chan time.Time // never, for who has nothing else
		if known {
			// Where the issuer failed before, nobody waits for it to do so again.
			wait := keysPatience - now.Sub(k.tried)
			if k.failed != nil {
				wait = 0
			}
			timer := time.NewTimer(max(wait, 0))
			defer timer.Stop()
			slow = timer.C
		}
		k.mu.Unlock()
		var gone error
		select {
		case <-asking:
		case <-slow:
		case <-ctx.Done():
			gone = context.Cause(ctx)
		}
		k.mu.Lock()
		if gone != nil {
			return nil, gone
		}
	}
	known, _ = k.good(kid, time.Now())
	if !known && k.failed != nil {
		return nil, k.failed
	}
	return k.keys, nil
}

// good reports whether a token of the key kid can be verified with the keys at hand,
// and whether the issuer need not be asked before. k.mu is held.
func (k *IssuerKeys) good(kid string, now time.Time) (known, fresh bool) {
	age := now.Sub(k.fetched)
	known = !k.fetched.IsZero() && age < keysStale && (kid == "" || k.keys.has(kid))
	return known, age < keysFresh
}

// ask begins a question. k.mu is held.
func (k *IssuerKeys) ask(ctx context.Context, now time.Time) {
	asking := make(chan struct{})
	k.asking, k.tried = asking, now
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	go func() {
		defer cancel()
		keys, err := k.fetch(ctx)
		if err != nil {
			k.logger.Warn("the issuer's keys cannot be had", zap.String("issuer", k.issuer), zap.Error(err))
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.failed = err; err == nil {
			k.keys, k.fetched = keys, now
		}
		k.asking = nil
		close(asking)
	}()
}

// fetch asks the issuer: where it said that its keys are, and where it says so now
// if they are not there any more.
func (k *IssuerKeys) fetch(ctx context.Context) (keySet, error) {
	if k.uri != "" {
		if keys, err := k.fetchFrom(ctx, k.uri); err == nil {
			return keys, nil
		}
		k.uri = ""
	}
	uri, err := k.discover(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := k.fetchFrom(ctx, uri)
	if err == nil {
		k.uri = uri
	}
	return keys, err
}

// discover asks the issuer where its keys are.
func (k *IssuerKeys) discover(ctx context.Context) (string, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.client), k.issuer)
	if err != nil {
		return "", err
	}
	var about struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := provider.Claims(&about); err != nil {
		return "", err
	}
	u, err := url.Parse(about.JWKSURI)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%s has the jwks_uri %q; want a URL", k.issuer, about.JWKSURI)
	}
	if strings.HasPrefix(k.issuer, "https:") && u.Scheme != "https" {
		return "", fmt.Errorf("%s has the jwks_uri %q; want https, as the issuer has: whoever is on the way could put in keys", k.issuer, about.JWKSURI)
	}
	return about.JWKSURI, nil
}

// fetchFrom reads the keys.
func (k *IssuerKeys) fetchFrom(ctx context.Context, uri string) (keySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", uri, res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxKeys))
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%s answers with no JWK set: %w", uri, err)
	}
	var keys keySet
	for _, raw := range set.Keys {
		// A key of a kind that is not known is of no use, and no reason to refuse
		// the others (RFC 7517, section 5).
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) != nil {
			continue
		}
		if _, err := algorithmsOf(key.Key); err == nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no key that can be used", uri)
	}
	return keys, nil
}
