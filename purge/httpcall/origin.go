package httpcall

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// origin is scheme, host and port of a URL, in one form for each.
type origin struct{ scheme, host, port string }

// originOf returns the origin of an absolute URL.
func originOf(u *url.URL) origin {
	o := origin{strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()}
	switch {
	case o.port != "":
	case o.scheme == "https":
		o.port = "443"
	case o.scheme == "http":
		o.port = "80"
	}
	return o
}

// origins returns what the configuration allows to be called, and the base URL.
func (c Config) origins() (map[origin]bool, *url.URL, error) {
	allowed := map[origin]bool{}
	var base *url.URL
	var errs []error
	if c.BaseURL != "" {
		u, err := parseURL("baseUrl", c.BaseURL, c.Insecure)
		switch {
		case err != nil:
			errs = append(errs, err)
		case u.RawQuery != "" || u.ForceQuery:
			errs = append(errs, store.Errorf(store.Invalid, "baseUrl: has a query").At("baseUrl"))
		default:
			base = u
			allowed[originOf(u)] = true
		}
	}
	for _, h := range c.Hosts {
		if !strings.Contains(h, "://") {
			h = "https://" + h
		}
		u, err := parseURL("hosts", h, c.Insecure)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		allowed[originOf(u)] = true
	}
	return allowed, base, errors.Join(errs...)
}

// loopback reports whether a host is this machine, whatever its network is.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// shown returns a URL as an error may show it.
func shown(u *url.URL) string {
	if u == nil {
		return "(no URL)"
	}
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return c.String()
}
