package api

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// FuzzHeaders reads the header fields that have a form of their own. A trace id is
// taken as it is or not at all; an idempotency key is printable.
func FuzzHeaders(f *testing.F) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f.Add(trace, "key", "acme", "acme.example.com")
	f.Add("cc"+trace[2:]+"-more", strings.Repeat("k", 256), "..", "ACME.example.com.")
	f.Add(strings.ToUpper(trace), "\x00", "\u202e", "acme.example.com\u212a")
	f.Add("00-"+strings.Repeat("0", 32)+"-b7ad6b7169203331-01", "a b~", "", "\u202e")
	f.Fuzz(func(t *testing.T, traceparent, key, tenant, host string) {
		if id := traceID(traceparent); id != "" {
			if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) || strings.Trim(id, "0") == "" || !strings.HasPrefix(traceparent[2:], "-"+id+"-") {
				t.Errorf("traceparent %q has the id %q", traceparent, id)
			}
		}
		r := &request{Request: &http.Request{Header: http.Header{client.HeaderIdempotencyKey: {key}}}}
		got, err := idempotencyKey(r)
		if err != nil {
			checkError(t, key, err)
		} else if got != key || !regexp.MustCompile(`^[ -~]{1,255}$`).MatchString(key) {
			t.Errorf("idempotency key %q was read as %q", key, got)
		}
		if err := store.CheckID("x-tenantid", tenant); err != nil {
			checkError(t, tenant, err)
		}
		of := store.Tenant{ID: "acme", Hostname: "acme.example.com"}
		if err := (confirmation{names: map[string][]string{confirmHeader: {host}}, required: true}).check(&of); err != nil {
			checkError(t, host, err)
		} else if !strings.EqualFold(strings.TrimSuffix(host, "."), of.Hostname) {
			t.Errorf("%q confirms %q", host, of.Hostname)
		}
		if err := checkContentType(http.Header{"Content-Type": {traceparent}}, client.ContentJSON); err != nil && len(err.Error()) > 400 {
			t.Errorf("error %v", err)
		}
	})
}

// fuzzKey is a key that is the same in each run, so that tokens of the corpus keep
// their signatures.
func fuzzKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("a seed of thirty-two characters!"))
}

// fuzzToken is a token that is good until 2200.
func fuzzToken(f *testing.F, claims string) string {
	f.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: fuzzKey(), KeyID: "1"}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		f.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

// FuzzAuthorization presents tokens. Nobody is believed whose token the key has not
// signed, byte for byte, and no refusal repeats a token or what it claims.
func FuzzAuthorization(f *testing.F) {
	const claims = `{"iss":"https://id.example.com","aud":"purger","sub":"jane","nbf":0,"exp":7258118400,"roles":["operator"]}`
	good := fuzzToken(f, claims)
	parts := strings.Split(good, ".")
	local, err := NewLocalTokens()
	if err != nil {
		f.Fatal(err)
	}
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, seed := range []string{
		good, "bearer " + good, "Bearer " + good, "Bearer " + good + "=", "Bearer  " + good, "Bearer " + good + "," + good, "Basic " + b64("a:b"), "Bearer", "",
		"Bearer " + b64(`{"alg":"none"}`) + "." + parts[1] + ".", "Bearer " + b64(`{"alg":"HS256"}`) + "." + parts[1] + "." + parts[2], "Bearer " + b64(`{"alg":"`+strings.Repeat("A", 200)+`"}`) + "." + parts[1] + "." + parts[2],
		"Bearer " + parts[0] + "." + b64(strings.Replace(claims, "jane", "root", 1)) + "." + parts[2], "Bearer " + parts[0] + "." + b64(`{"iss":"`+strings.Repeat("x", 200)+`"}`) + "." + parts[2],
		"Bearer " + fuzzToken(f, strings.Replace(claims, "purger", strings.Repeat("é", 100), 1)), "Bearer " + fuzzToken(f, strings.Replace(claims, "7258118400", "1e400", 1)), "Bearer " + fuzzToken(f, strings.Replace(claims, "jane", `j\u202eane`, 1)),
		"Bearer " + fuzzToken(f, strings.Replace(claims, "https://id.example.com", "purger", 1)), "Bearer " + fuzzToken(f, strings.Replace(claims, `:0,`, `:1e300,`, 1)), "Bearer " + fuzzToken(f, "[]"),
		"Bearer " + b64(`{"alg":"EdDSA","kid":"`+strings.Repeat("é", 100)+`"}`) + "." + parts[1] + "." + parts[2], "Bearer ..", `Bearer {"payload":""}`,
	} {
		f.Add(seed)
	}
	public := fuzzKey().Public().(ed25519.PublicKey)
	tokens := NewTokens(TokenOptions{
		Issuer: "https://id.example.com", Audience: "purger", Keys: &FileKeys{keySet{{Key: public, KeyID: "1"}}},
		RolesClaim: "roles", TenantClaim: "tenant_id", RequireNotBefore: true, Local: local,
	})
	f.Fuzz(func(t *testing.T, header string) {
		r := (&http.Request{Header: http.Header{"Authorization": {header}}}).WithContext(t.Context())
		c, err := tokens.Authenticate(r)
		if err != nil {
			if store.CodeOf(err) != store.Unauthenticated || c != (Caller{}) {
				t.Errorf("%+v with the error %v", c, err)
			}
			checkError(t, header, err)
			for _, part := range strings.Split(header, ".") { // what is claimed, too
				if b, e := base64.RawURLEncoding.DecodeString(part); e == nil {
					checkError(t, string(b), err)
				}
			}
			return
		}
		token := header[len("Bearer "):]
		i := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.Strict().DecodeString(token[i+1:])
		if err != nil || !ed25519.Verify(public, []byte(token[:i]), signature) {
			t.Errorf("%q is believed, and not signed: %v", header, err)
		}
		if b, err := json.Marshal(c); err != nil || string(visible(b)) != string(b) || c.Actor.ID == "" {
			t.Errorf("%q is %s, %v", header, b, err)
		}
	})
}
