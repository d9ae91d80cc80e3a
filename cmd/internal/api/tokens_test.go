package api

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// signing is a key of the issuer, with its public half.
type signing struct {
	private crypto.Signer
	alg     jose.SignatureAlgorithm
	kid     string
}

// newSigning makes a key.
func newSigning(t *testing.T, alg jose.SignatureAlgorithm, kid string) signing {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signing{key, alg, kid}
}

// jwk returns the public half.
func (s signing) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.private.Public(), KeyID: s.kid, Algorithm: string(s.alg), Use: "sig"}
}

// token signs claims.
func (s signing) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.private, KeyID: s.kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// claimsOf returns sound claims, changed; a nil value removes one.
func claimsOf(change map[string]any) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": "https://id.example.com", "aud": "purger", "sub": "jane", "nbf": now - 10, "exp": now + 600,
		"name": "Jane Doe", "email": "jane@example.com", "roles": []string{"operator"},
	}
	maps.Copy(claims, change)
	for name, v := range claims {
		if v == nil {
			delete(claims, name)
		}
	}
	return claims
}

// writeKeys writes a JWK set.
func writeKeys(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newTokens returns the Authenticate over the keys of a file.
func newTokens(t *testing.T, path string, change ...func(*TokenOptions)) *Tokens {
	t.Helper()
	keys, err := ReadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	o := TokenOptions{
		Issuer: "https://id.example.com", Audience: "purger", Keys: keys, RolesClaim: "roles", TenantClaim: "tenant_id",
		Roles: map[string]client.Role{"sre": client.RoleSuperAdmin, "operator": client.RoleOperator}, RequireNotBefore: true,
	}
	for _, f := range change {
		f(&o)
	}
	return NewTokens(o)
}

// authenticate presents a header Authorization.
func authenticate(t *testing.T, tokens *Tokens, values ...string) (Caller, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Authorization"] = values
	return tokens.Authenticate(r)
}

// forged signs with HMAC over what both parties know: the public key, as an
// attacker would who hopes that the algorithm is taken from the token.
func forged(t *testing.T, alg string, secret []byte, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	input := part(map[string]string{"alg": alg, "typ": "JWT", "kid": "one"}) + "." + part(claims)
	if alg == "none" {
		return input + "."
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestTokens_OnlyASoundTokenOfAKnownKeyIsBelieved holds the attacks that there are
// names for, each against a token that differs from a good one in that alone.
func TestTokens_OnlyASoundTokenOfAKnownKeyIsBelieved(t *testing.T) {
	one, retired := newSigning(t, jose.RS256, "one"), newSigning(t, jose.RS256, "retired")
	tokens := newTokens(t, writeKeys(t, one.jwk(), newSigning(t, jose.ES256, "two").jwk()))
	der, err := x509.MarshalPKIXPublicKey(one.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	good := one.token(t, claimsOf(nil))
	if c, err := authenticate(t, tokens, "Bearer "+good); err != nil || c.Role != client.RoleOperator ||
		c.Actor != (store.Actor{ID: "jane", Name: "Jane Doe", Email: "jane@example.com"}) {
		t.Fatalf("a good token: %+v, %v", c, err)
	}
	now := time.Now().Unix()
	impostor := newSigning(t, jose.RS256, "one")
	embedded, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: impostor.private}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claimsOf(nil))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := embedded.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	withKey, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	ps := one
	ps.alg = jose.PS256
	for name, c := range map[string]struct{ token, want string }{
		"alg none":                      {forged(t, "none", nil, claimsOf(nil)), "malformed jwt"},
		"HS256 with the public key":     {forged(t, "HS256", public, claimsOf(nil)), "malformed jwt"},
		"HS256 with the key's DER":      {forged(t, "HS256", der, claimsOf(nil)), "malformed jwt"},
		"HMAC that calls itself RS256":  {forged(t, "RS256", public, claimsOf(nil)), "signature is wrong"},
		"another algorithm of the key":  {ps.token(t, claimsOf(nil)), "no key fits"},
		"a foreign audience":            {one.token(t, claimsOf(map[string]any{"aud": "grafana"})), "audience"},
		"no audience":                   {one.token(t, claimsOf(map[string]any{"aud": nil})), "audience"},
		"an audience that begins alike": {one.token(t, claimsOf(map[string]any{"aud": "purger2"})), "audience"},
		"no exp":                        {one.token(t, claimsOf(map[string]any{"exp": nil})), "expired"},
		"expired":                       {one.token(t, claimsOf(map[string]any{"exp": now - 1})), "expired"},
		"exp as text":                   {one.token(t, claimsOf(map[string]any{"exp": "never"})), "claims"},
		"not yet valid":                 {one.token(t, claimsOf(map[string]any{"nbf": now + 60})), "not valid yet"},
		"no nbf":                        {one.token(t, claimsOf(map[string]any{"nbf": nil})), "claim nbf"},
		"nbf as text":                   {one.token(t, claimsOf(map[string]any{"nbf": "0"})), "nbf"},
		"another issuer":                {one.token(t, claimsOf(map[string]any{"iss": "https://id.example.com.evil.test"})), "different provider"},
		"no issuer":                     {one.token(t, claimsOf(map[string]any{"iss": nil})), "different provider"},
		"no subject":                    {one.token(t, claimsOf(map[string]any{"sub": nil})), "claim sub"},
		"a subject that forges a line":  {one.token(t, claimsOf(map[string]any{"sub": "jane\nroot"})), "claim sub"},
		"root on the socket":            {one.token(t, claimsOf(map[string]any{"sub": "uid:0"})), `the claim sub is "uid:0"`},
		"root, in capitals":             {one.token(t, claimsOf(map[string]any{"sub": "UID:0"})), "the claim sub is"},
		"a local one":                   {one.token(t, claimsOf(map[string]any{"sub": "local:jane"})), "the claim sub is"},
		"a source":                      {one.token(t, claimsOf(map[string]any{"sub": "source:crm"})), "the claim sub is"},
		"purger itself":                 {one.token(t, claimsOf(map[string]any{"sub": "purger"})), "the claim sub is"},
		"a retired key":                 {retired.token(t, claimsOf(nil)), "no key fits"},
		"another key with a known id":   {impostor.token(t, claimsOf(nil)), "signature is wrong"},
		"a key that it brings itself":   {withKey, "wrong"},
		"cut off":                       {good[:len(good)-1], ""},
		"no signature":                  {good[:strings.LastIndex(good, ".")+1], ""},
		"not a token":                   {"a.b.c", "malformed jwt"},
		"the local issuer's name":       {one.token(t, claimsOf(map[string]any{"iss": localIssuer})), "different provider"},
	} {
		caller, err := authenticate(t, tokens, "Bearer "+c.token)
		if store.CodeOf(err) != store.Unauthenticated || !strings.Contains(err.Error(), c.want) || caller.Role != "" {
			t.Errorf("%s: %+v, %v; want %q", name, caller, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), c.token) {
			t.Errorf("%s: the error repeats the token: %v", name, err)
		}
	}
}

func TestTokens_TheHeaderHoldsOneTokenAndNothingElse(t *testing.T) {
	key := newSigning(t, jose.EdDSA, "one")
	tokens := newTokens(t, writeKeys(t, key.jwk()))
	good := key.token(t, claimsOf(nil))
	for _, values := range [][]string{
		nil, {""}, {"Bearer"}, {"Bearer "}, {good}, {"Basic " + good}, {"Bearer " + good + " x"}, {"Bearer  " + good},
		{"Bearer " + good, "Bearer " + good}, {"Bearer " + good + "," + good}, {"Bearer " + strings.Repeat("a", maxToken+1)},
	} {
		if c, err := authenticate(t, tokens, values...); store.CodeOf(err) != store.Unauthenticated {
			t.Errorf("%.40q: %+v, %v", values, c, err)
		}
	}
	if _, err := authenticate(t, tokens, "bearer "+good); err != nil {
		t.Errorf("the scheme in lower case: %v", err)
	}
	if _, err := authenticate(t, NewTokens(TokenOptions{}), "Bearer "+good); store.CodeOf(err) != store.Unauthenticated || !strings.Contains(err.Error(), "api.auth.issuer") {
		t.Errorf("without an issuer: %v", err)
	}
	_, local := newLocal(t)
	for _, raw := range []string{good, "a.b.c"} {
		if _, err := authenticate(t, local, "Bearer "+raw); store.CodeOf(err) != store.Unauthenticated || !strings.Contains(err.Error(), "only those of 'purger token' are accepted here") {
			t.Errorf("without an issuer, but with local tokens: %v", err)
		}
	}
}

// A name that only looks like a reserved one is a person's.
func TestTokens_ASubjectIsRefusedForItsFormAlone(t *testing.T) {
	key := newSigning(t, jose.EdDSA, "one")
	tokens := newTokens(t, writeKeys(t, key.jwk()))
	for _, sub := range []string{"uid", "uidx:0", "purger-ci", "auth0|uid:0", "locally:x"} {
		if c, err := authenticate(t, tokens, "Bearer "+key.token(t, claimsOf(map[string]any{"sub": sub}))); err != nil || c.Actor.ID != sub {
			t.Errorf("%q: %+v, %v", sub, c, err)
		}
	}
}

func TestTokens_RolesAndTenantComeFromTheConfiguredClaims(t *testing.T) {
	key := newSigning(t, jose.ES256, "one")
	path := writeKeys(t, key.jwk())
	for name, c := range map[string]struct {
		claims     map[string]any
		rolesClaim string
		role       client.Role
		tenant     string
	}{
		"the highest":             {map[string]any{"roles": []any{"viewer", "sre", 7}}, "", client.RoleSuperAdmin, ""},
		"a text of several":       {map[string]any{"roles": "viewer operator"}, "", client.RoleOperator, ""},
		"none that is known":      {map[string]any{"roles": []string{"admin", "SRE"}}, "", "", ""},
		"no claim":                {map[string]any{"roles": nil}, "", "", ""},
		"a claim of another kind": {map[string]any{"roles": 5}, "", "", ""},
		"in an object":            {map[string]any{"realm_access": map[string]any{"roles": []string{"viewer"}}}, "realm_access.roles", client.RoleViewer, ""},
		"a name with dots":        {map[string]any{"https://example.com/roles": "viewer"}, "https://example.com/roles", client.RoleViewer, ""},
		"a tenant's own":          {map[string]any{"roles": nil, "tenant_id": "acme"}, "", client.RoleTenant, "acme"},
		"a person with a tenant":  {map[string]any{"tenant_id": "acme"}, "", client.RoleOperator, "acme"},
		"a tenant that is no id":  {map[string]any{"roles": nil, "tenant_id": "../acme"}, "", "", ""},
		"another's name for it":   {map[string]any{"tenant_id": "acme", "roles": []string{"viewer"}}, "", client.RoleTenant, "acme"},
		"the highest name for it": {map[string]any{"tenant_id": "acme", "roles": "super_admin"}, "", client.RoleTenant, "acme"},
		"that of no tenant":       {map[string]any{"tenant_id": "../acme", "roles": "viewer"}, "", "", ""},
		"an empty tenant":         {map[string]any{"tenant_id": "", "roles": "viewer"}, "", client.RoleViewer, ""},
		"a mapped one beside it":  {map[string]any{"tenant_id": "acme", "roles": "viewer sre"}, "", client.RoleSuperAdmin, "acme"},
		"the role without one":    {map[string]any{"roles": "tenant"}, "", "", ""},
	} {
		tokens := newTokens(t, path, func(o *TokenOptions) {
			if c.rolesClaim != "" {
				o.RolesClaim = c.rolesClaim
			}
		})
		got, err := authenticate(t, tokens, "Bearer "+key.token(t, claimsOf(c.claims)))
		if err != nil || got.Role != c.role || got.TenantID != c.tenant {
			t.Errorf("%s: %+v, %v; want role %q of tenant %q", name, got, err, c.role, c.tenant)
		}
	}
}

func TestTokens_TheClocksMayDifferByTheSkewAndNoMore(t *testing.T) {
	key := newSigning(t, jose.EdDSA, "one")
	path := writeKeys(t, key.jwk())
	skew := func(d time.Duration) func(*TokenOptions) { return func(o *TokenOptions) { o.ClockSkew = d } }
	now := time.Now().Unix()
	for name, change := range map[string]map[string]any{
		"expired a minute ago": {"exp": now - 60}, "valid in a minute": {"nbf": now + 60},
	} {
		raw := "Bearer " + key.token(t, claimsOf(change))
		if _, err := authenticate(t, newTokens(t, path, skew(50*time.Second)), raw); store.CodeOf(err) != store.Unauthenticated {
			t.Errorf("%s, with a skew of 50 s: %v", name, err)
		}
		if _, err := authenticate(t, newTokens(t, path, skew(70*time.Second)), raw); err != nil {
			t.Errorf("%s, with a skew of 70 s: %v", name, err)
		}
	}
	raw := "Bearer " + key.token(t, claimsOf(map[string]any{"nbf": nil}))
	if _, err := authenticate(t, newTokens(t, path, func(o *TokenOptions) { o.RequireNotBefore = false }), raw); err != nil {
		t.Errorf("no nbf where none is required: %v", err)
	}
}
