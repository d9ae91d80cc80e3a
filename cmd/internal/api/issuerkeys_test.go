package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/tenantpurge/purger/store"
)

// issuer is an identity provider, within the process so that its time can be
// played with.
type issuer struct {
	keys  []jose.JSONWebKey
	down  error
	asked int // for its keys
}

// RoundTrip implements http.RoundTripper.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if i.down != nil {
		return nil, i.down
	}
	var body any = map[string]string{"issuer": "https://id.example.com", "jwks_uri": "https://id.example.com/keys"}
	if r.URL.Path == "/keys" {
		i.asked++
		body = jose.JSONWebKeySet{Keys: i.keys}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(data))), Request: r}, nil
}

// tokens returns the Authenticate that asks the issuer.
func (i *issuer) tokens() *Tokens {
	return NewTokens(TokenOptions{
		Issuer: "https://id.example.com", Audience: "purger", Keys: NewIssuerKeys("https://id.example.com", i), RolesClaim: "roles",
	})
}

func TestIssuerKeys_ARetiredKeyIsRefusedAfterFiveMinutes(t *testing.T) {
	old, next := newSigning(t, jose.ES256, "old"), newSigning(t, jose.ES256, "next")
	synctest.Test(t, func(t *testing.T) {
		idp := &issuer{keys: []jose.JSONWebKey{old.jwk()}}
		tokens := idp.tokens()
		long := map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix(), "nbf": time.Now().Unix()}
		of := func(s signing) string { return "Bearer " + s.token(t, claimsOf(long)) }
		if _, err := authenticate(t, tokens, of(old)); err != nil {
			t.Fatal(err)
		}
		idp.keys = []jose.JSONWebKey{next.jwk()}
		time.Sleep(keysFresh - time.Nanosecond)
		if _, err := authenticate(t, tokens, of(old)); err != nil || idp.asked != 1 {
			t.Errorf("just before: %v, asked %d times", err, idp.asked)
		}
		time.Sleep(time.Nanosecond)
		if _, err := authenticate(t, tokens, of(old)); store.CodeOf(err) != store.Unauthenticated || idp.asked != 2 {
			t.Errorf("from then on: %v, asked %d times", err, idp.asked)
		}
		if _, err := authenticate(t, tokens, of(next)); err != nil {
			t.Errorf("the next key: %v", err)
		}
	})
}

func TestIssuerKeys_ANewKeyIsFoundAtOnceAndInventedOnesDoNotFloodTheIssuer(t *testing.T) {
	old, next := newSigning(t, jose.ES256, "old"), newSigning(t, jose.ES256, "next")
	synctest.Test(t, func(t *testing.T) {
		idp := &issuer{keys: []jose.JSONWebKey{old.jwk()}}
		tokens := idp.tokens()
		if _, err := authenticate(t, tokens, "Bearer "+old.token(t, claimsOf(nil))); err != nil {
			t.Fatal(err)
		}
		idp.keys = append(idp.keys, next.jwk())
		time.Sleep(keysApart)
		if _, err := authenticate(t, tokens, "Bearer "+next.token(t, claimsOf(nil))); err != nil || idp.asked != 2 {
			t.Errorf("the new key: %v, asked %d times", err, idp.asked)
		}
		for range 100 {
			stranger := next
			stranger.kid = "invented"
			if _, err := authenticate(t, tokens, "Bearer "+stranger.token(t, claimsOf(nil))); store.CodeOf(err) != store.Unauthenticated {
				t.Fatal(err)
			}
		}
		if idp.asked != 2 {
			t.Errorf("100 invented keys made %d questions", idp.asked-2)
		}
	})
}

// An outage is not the fault of the token: 503 and not 401.
func TestIssuerKeys_AnOutageIsUnavailableAndBridgedForAnHour(t *testing.T) {
	key := newSigning(t, jose.EdDSA, "one")
	synctest.Test(t, func(t *testing.T) {
		idp := &issuer{keys: []jose.JSONWebKey{key.jwk()}, down: errors.New("connection refused")}
		tokens := idp.tokens()
		good := "Bearer " + key.token(t, claimsOf(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix(), "nbf": time.Now().Unix()}))
		if _, err := authenticate(t, tokens, good); store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("down from the beginning: %v", err)
		}
		if _, err := authenticate(t, tokens, "Bearer a.b.c"); store.CodeOf(err) != store.Unauthenticated {
			t.Errorf("nonsense meanwhile: %v", err)
		}
		idp.down = nil
		time.Sleep(keysApart)
		if _, err := authenticate(t, tokens, good); err != nil {
			t.Fatalf("up again: %v", err)
		}
		idp.down = errors.New("connection refused")
		time.Sleep(keysStale - time.Nanosecond)
		if _, err := authenticate(t, tokens, good); err != nil {
			t.Errorf("down for less than an hour: %v", err)
		}
		time.Sleep(keysApart)
		if _, err := authenticate(t, tokens, good); store.CodeOf(err) != store.Unavailable {
			t.Errorf("down for an hour: %v", err)
		}
	})
}
