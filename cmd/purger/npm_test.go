//go:build long

package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestScripts_QlikClient drives a daemon with the client that Qlik publishes, at
// the version of testdata/npm/package-lock.json. QLIK_API is the directory of its
// package.
func TestScripts_QlikClient(t *testing.T) {
	missing := t.Skipf
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	module := os.Getenv("QLIK_API")
	if _, err := os.Stat(filepath.Join(module, "tenants.js")); err != nil || module == "" {
		missing("QLIK_API is not the directory of the npm package @qlik/api; 'deploy/test.sh long' installs it: %v", err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		missing("%v", err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keys, config := filepath.Join(dir, "keys.pem"), filepath.Join(dir, "purger.yaml")
	for name, data := range map[string]string{
		keys:   string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		config: "api: {auth: {issuer: https://id.example.com, audience: purger, keysFile: " + keys + "}}\n",
	} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runScripts(t, "testdata/npm", false, "QLIK_API="+module, "CONFIG="+config,
		"OPERATOR="+signedToken(t, private, "roles", "operator"), "TENANT="+signedToken(t, private, "tenant_id", "larkspur"))
}

// signedToken returns a token (RFC 7519) with a claim besides those that every
// token has.
func signedToken(t *testing.T, key ed25519.PrivateKey, claim, value string) string {
	t.Helper()
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": "https://id.example.com", "aud": "purger", "sub": "platform", "nbf": now - 10, "exp": now + 600, claim: value,
	})
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"EdDSA"}`)) + "." + b64(payload)
	return signed + "." + b64(ed25519.Sign(key, []byte(signed)))
}
