package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// certificate writes a certificate and its key into dir, as web.crt and web.key.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"web.crt": {Type: "CERTIFICATE", Bytes: cert}, "web.key": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCheckWeb_OnlyWhatTheToolkitTakesForTLSIsTLS goes through keys that stand where
// TLS is configured, and are none: with those alone the toolkit serves without.
func TestCheckWeb_OnlyWhatTheToolkitTakesForTLSIsTLS(t *testing.T) {
	const bare = "without TLS it would be heard by others"
	for text, want := range map[string]string{
		"":                        bare,
		"tls_server_config: {}\n": bare,
		"tls_server_config: {min_version: TLS13}\n":                                        bare,
		"tls_server_config: {prefer_server_cipher_suites: true}\n":                         bare,
		"tls_server_config: {client_allowed_sans: [a.example.com]}\n":                      bare,
		"tls_server_config: {cipher_suites: [TLS_AES_128_GCM_SHA256]}\n":                   bare,
		"tls_server_config: {cert_file: \"\", key_file: \"\"}\n":                           bare,
		"http_server_config: {http2: true}\n":                                              bare,
		"tls_server_config: {client_auth_type: RequireAndVerifyClientCert}\n":              "missing one of cert or cert_file",
		"tls_server_config: {cert_file: web.crt}\n":                                        "missing one of key or key_file",
		"tls_server_config: {cert_file: web.crt, key_file: none}\n":                        "no such file",
		"tls_server_config: {cert_file: web.crt, key_file: web.key, min_version: TLS13}\n": "",
	} {
		dir := t.TempDir()
		certificate(t, dir)
		cfg := config.Default()
		cfg.Web.ConfigFile = filepath.Join(dir, "web.yaml")
		if err := os.WriteFile(cfg.Web.ConfigFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"0.0.0.0:9464", ":9464", "[::]:9464", "192.0.2.1:9464"} {
			err := checkWeb(cfg, []string{address})
			if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || exitCode(err) != exitConfig) {
				t.Errorf("%q on %s: %v; want %q", text, address, err, want)
			}
		}
		cfg.Web.Insecure = true
		if err := checkWeb(cfg, []string{"0.0.0.0:9464"}); want == bare && err != nil {
			t.Errorf("%q where something else encrypts: %v", text, err)
		}
	}
}
