package api

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// localIssuer is the claim iss of the tokens that a daemon makes itself.
const localIssuer = "purger"

// How long a local token may be good for.
const (
	DefaultTokenLife = 15 * time.Minute
	MaxTokenLife     = time.Hour
)

// LocalTokens makes short-lived tokens for scripts, and knows them again. Its key
// is never written down: a restart of the daemon ends every token, and so does
// [LocalTokens.Renew]. It is safe for concurrent use.
type LocalTokens struct {
	key atomic.Pointer[localKey]
}

// localKey is a key of [LocalTokens]. It does not change.
type localKey struct {
	id     string // the claim aud, and the id of the key
	public ed25519.PublicKey
	signer jose.Signer
}

// localClaims are those of a local token.
type localClaims struct {
	jwt.Claims
	Role  client.Role `json:"role"`
	Name  string      `json:"name,omitempty"`
	Email string      `json:"email,omitempty"`
}

// NewLocalTokens returns a maker of tokens with a new key.
func NewLocalTokens() (*LocalTokens, error) {
	l := &LocalTokens{}
	apply, err := l.Renew()
	if err != nil {
		return nil, err
	}
	apply()
	return l, nil
}

// Renew makes another key and returns what puts it in force. That ends every token
// that was made before.
func (l *LocalTokens) Renew() (apply func(), err error) {
	key, err := newLocalKey()
	if err != nil {
		return nil, err
	}
	return func() { l.key.Store(key) }, nil
}

// newLocalKey makes a key.
func newLocalKey() (*localKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, store.Errorf(store.Internal, "make a key: %w", err)
	}
	id := uuid.NewString()
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, store.Errorf(store.Internal, "make a signer: %w", err)
	}
	return &localKey{id: id, public: public, signer: signer}, nil
}

// issue makes a token with which a is known from now on for a time.
func (l *localKey) issue(a store.Actor, role client.Role, now time.Time, life time.Duration) (string, error) {
	claims := localClaims{Role: role, Name: a.Name, Email: a.Email, Claims: jwt.Claims{
		Issuer: localIssuer, Subject: a.ID, Audience: jwt.Audience{l.id}, ID: uuid.NewString(),
		Expiry: jwt.NewNumericDate(now.Add(life)), NotBefore: jwt.NewNumericDate(now), IssuedAt: jwt.NewNumericDate(now),
	}}
	raw, err := jwt.Signed(l.signer).Claims(claims).Serialize()
	if err != nil {
		return "", store.Errorf(store.Internal, "sign a token: %w", err)
	}
	return raw, nil
}

// made reports whether a token says that it was made by a daemon, which is not
// believed yet.
func (l *LocalTokens) made(raw string) bool {
	token, err := parseToken(raw)
	if err != nil {
		return false
	}
	var says struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(token.UnsafePayloadWithoutVerification(), &says) == nil && says.Issuer == localIssuer
}

// caller returns the caller of a local token.
func (l *LocalTokens) caller(raw string) (Caller, error) { return l.key.Load().caller(raw) }

// caller returns the caller of a token of this key.
func (l *localKey) caller(raw string) (Caller, error) {
	refuse := func(why error) (Caller, error) {
		return Caller{}, store.Errorf(store.Unauthenticated, "token: %w", why)
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return refuse(errors.New("it is no signed JWT of an accepted algorithm"))
	}
	var claims localClaims
	if err := token.Claims(l.public, &claims); err != nil {
		return refuse(errors.New("it is not one of this daemon since its last start, or since api.socket.roles has changed; make a new one with 'purger token'"))
	}
	err = claims.ValidateWithLeeway(jwt.Expected{Issuer: localIssuer, AnyAudience: jwt.Audience{l.id}, Time: time.Now()}, 0)
	switch {
	case errors.Is(err, jwt.ErrExpired) && claims.Expiry != nil:
		return refuse(fmt.Errorf("it expired at %s; make a new one with 'purger token'", store.FormatTime(claims.Expiry.Time())))
	case err != nil:
		return refuse(errors.New(strings.TrimPrefix(err.Error(), "go-jose/go-jose/jwt: ")))
	case claims.Expiry == nil:
		return refuse(errors.New("want the claim exp"))
	}
	return Caller{Actor: store.Actor{ID: claims.Subject, Name: claims.Name, Email: claims.Email}, Role: claims.Role}, nil
}
