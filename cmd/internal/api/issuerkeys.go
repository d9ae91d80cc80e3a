package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
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
	// maxKeys bounds an answer, in bytes.
	maxKeys = 1 << 20
)

// IssuerKeys are the keys that an issuer publishes (OpenID Connect Discovery 1.0).
// They are asked for when the first token comes, so that a daemon starts without
// its issuer. They implement oidc.KeySet and are safe for concurrent use.
type IssuerKeys struct {
	issuer string
	client *http.Client

	mu      sync.Mutex // held while the issuer is asked: once for all who wait
	uri     string     // of the keys; "": not discovered yet
	keys    keySet
	fetched time.Time // of keys; zero: never
	tried   time.Time // the last question, answered or not
	failed  error     // how it ended
}

// NewIssuerKeys returns the keys of an issuer. A nil transport is a copy of
// [http.DefaultTransport].
func NewIssuerKeys(issuer string, t http.RoundTripper) *IssuerKeys {
	if t == nil {
		t = http.DefaultTransport.(*http.Transport).Clone()
	}
	return &IssuerKeys{issuer: issuer, client: &http.Client{
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

// get returns the keys, fresh ones if kid, unless it is "", is not among those
// at hand.
func (k *IssuerKeys) get(ctx context.Context, kid string) (keySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	fresh := !k.fetched.IsZero() && now.Sub(k.fetched) < keysFresh && (kid == "" || k.keys.has(kid))
	if !fresh && (k.tried.IsZero() || now.Sub(k.tried) >= keysApart) {
		k.tried = now
		var keys keySet
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
		if keys, k.failed = k.fetch(asking); k.failed == nil {
			k.keys, k.fetched = keys, now
		}
		cancel()
	}
	if k.fetched.IsZero() || now.Sub(k.fetched) >= keysStale {
		return nil, k.failed
	}
	return k.keys, nil
}

// fetch asks the issuer.
func (k *IssuerKeys) fetch(ctx context.Context) (keySet, error) {
	if k.uri == "" {
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.client), k.issuer)
		if err != nil {
			return nil, err
		}
		var about struct {
			JWKSURI string `json:"jwks_uri"`
		}
		if err := provider.Claims(&about); err != nil {
			return nil, err
		}
		k.uri = about.JWKSURI
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.uri, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", k.uri, res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxKeys))
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%s answers with no JWK set: %w", k.uri, err)
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
		return nil, fmt.Errorf("%s has no key that can be used", k.uri)
	}
	return keys, nil
}
