package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// maxToken bounds a bearer token, in bytes.
const maxToken = 8 << 10

// TokenOptions say which bearer tokens are accepted.
type TokenOptions struct {
	// Issuer is the claim iss. "" accepts no token but those of Local.
	Issuer string
	// Audience is required with an Issuer: the claim aud holds it.
	Audience string
	// Keys verify signatures: [IssuerKeys] or [FileKeys]. Required with an Issuer.
	Keys oidc.KeySet
	// RolesClaim names the claim with the roles, a dot leading into an object, and
	// Roles what its values stand for. The names of the roles stand for themselves, but
	// not in a token with the claim of TenantClaim: whoever manages the roles within a
	// tenant may call one of them viewer, and does not mean that of all tenants.
	RolesClaim string
	Roles      map[string]client.Role
	// TenantClaim names the claim with the id of the caller's own tenant.
	TenantClaim string
	// RequireNotBefore refuses a token without the claim nbf.
	RequireNotBefore bool
	// ClockSkew is how far exp and nbf may be missed.
	ClockSkew time.Duration
	// Local makes tokens itself; nil makes none.
	Local *LocalTokens
}

// Tokens says who calls by the bearer token of a request (RFC 6750). It is safe
// for concurrent use.
//
// What a token says is believed when its signature is one of Keys by an algorithm
// that fits the key, and exp, nbf, iss and aud are there and right. What the token
// says of keys (jwk, jku, x5c, x5u) is never looked at.
type Tokens struct {
	o        TokenOptions
	verifier *oidc.IDTokenVerifier // nil without an issuer
}

// NewTokens returns the Authenticate of listeners on TCP.
func NewTokens(o TokenOptions) *Tokens {
	t := &Tokens{o: o}
	if o.Issuer != "" {
		t.verifier = oidc.NewVerifier(o.Issuer, o.Keys, &oidc.Config{
			ClientID: o.Audience, SupportedSigningAlgs: algorithmNames(),
			Now: func() time.Time { return time.Now().Add(-o.ClockSkew) },
		})
	}
	return t
}

// Authenticate implements [Options].Authenticate.
func (t *Tokens) Authenticate(r *http.Request) (Caller, error) {
	raw, err := bearer(r.Header)
	if err != nil {
		return Caller{}, err
	}
	if t.o.Local != nil && t.o.Local.made(raw) {
		return t.o.Local.caller(raw)
	}
	if t.verifier == nil {
		return Caller{}, store.Errorf(store.Unauthenticated, "%s", t.without())
	}
	ctx, outage := withOutage(r.Context())
	token, err := t.verifier.Verify(ctx, raw)
	var expired *oidc.TokenExpiredError
	switch {
	case outage.cause != nil:
		// The cause names the issuer's address, which is nobody's business who has shown
		// no token yet. Keys log it.
		return Caller{}, store.Errorf(store.Unavailable, "the token cannot be verified now: the issuer's keys cannot be had; try again later")
	case errors.As(err, &expired) && !expired.Expiry.IsZero():
		return Caller{}, store.Errorf(store.Unauthenticated, "token: it expired at %s", store.FormatTime(expired.Expiry))
	case err != nil:
		return Caller{}, store.Errorf(store.Unauthenticated, "token: %s", reasonOf(err))
	}
	return t.callerOf(token)
}

// without says what is accepted without an issuer.
func (t *Tokens) without() string {
	if t.o.Local == nil {
		return "token: none is accepted here: api.auth.issuer is not set"
	}
	return "token: only those of 'purger token' are accepted here, since api.auth.issuer is not set; make one with it, on the machine of the daemon"
}

// reasonOf returns why a token was refused, without what the token holds: neither
// the log nor the answer is a place for claims that nobody has signed.
func reasonOf(err error) string {
	reason := strings.TrimPrefix(err.Error(), "oidc: ")
	const malformed = "malformed jwt"
	if strings.HasPrefix(reason, malformed) && !strings.HasPrefix(reason, malformed+": illegal base64 data at input byte ") {
		return malformed
	}
	for _, quoting := range []string{" got ", ": json: "} {
		reason, _, _ = strings.Cut(reason, quoting)
	}
	return reason
}

