package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/store"
)

// issuer is an identity provider, within the process so that its time can be
// played with.
type issuer struct {
	keys  []jose.JSONWebKey
	down  error
	hangs bool
	asked int    // for its keys
	uri   string // of the keys; "": https://id.example.com/keys
	logs  *observer.ObservedLogs
}

// RoundTrip implements http.RoundTripper.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if i.down != nil {
		return nil, i.down
	}
	uri := cmp.Or(i.uri, "https://id.example.com/keys")
	var body any = map[string]string{"issuer": "https://id.example.com", "jwks_uri": uri}
	status := http.StatusOK
	switch {
	case r.URL.String() == uri:
		i.asked++
		body = jose.JSONWebKeySet{Keys: i.keys}
	case r.URL.Path != "/.well-known/openid-configuration":
		status = http.StatusNotFound
	}
	if i.hangs {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(data))), Request: r}, nil
}

// tokens returns the Authenticate that asks the issuer.
func (i *issuer) tokens() *Tokens {
	core, logs := observer.New(zapcore.DebugLevel)
	i.logs = logs
	return NewTokens(TokenOptions{
		Issuer: "https://id.example.com", Audience: "purger", Keys: NewIssuerKeys("https://id.example.com", i, zap.New(core)), RolesClaim: "roles",
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
		if _, err := authenticate(t, tokens, good); store.CodeOf(err) != store.Unavailable {
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
		time.Sleep(keysFresh)
		stranger := key
		stranger.kid = "next" // perhaps one that it has by now
		if _, err := authenticate(t, tokens, "Bearer "+stranger.token(t, claimsOf(nil))); store.CodeOf(err) != store.Unavailable {
			t.Errorf("another key while it is down: %v", err)
		}
		time.Sleep(keysStale - keysFresh - time.Nanosecond)
		if _, err := authenticate(t, tokens, good); err != nil {
			t.Errorf("down for less than an hour: %v", err)
		}
		time.Sleep(keysApart)
		if _, err := authenticate(t, tokens, good); store.CodeOf(err) != store.Unavailable {
			t.Errorf("down for an hour: %v", err)
		}
	})
}

// Whose key is at hand is not kept waiting by an issuer that hangs, whoever made it be
// asked, and by no token with an invented key.
func TestIssuerKeys_AnIssuerThatHangsHoldsUpNobodyWhoseKeyIsKnown(t *testing.T) {
	key := newSigning(t, jose.EdDSA, "one")
	stranger := newSigning(t, jose.EdDSA, "invented")
	synctest.Test(t, func(t *testing.T) {
		idp := &issuer{keys: []jose.JSONWebKey{key.jwk()}}
		tokens := idp.tokens()
		claims := claimsOf(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix(), "nbf": time.Now().Unix()})
		good, invented := "Bearer "+key.token(t, claims), "Bearer "+stranger.token(t, claims)
		took := func(raw string) (time.Duration, error) {
			began := time.Now()
			_, err := authenticate(t, tokens, raw)
			return time.Since(began), err
		}
		if _, err := took(good); err != nil {
			t.Fatal(err)
		}
		idp.hangs = true
		time.Sleep(keysApart)
		type result struct {
			after time.Duration
			err   error
		}
		results := make(chan result, 2)
		for range 2 {
			go func() {
				after, err := took(invented)
				results <- result{after, err}
			}()
		}
		synctest.Wait() // both wait for the one question
		if after, err := took(good); err != nil || after != 0 {
			t.Errorf("a good token beside invented ones: %v after %s", err, after)
		}
		for range 2 {
			if r := <-results; store.CodeOf(r.err) != store.Unavailable || r.after != keysTimeout {
				t.Errorf("an invented key: %v after %s", r.err, r.after)
			}
		}
		// From here on the keys are old: the first one waits for others, but not long.
		idp.hangs = false
		time.Sleep(keysApart)
		if _, err := took(invented); store.CodeOf(err) != store.Unauthenticated {
			t.Errorf("when it answers again: %v", err)
		}
		idp.hangs = true
		time.Sleep(keysFresh)
		for i, want := range []time.Duration{keysPatience, 0, 0} {
			if after, err := took(good); err != nil || after != want {
				t.Errorf("good token %d while it hangs: %v after %s, want %s", i+1, err, after, want)
			}
		}
		time.Sleep(keysTimeout + keysApart)
		if after, err := took(good); err != nil || after != 0 {
			t.Errorf("once it is known to hang: %v after %s", err, after)
		}
		time.Sleep(keysTimeout)
	})
}

