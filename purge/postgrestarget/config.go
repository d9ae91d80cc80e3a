package postgrestarget

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Config says which rows of which database are a tenant's.
type Config struct {
	// Name is the target's, see [purge.Target].
	Name string
	// DSN is a connection string, as a URL or in keywords. It is a secret. Only a
	// primary is asked, whatever target_session_attrs is: a standby may lack rows
	// that are new, and count what is long gone. Of several hosts the first primary
	// is taken.
	DSN string `config:"dsn"`
	// Insecure allows connections without TLS to hosts that are not this machine; rows
	// and passwords can then be read and changed on the way.
	Insecure bool
	// Kinds holds what to do for each kind; at least one, unless there is
	// Subscriptions.
	Kinds map[store.Kind]Kind
	// Subscriptions is a statement that returns one number, how many active
	// subscriptions the tenant $1 has: one with any is not purged. NULL, no row
	// and an error are no answer, and then it is not purged either. "" asks for
	// none.
	Subscriptions string
	// StatementTimeout bounds every statement, 100 ms to 1 h; 0 is 25 s. It is to be
	// less than the time-out of a call, see [Config.CheckPolicy].
	StatementTimeout time.Duration
	// LockTimeout bounds the wait for a lock, 10 ms to 1 h: purger gives way to the
	// application. 0 is 2 s.
	LockTimeout time.Duration
	// ConnectTimeout bounds a connection attempt, 100 ms to 1 min; 0 is 5 s.
	ConnectTimeout time.Duration
	// Connections is the largest number of connections, 2 to 100; 0 is 8.
	Connections int
	// Ledger is the table that makes counts exact, "table" or "schema.table"; ""
	// is purger_ledger. It is used once it exists.
	Ledger string
}

// Options are for the process, not for the operator. The zero value has none.
type Options struct {
	// Logger gets what no caller sees; nil is none.
	Logger *zap.Logger
	// Beside are other targets on the same database, by the same role, for Diagnose:
	// what it says of this one depends on what those purge.
	Beside []Config
	// Pool may change how connections are made, for tests; nil changes nothing.
	Pool func(*pgxpool.Config)
}

// The defaults.
const (
	defaultStatementTimeout = 25 * time.Second
	defaultLockTimeout      = 2 * time.Second
	defaultConnectTimeout   = 5 * time.Second
	defaultConnections      = 8
	defaultLedger           = "purger_ledger"
)

// withDefaults returns c with a value in every field that has a default.
func (c Config) withDefaults() Config {
	fill := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	fill(&c.StatementTimeout, defaultStatementTimeout)
	fill(&c.LockTimeout, defaultLockTimeout)
	fill(&c.ConnectTimeout, defaultConnectTimeout)
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.Ledger == "" {
		c.Ledger = defaultLedger
	}
	return c
}

// validate returns all that is wrong with a configuration that has its
// defaults, joined, or nil.
func (c Config) validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, store.Errorf(store.Invalid, field+": "+format, args...).At(field))
	}
	if err := store.CheckID("name", c.Name); err != nil {
		errs = append(errs, err)
	} else if c.Name == "store" {
		wrong("name", `"store" is that of the store; want another one`)
	}
	between := func(field string, d, least, most time.Duration) {
		if d < least || d > most {
			wrong(field, "%s; want %s to %s", d, least, most)
		}
	}
	between("statementTimeout", c.StatementTimeout, 100*time.Millisecond, time.Hour)
	between("lockTimeout", c.LockTimeout, 10*time.Millisecond, time.Hour)
	between("connectTimeout", c.ConnectTimeout, 100*time.Millisecond, time.Minute)
	if c.Connections < 2 || c.Connections > 100 {
		wrong("connections", "%d; want 2 to 100", c.Connections)
	}
	if _, err := parseName(c.Ledger); err != nil {
		wrong("ledger", "%q: %v", c.Ledger, err)
	}
	if len(c.Kinds) == 0 && c.Subscriptions == "" {
		wrong("kinds", "none; want a table or statements for at least one of %v, or subscriptions", store.Kinds())
	}
	if text := c.subscriptionProblem(); text != "" {
		wrong("subscriptions", "%s", text)
	}
	for _, kind := range slices.Sorted(maps.Keys(c.Kinds)) {
		if _, err := store.ParseKind(string(kind)); err != nil {
			wrong("kinds", "%q is not a kind; want one of %v", string(kind), store.Kinds())
			continue
		}
		for _, problem := range c.Kinds[kind].problems() {
			at := "kinds." + string(kind) + problem.field
			wrong(at, "%s", problem.text)
		}
	}
	for _, kind := range store.Kinds() {
		for _, earlier := range store.Kinds() {
			if before(earlier, kind) && c.Kinds[earlier].SameRows(c.Kinds[kind]) {
				wrong("kinds."+string(kind), "has the table and the tenant column of kind %s: each row would be counted twice; want each row to be of one kind", earlier)
			}
		}
	}
	return errors.Join(errs...)
}