// callerOf returns the caller of a token whose signature, iss, aud and exp are
// right.
func (t *Tokens) callerOf(token *oidc.IDToken) (Caller, error) {
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return Caller{}, store.Errorf(store.Unauthenticated, "token: the claims cannot be read")
	}
	if err := t.checkNotBefore(claims, time.Now()); err != nil {
		return Caller{}, err
	}
	c := Caller{Actor: store.Actor{ID: token.Subject, Name: text(claims["name"]), Email: text(claims["email"])}}
	if c.Actor.ID == "" || store.CheckText("sub", c.Actor.ID, store.MaxNameLength) != nil {
		return Caller{}, store.Errorf(store.Unauthenticated, "token: want the claim sub with who the caller is")
	}
	if reserved(c.Actor.ID) {
		return Caller{}, store.Errorf(store.Unauthenticated,
			"token: the claim sub is %s: purger itself gives ids such as purger, and any that begins with uid:, gid:, local:, source: or purger:; want another one of the issuer", store.Quote(c.Actor.ID))
	}
	tenant := claim(claims, t.o.TenantClaim)
	implicit := tenant == nil || tenant == ""
	for _, v := range words(claim(claims, t.o.RolesClaim)) {
		role, known := t.o.Roles[v]
		if parsed, err := client.ParseRole(v); !known && implicit && err == nil {
			role = parsed
		}
		c.Role = most(c.Role, role)
	}
	if id := text(tenant); store.CheckID("id", id) == nil {
		c.TenantID = id
		c.Role = most(c.Role, client.RoleTenant)
	}
	if c.Role == client.RoleTenant && c.TenantID == "" {
		c.Role = "" // of no tenant
	}
	return c, nil
}

// reserved reports whether an id, in whatever case, is of a form that this program
// gives itself or may come to give: an issuer's subject must not be taken for a user of
// this machine, or for purger.
func reserved(id string) bool {
	kind, _, of := strings.Cut(strings.ToLower(id), ":")
	return kind == "purger" || of && slices.Contains([]string{"uid", "gid", "local", "source"}, kind)
}

// checkNotBefore checks the claim nbf, to which the library gives a leeway of its
// own.
func (t *Tokens) checkNotBefore(claims map[string]any, now time.Time) error {
	v, there := claims["nbf"]
	switch seconds, ok := v.(float64); {
	case !there && !t.o.RequireNotBefore:
		return nil
	case !there:
		return store.Errorf(store.Unauthenticated, "token: want the claim nbf")
	case !ok:
		return store.Errorf(store.Unauthenticated, "token: the claim nbf is not a number of seconds")
	case now.Add(t.o.ClockSkew).Before(time.UnixMilli(int64(seconds * 1000))):
		return store.Errorf(store.Unauthenticated, "token: it is not valid yet")
	}
	return nil
}

// bearer returns the token of a request.
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", store.Errorf(store.Unauthenticated, "want a bearer token in the header Authorization")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t,") {
		return "", store.Errorf(store.Unauthenticated, "header Authorization: want one bearer token and nothing else")
	}
	if len(token) > maxToken {
		return "", store.Errorf(store.Unauthenticated, "token: longer than %d bytes", maxToken)
	}
	return token, nil
}

// claim returns the claim at a path of names with dots between them. A name that
// has dots itself is found, too.
func claim(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	name, rest, nested := strings.Cut(path, ".")
	inner, ok := claims[name].(map[string]any)
	if !nested || !ok {
		return nil
	}
	return claim(inner, rest)
}

// text returns a claim that is a printable text, "" for any other.
func text(v any) string {
	s, _ := v.(string)
	if store.CheckText("claim", s, store.MaxNameLength) != nil {
		return ""
	}
	return s
}

// words returns the values of a claim that is a list, or one text with spaces
// between them.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var all []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}
