package httpcall

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/tenantpurge/purger/store"
)

// The defaults of a zero field.
const (
	DefaultTimeout = 30 * time.Second
	DefaultMaxBody = 8 << 20 // bytes
	DefaultConns   = 64
)

// Config says whom to call and how to prove who calls. Secrets are given as they
// are, not as names of files. A proxy is taken from the environment, as by
// [net/http.ProxyFromEnvironment].
type Config struct {
	// BaseURL is put in front of every URL that begins with "/":
	// "https://api.example.com/v2". Its origin may be called.
	BaseURL string
	// Hosts are further hosts that may be called, "files.example.com" for https
	// at port 443, or "https://files.example.com:8443". They are shown the same
	// credentials.
	Hosts []string
	// Insecure allows http:// to hosts that are not this machine; credentials
	// and answers can then be read and changed on the way.
	Insecure bool
	// Auth proves who calls; the zero value does not.
	Auth Auth
	// CA holds certificates, as PEM, that are trusted instead of the system's.
	CA string
	// Cert and Key are the client's certificate and key for mTLS, as PEM; both
	// or neither.
	Cert, Key string
	// Timeout bounds one request with its answer, or one for a token that it needs, up
	// to 1 h; 0 is DefaultTimeout.
	Timeout time.Duration
	// MaxBody is the largest body of an answer, in bytes, after decompression, up to
	// 1 GiB; a larger one is an error. 0 is DefaultMaxBody.
	MaxBody int64
	// Conns is how many idle connections are kept to each host: the number of
	// calls that are usually under way, up to 4096. 0 is DefaultConns.
	Conns int
	// Header is sent with every call; a header of the request itself replaces
	// it.
	Header map[string]string
}

// Auth is one way of authentication at most: a token, a name with a password,
// or OAuth client credentials. A request that has an Authorization header of
// its own is sent as it is.
type Auth struct {
	// Bearer is a token that does not change.
	Bearer string `yaml:"bearer" config:"secret"`
	// Scheme is the word before the token; "" is "Bearer". Okta wants "SSWS".
	Scheme string `yaml:"scheme"`
	// Username and Password are for HTTP basic authentication.
	Username string `yaml:"username" config:"secret"`
	Password string `yaml:"password" config:"secret"`
	// OAuth, with a TokenURL, gets tokens by client credentials (RFC 6749, 4.4).
	OAuth OAuth `yaml:"oauth"`
}

// OAuth is a client of an authorization server.
type OAuth struct {
	// TokenURL is where tokens come from. Only tokens are asked for there,
	// unless its host is configured as well.
	TokenURL     string   `yaml:"tokenUrl"`
	ClientID     string   `yaml:"clientId" config:"secret"`
	ClientSecret string   `yaml:"clientSecret" config:"secret"`
	Scopes       []string `yaml:"scopes"`
	// Params are sent beside the standard ones; Auth0 wants "audience".
	Params map[string]string `yaml:"params" config:"secret"`
	// InBody sends the client's id and secret in the body instead of in a
	// header.
	InBody bool `yaml:"inBody"`
}

// validate returns all that is wrong with the configuration, joined; the fields are
// those of Config, in lower camel case.
func (c Config) validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, store.Errorf(store.Invalid, field+": "+format, args...).At(field))
	}
	if c.BaseURL == "" && len(c.Hosts) == 0 {
		wrong("baseUrl", "missing; want a URL such as https://api.example.com")
	}
	if c.Timeout < 0 || c.Timeout > time.Hour {
		wrong("timeout", "%s; want up to 1h", c.Timeout)
	}
	if c.MaxBody < 0 || c.MaxBody > 1<<30 {
		wrong("maxBody", "%d; want up to 1 GiB", c.MaxBody)
	}
	if c.Conns < 0 || c.Conns > 4096 {
		wrong("conns", "%d; want up to 4096", c.Conns)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Header)) {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(c.Header[name]) {
			wrong("headers", "%q: not a header that can be sent", name)
		} else if http.CanonicalHeaderKey(name) == "Authorization" {
			wrong("headers", "Authorization: use auth")
		}
	}
	return errors.Join(append(errs, c.Auth.validate(c.Insecure))...)
}