func TestIssuerKeys_WhoLeavesDoesNotWait(t *testing.T) {
	key := newSigning(t, jose.EdDSA, "one")
	synctest.Test(t, func(t *testing.T) {
		idp := &issuer{hangs: true}
		keys := NewIssuerKeys("https://id.example.com", idp, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := keys.VerifySignature(ctx, key.token(t, claimsOf(nil))); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		time.Sleep(keysTimeout) // until the question has ended, too
	})
}

func TestIssuerKeys_KeysThatHaveMovedAreFound(t *testing.T) {
	old, next := newSigning(t, jose.ES256, "old"), newSigning(t, jose.ES256, "next")
	synctest.Test(t, func(t *testing.T) {
		idp := &issuer{keys: []jose.JSONWebKey{old.jwk()}}
		tokens := idp.tokens()
		if _, err := authenticate(t, tokens, "Bearer "+old.token(t, claimsOf(nil))); err != nil {
			t.Fatal(err)
		}
		idp.keys, idp.uri = []jose.JSONWebKey{next.jwk()}, "https://id.example.com/v2/keys"
		time.Sleep(keysApart)
		if _, err := authenticate(t, tokens, "Bearer "+next.token(t, claimsOf(nil))); err != nil {
			t.Errorf("a key at the new place: %v", err)
		}
		time.Sleep(keysFresh)
		if _, err := authenticate(t, tokens, "Bearer "+next.token(t, claimsOf(nil))); err != nil || idp.asked != 3 {
			t.Errorf("from then on: %v, asked %d times", err, idp.asked)
		}
	})
}

func TestIssuerKeys_KeysOfAnHTTPSIssuerComeByHTTPSAlone(t *testing.T) {
	key := newSigning(t, jose.ES256, "one")
	for _, uri := range []string{"http://id.example.com/keys", "HTTP://id.example.com/keys", "/keys", "file:///keys"} {
		idp := &issuer{keys: []jose.JSONWebKey{key.jwk()}, uri: uri}
		if _, err := authenticate(t, idp.tokens(), "Bearer "+key.token(t, claimsOf(nil))); store.CodeOf(err) != store.Unavailable || idp.asked != 0 {
			t.Errorf("%s: %v, asked %d times", uri, err, idp.asked)
		}
		if lines := idp.logs.All(); len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error"].(string), "jwks_uri") {
			t.Errorf("%s: log %+v", uri, lines)
		}
	}
}

// Why the issuer's keys cannot be had is for the log: a stranger has shown no token that
// is good when the answer is made.
func TestIssuerKeys_AnOutageTellsStrangersNoAddress(t *testing.T) {
	key := newSigning(t, jose.ES256, "one")
	idp := &issuer{down: errors.New("dial tcp 10.1.2.3:443: connection refused")}
	tokens := idp.tokens()
	r := newRig(t, func(o *Options) { o.Authenticate = tokens.Authenticate }).inProcess(t)
	res := raw(t, r, "GET /api/v1/status", "", "Authorization: Bearer "+key.token(t, claimsOf(nil)))
	if res.status != http.StatusServiceUnavailable || strings.Contains(res.body, "10.1.2.3") || strings.Contains(res.body, "example.com") || !strings.Contains(res.problem(t).Detail, "issuer's keys") {
		t.Errorf("%d %s", res.status, res.body)
	}
	if lines := idp.logs.All(); len(lines) != 1 || lines[0].Level != zapcore.WarnLevel || !strings.Contains(lines[0].ContextMap()["error"].(string), "10.1.2.3") {
		t.Errorf("log %+v", lines)
	}
}
