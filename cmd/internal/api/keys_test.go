package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/tenantpurge/purger/store"
)

// pemFile writes a PEM block.
func pemFile(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadKeys_PEMVerifiesWhateverTheKeyIsCalled(t *testing.T) {
	key := newSigning(t, jose.RS256, "a-name-that-PEM-has-not")
	der, err := x509.MarshalPKIXPublicKey(key.private.Public())
	tokens := newTokens(t, pemFile(t, "PUBLIC KEY", der, err))
	if _, err := authenticate(t, tokens, "Bearer "+key.token(t, claimsOf(nil))); err != nil {
		t.Error(err)
	}
	other := newSigning(t, jose.RS256, "a-name-that-PEM-has-not")
	if _, err := authenticate(t, tokens, "Bearer "+other.token(t, claimsOf(nil))); store.CodeOf(err) != store.Unauthenticated {
		t.Errorf("another key: %v", err)
	}
}

// TestReadKeys_KeysWithoutIDsAreAllTried is about files as they are while an issuer
// changes its key: with two of a kind, and no names for them.
func TestReadKeys_KeysWithoutIDsAreAllTried(t *testing.T) {
	first, second, other := newSigning(t, jose.RS256, ""), newSigning(t, jose.RS256, ""), newSigning(t, jose.RS256, "")
	var blocks []byte
	for _, s := range []signing{first, second} {
		der, err := x509.MarshalPKIXPublicKey(s.private.Public())
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	path := filepath.Join(t.TempDir(), "two.pem")
	if err := os.WriteFile(path, blocks, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"PEM": path, "JWKS": writeKeys(t, first.jwk(), second.jwk())} {
		tokens := newTokens(t, path)
		for i, s := range []signing{first, second} {
			if _, err := authenticate(t, tokens, "Bearer "+s.token(t, claimsOf(nil))); err != nil {
				t.Errorf("%s: key %d: %v", name, i+1, err)
			}
		}
		if _, err := authenticate(t, tokens, "Bearer "+other.token(t, claimsOf(nil))); store.CodeOf(err) != store.Unauthenticated || !strings.Contains(err.Error(), "signature is wrong") {
			t.Errorf("%s: a third key: %v", name, err)
		}
	}
}

func TestReadKeys_RefusesWhatIsNotAPublicKeyOrTooWeak(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that it is refused is the point
	if err != nil {
		t.Fatal(err)
	}
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strong := newSigning(t, jose.RS256, "one")
	weakDER, weakErr := x509.MarshalPKIXPublicKey(weak.Public())
	smallDER, smallErr := x509.MarshalPKIXPublicKey(small.Public())
	privateDER, privateErr := x509.MarshalPKCS8PrivateKey(strong.private)
	text := func(s string) string {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ path, want string }{
		"a weak RSA key":      {pemFile(t, "PUBLIC KEY", weakDER, weakErr), "1024 bits: want at least 2048"},
		"a small curve":       {pemFile(t, "PUBLIC KEY", smallDER, smallErr), "other than P-256"},
		"a private key":       {pemFile(t, "PRIVATE KEY", privateDER, privateErr), "want PUBLIC KEY or CERTIFICATE"},
		"a private JWK":       {writeKeys(t, jose.JSONWebKey{Key: strong.private, KeyID: "one"}), "want a public key"},
		"a secret":            {text(`{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}`), "want a public key"},
		"an empty set":        {text(`{"keys":[]}`), "key"},
		"nothing":             {text(""), "at least one public key"},
		"something else":      {text("hello"), "at least one public key"},
		"a file that is gone": {filepath.Join(t.TempDir(), "none"), "no such file"},
	} {
		_, err := ReadKeys(c.path)
		if store.CodeOf(err) != store.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
