package postgrestarget

import (
	"crypto/tls"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// beyond reports whether a host is another machine.
func beyond(host string, port uint16) bool {
	network, _ := pgconn.NetworkAddress(host, port)
	ip := net.ParseIP(host)
	return network != "unix" && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// inTheClear returns another machine to which a configuration may connect without TLS;
// "" for none. libpq's default, prefer, is content without where the other end, or who
// stands between, says that it has none.
func inTheClear(c *pgconn.Config) string {
	if c.TLSConfig == nil && beyond(c.Host, c.Port) {
		return c.Host
	}
	for _, f := range c.Fallbacks {
		if f.TLSConfig == nil && beyond(f.Host, f.Port) {
			return f.Host
		}
	}
	return ""
}

// unverified returns another machine whose certificate is not looked at, as with
// sslmode=require; "" for none.
func unverified(c *pgconn.Config) string {
	looks := func(t *tls.Config) bool {
		return t == nil || !t.InsecureSkipVerify || t.VerifyPeerCertificate != nil || t.VerifyConnection != nil
	}
	if !looks(c.TLSConfig) && beyond(c.Host, c.Port) {
		return c.Host
	}
	for _, f := range c.Fallbacks {
		if !looks(f.TLSConfig) && beyond(f.Host, f.Port) {
			return f.Host
		}
	}
	return ""
}
