package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/tenantpurge/purger/store"
)

// minRSA is the least size of an RSA key, in bits (NIST SP 800-57).
const minRSA = 2048

// algorithms returns the signatures that are accepted: none that is made with
// what verifies it.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// algorithmNames returns them as text.
func algorithmNames() []string {
	var names []string
	for _, a := range algorithms() {
		names = append(names, string(a))
	}
	return names
}

// algorithmsOf returns those that fit a public key, and what is wrong with a key
// that none fits.
func algorithmsOf(key any) ([]jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("an RSA key of %d bits: want at least %d", k.N.BitLen(), minRSA)
		}
		return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}, nil
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}, nil
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}, nil
		}
		return nil, errors.New("an elliptic curve other than P-256, P-384 and P-521")
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}, nil
	}
	return nil, fmt.Errorf("a %T: want a public key: RSA, ECDSA or Ed25519", key)
}

// keySet holds the public keys of an issuer.
type keySet []jose.JSONWebKey

// verify returns the payload of a token that one of the keys has signed: one of the
// name that the token gives its key, or any, if it gives none.
func (set keySet) verify(token *jose.JSONWebSignature) ([]byte, error) {
	header := token.Signatures[0].Header
	fits := false
	for _, k := range set {
		algs, err := algorithmsOf(k.Key)
		if err != nil || !slices.Contains(algs, jose.SignatureAlgorithm(header.Algorithm)) {
			continue
		}
		if k.Algorithm != "" && k.Algorithm != header.Algorithm || k.Use != "" && k.Use != "sig" {
			continue
		}
		if header.KeyID != "" && header.KeyID != k.KeyID {
			continue
		}
		fits = true
		if payload, err := token.Verify(k.Key); err == nil {
			return payload, nil
		}
	}
	if !fits {
		return nil, fmt.Errorf("no key fits a token with kid %s and alg %s", store.Quote(header.KeyID), store.Quote(header.Algorithm))
	}
	return nil, errors.New("the signature is wrong")
}

// has reports whether a key has the id.
func (set keySet) has(kid string) bool {
	return slices.ContainsFunc(set, func(k jose.JSONWebKey) bool { return k.KeyID == kid })
}

// parseToken takes a token apart, without believing any of it.
func parseToken(raw string) (*jose.JSONWebSignature, error) {
	token, err := jose.ParseSignedCompact(raw, algorithms())
	if err != nil {
		return nil, errors.New("it is no signed JWT of an accepted algorithm")
	}
	return token, nil
}

// FileKeys are keys of a file. They implement oidc.KeySet and do not change.
type FileKeys struct {
	keys keySet
}

// ReadKeys reads a JWK set (RFC 7517), one JWK, or PEM blocks with public keys or
// certificates. Errors: [store.Invalid] for a file without a key, and for one with
// a key that is not public or too weak.
func ReadKeys(path string) (*FileKeys, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "keys: %w", err)
	}
	parse := parsePEM
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		parse = parseJWKS
	}
	keys, err := parse(data)
	if err == nil && len(keys) == 0 {
		err = errors.New("want a JWK set or PEM with at least one public key")
	}
	for i, k := range keys {
		if err == nil {
			_, err = algorithmsOf(k.Key)
		}
		if err != nil {
			return nil, store.Errorf(store.Invalid, "keys in %s: key %d: %w", path, i+1, err)
		}
	}
	if err != nil {
		return nil, store.Errorf(store.Invalid, "keys in %s: %w", path, err)
	}
	return &FileKeys{keys}, nil
}

// parseJWKS reads a JWK set or one JWK.
func parseJWKS(data []byte) (keySet, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) == 0 {
		var one jose.JSONWebKey
		if err := json.Unmarshal(data, &one); err != nil {
			return nil, err
		}
		set.Keys = []jose.JSONWebKey{one}
	}
	return set.Keys, nil
}

// parsePEM reads public keys and certificates.
func parsePEM(data []byte) (keySet, error) {
	var set keySet
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return set, nil
		}
		data = rest
		var key any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				key = cert.PublicKey
			}
		default:
			err = fmt.Errorf("a PEM block %.64q: want PUBLIC KEY or CERTIFICATE", block.Type)
		}
		if err != nil {
			return nil, err
		}
		set = append(set, jose.JSONWebKey{Key: key})
	}
}

// VerifySignature implements oidc.KeySet.
func (f *FileKeys) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	token, err := parseToken(raw)
	if err != nil {
		return nil, err
	}
	if len(f.keys) > 0 && !slices.ContainsFunc(f.keys, func(k jose.JSONWebKey) bool { return k.KeyID != "" }) {
		// PEM has no ids: whatever the token calls its key, it is tried.
		token.Signatures[0].Header.KeyID = ""
	}
	return f.keys.verify(token)
}
