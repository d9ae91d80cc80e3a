package postgressource

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// The defaults of a zero field.
const (
	DefaultName            = "postgres"
	DefaultConns           = 4
	DefaultFetch           = 1000
	DefaultTimeout         = 10 * time.Second
	DefaultSnapshotTimeout = 10 * time.Minute
	DefaultConnectTimeout  = 10 * time.Second
)

// Config says where tenants are read, and how.
type Config struct {
	// Name is that of the source; "" is "postgres".
	Name string
	// DSN is a URL or a list of keywords, as libpq has them. It is a secret. Of
	// several hosts the first primary is taken; without connect_timeout an attempt
	// takes up to [DefaultConnectTimeout].
	DSN string `config:"dsn"`
	// Insecure allows connections without TLS to hosts that are not this machine; rows
	// and passwords can then be read and changed on the way.
	Insecure bool
	// Query yields the tenants; see the documentation of the package.
	Query string
	// Channel is what is listened to, up to 63 bytes; "" is nothing.
	Channel string
	// Conns is how many connections are kept for look-ups, 1 to 64; 0 is 4. There
	// is one more for a snapshot, and one for the channel.
	Conns int
	// Fetch is how many rows of a snapshot are read at a time, 1 to 100,000; 0 is
	// 1,000.
	Fetch int
	// Timeout bounds a look-up, 100 ms to 1 h; 0 is 10 s. SnapshotTimeout bounds each
	// statement of a snapshot, of which the first has to find the rows, 1 s to 24 h; 0
	// is 10 min.
	Timeout, SnapshotTimeout time.Duration
	// Standby is [StandbyRefused], as "" is, or [StandbyAllowed].
	Standby string
}

// What is done about a server that is a standby. It may lag behind its primary, and
// not know yet of a reactivation that somebody was told of.
const (
	StandbyRefused = "refused"
	StandbyAllowed = "allowed"
)

// withDefaults returns the configuration without zero fields.
func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Conns == 0 {
		c.Conns = DefaultConns
	}
	if c.Fetch == 0 {
		c.Fetch = DefaultFetch
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.SnapshotTimeout == 0 {
		c.SnapshotTimeout = DefaultSnapshotTimeout
	}
	if c.Standby == "" {
		c.Standby = StandbyRefused
	}
	return c
}

// parse checks the configuration and returns that of a connection, or all that is
// wrong, joined.
func (c *Config) parse() (*pgx.ConnConfig, error) {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, store.Errorf(store.Invalid, field+": "+format, args...).At(field))
	}
	if err := store.CheckID("name", c.Name); err != nil {
		errs = append(errs, err)
	}
	if c.Query = strings.TrimRight(c.Query, "; \t\r\n"); c.Query == "" {
		wrong("query", "missing; want a SELECT that yields id and status")
	}
	if len(c.Channel) > 63 || strings.ContainsRune(c.Channel, 0) {
		wrong("channel", "%d bytes long; want up to 63", len(c.Channel))
	}
	if c.Conns < 1 || c.Conns > 64 {
		wrong("conns", "%d; want 1 to 64", c.Conns)
	}
	if c.Fetch < 1 || c.Fetch > 100_000 {
		wrong("fetch", "%d; want 1 to 100000", c.Fetch)
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Hour {
		wrong("timeout", "%s; want 100ms to 1h", c.Timeout)
	}
	if c.SnapshotTimeout < time.Second || c.SnapshotTimeout > 24*time.Hour {
		wrong("snapshotTimeout", "%s; want 1s to 24h", c.SnapshotTimeout)
	}
	if c.Standby != StandbyRefused && c.Standby != StandbyAllowed {
		wrong("standby", "%q; want refused or allowed", c.Standby)
	}
	const wantDSN = "want one such as postgres://purger@db.example.com/app?sslmode=verify-full"
	cc, err := pgx.ParseConfig(c.DSN)
	if c.DSN == "" {
		wrong("dsn", "missing; %s", wantDSN)
	} else if err != nil { // what pgx says of it may show a part of the password
		wrong("dsn", "it cannot be read%s; %s", unreadable(err), wantDSN)
	} else if host := inTheClear(&cc.Config); host != "" && !c.Insecure {
		wrong("dsn", "the connection to %q may not be encrypted; want sslmode=verify-full in it, or insecure: true", host)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if cc.ConnectTimeout == 0 {
		cc.ConnectTimeout = DefaultConnectTimeout
	}
	if c.Standby == StandbyRefused && cc.ValidateConnect == nil { // among several hosts, and before anything is asked
		cc.ValidateConnect = isPrimary
	}
	// A server-side name for each text would outlive a change of the tables.
	cc.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	cc.RuntimeParams["application_name"] = "purger"
	return cc, nil
}

// unreadable returns which file of a DSN cannot be read, such as sslrootcert; "" for
// another error.
func unreadable(err error) string {
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return ", since " + file.Error()
	}
	return ""
}