func (a Auth) validate(insecure bool) error {
	bad := func(field, format string, args ...any) error {
		return store.Errorf(store.Invalid, field+": "+format, args...).At(field)
	}
	o := a.OAuth
	ways := 0
	for _, used := range []bool{a.Bearer != "", a.Username != "" || a.Password != "", o.TokenURL != "" || o.ClientID != "" || o.ClientSecret != ""} {
		if used {
			ways++
		}
	}
	switch {
	case ways > 1:
		return bad("auth", "want one of bearer, username with password, and oauth")
	case a.Scheme != "" && a.Bearer == "":
		return bad("auth.scheme", "%q without auth.bearer", a.Scheme)
	case a.Scheme != "" && !httpguts.ValidHeaderFieldName(a.Scheme):
		return bad("auth.scheme", "%q: want one word", a.Scheme)
	case !httpguts.ValidHeaderFieldValue(a.Bearer) || strings.TrimSpace(a.Bearer) != a.Bearer:
		return bad("auth.bearer", "it has characters that no header can have, such as the line feed at the end of a file")
	case strings.Contains(a.Username, ":"):
		return bad("auth.username", "a user name has no colon")
	case a.Password != "" && a.Username == "":
		return bad("auth.username", "missing beside auth.password")
	}
	if ways == 0 || o.TokenURL == "" && o.ClientID == "" && o.ClientSecret == "" {
		return nil
	}
	if o.TokenURL == "" || o.ClientID == "" || o.ClientSecret == "" {
		return bad("auth.oauth", "want tokenUrl, clientId and clientSecret")
	}
	for _, name := range []string{"grant_type", "scope", "client_id", "client_secret"} {
		if _, ok := o.Params[name]; ok {
			return bad("auth.oauth.params", "%s has a field of its own", name)
		}
	}
	_, err := parseURL("auth.oauth.tokenUrl", o.TokenURL, insecure)
	return err
}

// header returns the headers that every request has.
func (c Config) header() http.Header {
	h := http.Header{"Accept": {"application/json"}, "User-Agent": {"purger"}}
	for name, value := range c.Header {
		h.Set(name, value)
	}
	switch a := c.Auth; {
	case a.Bearer != "":
		h.Set("Authorization", cmp.Or(a.Scheme, "Bearer")+" "+a.Bearer)
	case a.Username != "":
		r := http.Request{Header: h}
		r.SetBasicAuth(a.Username, a.Password)
	}
	return h
}

// tls returns the configuration for connections, or all that is wrong with it.
func (c Config) tls() (*tls.Config, error) {
	var errs []error
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM([]byte(c.CA)) {
			errs = append(errs, store.Errorf(store.Invalid, "ca: no certificate in PEM in it").At("ca"))
		}
	}
	switch {
	case (c.Cert == "") != (c.Key == ""):
		errs = append(errs, store.Errorf(store.Invalid, "cert: a certificate and its key go together").At("cert"))
	case c.Cert != "":
		pair, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key))
		if err != nil {
			errs = append(errs, store.Errorf(store.Invalid, "cert: %w", err).At("cert"))
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, errors.Join(errs...)
}

// parseURL takes an absolute URL of a configuration apart.
func parseURL(field, s string, insecure bool) (*url.URL, error) {
	bad := func(format string, args ...any) error {
		return store.Errorf(store.Invalid, field+": "+format, args...).At(field)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, bad("not a URL") // the error of url.Parse shows it, with a password in it
	case u.User != nil:
		return nil, bad("has a user name in it; use auth")
	case u.Hostname() == "" || u.Opaque != "" || u.Fragment != "":
		return nil, bad("%q; want a URL such as https://api.example.com", s)
	case u.Scheme == "http" && !insecure && !loopback(u.Hostname()):
		return nil, bad("%q is not encrypted; want https://, or insecure: true", s)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, bad("%q; want https://", s)
	}
	return u, nil
}