// poolConfig turns the DSN into what the pool needs. An error has nothing of
// the DSN in it.
func (c Config) poolConfig() (*pgxpool.Config, error) {
	const want = "want a URL such as postgres://role@host/database?sslmode=verify-full, or keywords such as host=... dbname=... sslmode=verify-full"
	if strings.TrimSpace(c.DSN) == "" {
		return nil, store.Errorf(store.Invalid, "dsn: is missing; %s", want).At("dsn")
	}
	p, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "dsn: cannot be used: %s; %s", dsnProblem(err), want).At("dsn")
	}
	if host := inTheClear(&p.ConnConfig.Config); host != "" && !c.Insecure {
		return nil, store.Errorf(store.Invalid, "dsn: the connection to %q may not be encrypted; want sslmode=verify-full in it, or insecure: true", host).At("dsn")
	}
	p.MaxConns, p.MinConns, p.MinIdleConns = int32(c.Connections), 0, 0 //nolint:gosec // 2 to 100
	p.ConnConfig.ConnectTimeout = c.ConnectTimeout
	if p.ConnConfig.ValidateConnect == nil { // to go past the standbys among several hosts
		p.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if p.ConnConfig.RuntimeParams["application_name"] == "" {
		p.ConnConfig.RuntimeParams["application_name"] = "purger"
	}
	return p, nil
}

// dsnProblem returns what is wrong with a DSN. The error of pgx quotes the DSN, with
// what it takes for the password left out, and may quote values of it: only a text
// that is known is taken from there.
func dsnProblem(err error) string {
	for _, text := range []string{
		"failed to parse as URL", "failed to parse as keyword/value", "invalid port", "invalid connect_timeout",
		"failed to configure TLS", "failed to read service", "invalid sslcertmode", "unknown target_session_attrs value",
		"invalid min_protocol_version", "invalid max_protocol_version", "unknown channel_binding value", "invalid require_auth",
	} {
		if strings.Contains(err.Error(), "`: "+text) {
			if file := (*fs.PathError)(nil); errors.As(err, &file) { // that of sslrootcert, sslcert or sslkey
				return text + ": " + file.Error()
			}
			return text
		}
	}
	return "it does not parse"
}

// CheckPolicy returns an error, [store.Invalid] at statementTimeout, unless a statement
// ends before the call that it is for: one that takes too long is to be told from a
// caller who has gone, since it is tried again with less.
func (c Config) CheckPolicy(p purge.Policy) error {
	if c.withDefaults().StatementTimeout < p.Timeout {
		return nil
	}
	unset := ""
	if c.StatementTimeout == 0 {
		unset = fmt.Sprintf("is %s when it is not set; ", defaultStatementTimeout)
	}
	return store.Errorf(store.Invalid, "%swant less than policy.timeout, which is %s", unset, p.Timeout).At("statementTimeout")
}

// DefaultPolicy returns the policy that suits a target: more calls at a time than
// [purge.DefaultPolicy] has, since those that wait are answered together. What
// the database sees is bounded by [Config.Connections].
func DefaultPolicy() purge.Policy {
	p := purge.DefaultPolicy()
	p.Concurrency = 256
	return p
}
