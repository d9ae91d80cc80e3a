package postgrestarget

import (
	"errors"
	"regexp"
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
	// DSN is a connection string, as a URL or in keywords. It is a secret. Unless
	// it says otherwise with target_session_attrs, only a primary is accepted: a
	// standby may count what is long gone.
	DSN string `config:"dsn"`
	// Kinds holds what to do for each kind; at least one, unless there is
	// Subscriptions.
	Kinds map[store.Kind]Kind
	// Subscriptions is a statement that returns one number, how many active
	// subscriptions the tenant $1 has: one with any is not purged. NULL, no row
	// and an error are no answer, and then it is not purged either. "" asks for
	// none.
	Subscriptions string
	// StatementTimeout bounds every statement; 0 is 25 s, which is below the
	// engine's own time-out of a call.
	StatementTimeout time.Duration
	// LockTimeout bounds the wait for a lock: purger gives way to the
	// application. 0 is 2 s.
	LockTimeout time.Duration
	// ConnectTimeout bounds a connection attempt; 0 is 5 s.
	ConnectTimeout time.Duration
	// Connections is the largest number of connections, 2 to 100; 0 is 8.
	Connections int
	// Ledger is the table that makes counts exact, "table" or "schema.table"; ""
	// is purger_ledger. It is used once it exists.
	Ledger string
}

// Kind says where the resources of one kind are: Table and Tenant, or Count and
// Delete.
type Kind struct {
	// Table is "table" or "schema.table". Each part is taken as it is written,
	// upper case included; a part with a dot in it is put in double quotes.
	Table string
	// Tenant is the column with the tenant's id: text, varchar, uuid or an
	// integer.
	Tenant string
	// Key are the columns of the primary key; none means those in the catalog. An
	// index on Tenant and Key makes a giant tenant cheap.
	Key []string

	// Count is a statement that returns one number, for the tenant $1.
	Count string
	// Delete is a statement that removes what belongs to the tenant $1, at most
	// $2 rows of it. Without $2 it removes everything in one transaction. It
	// counts the rows that it affects, or, when it is a SELECT, the one number
	// that it returns.
	Delete string
}

// Options are for the process, not for the operator.
type Options struct {
	// Logger gets what no caller sees; nil is none.
	Logger *zap.Logger
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
	for kind, k := range c.Kinds {
		if _, err := store.ParseKind(string(kind)); err != nil {
			wrong("kinds", "%q is not a kind; want one of %v", string(kind), store.Kinds())
			continue
		}
		for _, problem := range k.problems() {
			at := "kinds." + string(kind) + problem.field
			wrong(at, "%s", problem.text)
		}
	}
	return errors.Join(errs...)
}

// problem is what is wrong in one field of a [Kind].
type problem struct{ field, text string }

// tenantParameter finds $1, and not $10. That it is not in a comment or a
// literal is found out by PostgreSQL.
var (
	tenantParameter = regexp.MustCompile(`\$1(\D|$)`)
	limitParameter  = regexp.MustCompile(`\$2(\D|$)`)
	otherParameter  = regexp.MustCompile(`\$([3-9]|[1-9][0-9]+)`)
)

func (k Kind) problems() []problem {
	var found []problem
	add := func(field, text string) { found = append(found, problem{field, text}) }
	table, own := k.Table != "" || k.Tenant != "" || len(k.Key) > 0, k.Count != "" || k.Delete != ""
	switch {
	case table && own:
		add("", "has both a table and statements; want table and tenant, or count and delete")
	case own:
		for field, statement := range map[string]string{".count": k.Count, ".delete": k.Delete} {
			switch {
			case strings.TrimSpace(statement) == "":
				add(field, "is missing; want a statement with $1 for the tenant")
			case strings.ContainsRune(statement, 0):
				add(field, "has a NUL byte")
			case !tenantParameter.MatchString(statement):
				add(field, "has no $1; want it where the tenant's id belongs")
			case otherParameter.MatchString(statement), field == ".count" && limitParameter.MatchString(statement):
				add(field, "has a parameter too many; want $1 for the tenant, and in delete $2 for the largest number of rows")
			}
		}
	default:
		if _, err := parseName(k.Table); err != nil {
			add(".table", strings.TrimSpace(k.Table+" "+err.Error()))
		}
		if err := checkColumn(k.Tenant); err != nil {
			add(".tenant", strings.TrimSpace(k.Tenant+" "+err.Error()))
		}
		for _, column := range k.Key {
			if err := checkColumn(column); err != nil {
				add(".key", strings.TrimSpace(column+" "+err.Error()))
			}
		}
	}
	return found
}

// poolConfig turns the DSN into what the pool needs. An error has nothing of
// the DSN in it.
func (c Config) poolConfig() (*pgxpool.Config, error) {
	const want = "want a URL such as postgres://role@host/database, or keywords such as host=... dbname=..."
	if strings.TrimSpace(c.DSN) == "" {
		return nil, store.Errorf(store.Invalid, "dsn: is missing; %s", want).At("dsn")
	}
	p, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "dsn: cannot be used: %s; %s", dsnProblem(err), want).At("dsn")
	}
	p.MaxConns, p.MinConns, p.MinIdleConns = int32(c.Connections), 0, 0 //nolint:gosec // 2 to 100
	p.ConnConfig.ConnectTimeout = c.ConnectTimeout
	if p.ConnConfig.ValidateConnect == nil {
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
			return text
		}
	}
	return "it does not parse"
}

// DefaultPolicy returns the policy that suits a target: more calls at a time than
// [purge.DefaultPolicy] has, since those that wait are answered together. What
// the database sees is bounded by [Config.Connections].
func DefaultPolicy() purge.Policy {
	p := purge.DefaultPolicy()
	p.Concurrency = 256
	return p
}
