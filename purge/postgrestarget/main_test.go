package postgrestarget_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// shared is the server of the tests that do not harm it.
var shared = struct {
	once   sync.Once
	server *pgtest.Server
	err    error
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.Close()
	}
	os.Exit(code)
}

// pg returns the shared server.
func pg(tb testing.TB) *pgtest.Server {
	tb.Helper()
	shared.once.Do(func() { shared.server, shared.err = pgtest.New("max_connections=200") })
	pgtest.Require(tb, shared.err)
	return shared.server
}

// schemaSQL has a table for each kind, as a small platform might have them. The
// tenant column is of the type %[1]s.
const schemaSQL = `
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id %[1]s, name text);
CREATE INDEX ON users (tenant_id);
CREATE TABLE credentials (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id %[1]s, name text);
CREATE INDEX ON credentials (tenant_id, id);
CREATE TABLE api_keys (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, tenant_id %[1]s, name text);
CREATE INDEX ON api_keys (tenant_id);
CREATE TABLE oauth_clients (tenant_id %[1]s, client text DEFAULT gen_random_uuid(), name text, PRIMARY KEY (tenant_id, client));
`

// tables holds the table of each kind in schemaSQL.
func tables() map[store.Kind]postgrestarget.Kind {
	return map[store.Kind]postgrestarget.Kind{
		store.KindUser:        {Table: "users", Tenant: "tenant_id"},
		store.KindCredential:  {Table: "public.credentials", Tenant: "tenant_id"},
		store.KindAPIKey:      {Table: "api_keys", Tenant: "tenant_id", Key: []string{"id"}},
		store.KindOAuthClient: {Table: "oauth_clients", Tenant: "tenant_id"},
	}
}

// bench is a database with a target on it.
type bench struct {
	*postgrestarget.Target
	server *pgtest.Server
	db     string
}

// setUp is how a bench is made.
type setUp struct {
	server   *pgtest.Server // nil is the shared one
	typ      string         // of the tenant column; "" is text NOT NULL
	sql      string         // in place of schemaSQL
	noLedger bool
	through  interface{ Addr() string } // a proxy or a pooler; nil is the server itself
	config   func(*postgrestarget.Config)
	options  postgrestarget.Options
}

func (u setUp) make(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{server: u.server}
	if b.server == nil {
		b.server = pg(tb)
	}
	b.db = b.server.Database(tb)
	if u.typ == "" {
		u.typ = "text NOT NULL"
	}
	if u.sql == "" {
		u.sql = fmt.Sprintf(schemaSQL, u.typ)
	}
	b.server.Exec(tb, b.db, u.sql)
	dsn := b.server.DSN(b.db)
	if u.through != nil {
		dsn = pgtest.Through(dsn, u.through.Addr())
	}
	b.Target = b.again(tb, u, dsn)
	if !u.noLedger {
		if err := b.Init(tb.Context()); err != nil {
			tb.Fatalf("Init: %v", err)
		}
	}
	return b
}

// again returns another target on the same tables.
func (b *bench) again(tb testing.TB, u setUp, dsn string) *postgrestarget.Target {
	tb.Helper()
	cfg := postgrestarget.Config{Name: "app", DSN: dsn, Kinds: tables(), LockTimeout: 200 * time.Millisecond}
	if u.config != nil {
		u.config(&cfg)
	}
	target, err := postgrestarget.New(cfg, u.options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := target.Close(); err != nil {
			tb.Error(err)
		}
	})
	return target
}

// tableOf returns the table of a kind.
func tableOf(kind store.Kind) string {
	return map[store.Kind]string{
		store.KindUser: "users", store.KindCredential: "credentials",
		store.KindAPIKey: "api_keys", store.KindOAuthClient: "oauth_clients",
	}[kind]
}

// add inserts n rows of a tenant.
func (b *bench) add(tb testing.TB, tenant any, kind store.Kind, n int) {
	tb.Helper()
	b.server.Exec(tb, b.db, "INSERT INTO "+tableOf(kind)+" (tenant_id, name) SELECT $1, 'n' || g FROM generate_series(1, $2) g", tenant, n)
}

// left counts the rows of a tenant, byte by byte.
func (b *bench) left(tb testing.TB, tenant string, kind store.Kind) int64 {
	tb.Helper()
	return b.server.Int(tb, b.db, `SELECT count(*) FROM `+tableOf(kind)+` WHERE tenant_id::text COLLATE "C" = $1`, tenant)
}

// wantCode fails unless err has the code.
func wantCode(tb testing.TB, err error, want store.Code) {
	tb.Helper()
	var coded *store.Error
	if !errors.As(err, &coded) || coded.Code != want {
		tb.Errorf("error %v with code %s, want %s", err, store.CodeOf(err), want)
	}
}
