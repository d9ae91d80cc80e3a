package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// rowsPerTenant is how many each tenant has in a database with trees: users,
// credentials, API keys and OAuth clients. [forestOf] has as many.
const rowsPerTenant = 20 + 20 + 25 + 20

// What databases hold. The tenants $1 get rows, and beside each of them another
// one that is to keep them.
const (
	schema = `
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text);
CREATE TABLE credentials (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text, user_id bigint REFERENCES users);
CREATE TABLE api_keys (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text, user_id bigint REFERENCES users);
CREATE TABLE oauth_clients (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text);
CREATE INDEX ON users (tenant_id); CREATE INDEX ON credentials (tenant_id); CREATE INDEX ON api_keys (tenant_id); CREATE INDEX ON oauth_clients (tenant_id);
CREATE INDEX ON credentials (user_id); CREATE INDEX ON api_keys (user_id);`

	fillUsers       = `INSERT INTO users (tenant_id, name) SELECT t || s, 'a user of a tenant' FROM unnest($1::text[]) t, unnest('{"",-stays}'::text[]) s, generate_series(1, 20)`
	fillCredentials = `INSERT INTO credentials (tenant_id, name, user_id) SELECT tenant_id, 'a credential of a user', id FROM users`
	fillAPIKeys     = `INSERT INTO api_keys (tenant_id, name, user_id) SELECT tenant_id, 'an API key of a user', id FROM users`
	fillMoreAPIKeys = `INSERT INTO api_keys (tenant_id, name) SELECT t || s, 'an API key' FROM unnest($1::text[]) t, unnest('{"",-stays}'::text[]) s, generate_series(1, 5)`
	fillClients     = `INSERT INTO oauth_clients (tenant_id, name) SELECT t || s, 'a client' FROM unnest($1::text[]) t, unnest('{"",-stays}'::text[]) s, generate_series(1, 20)`

	// fillGiant is for the one tenant $1.
	fillGiant = `INSERT INTO users (tenant_id, name) SELECT $1, 'user ' || g FROM generate_series(1, $2::bigint) g`

	countAll = `SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM credentials) + (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM oauth_clients)`
)

// tableOf returns the table of a kind.
func tableOf(kind store.Kind) string {
	switch kind {
	case store.KindUser:
		return "users"
	case store.KindCredential:
		return "credentials"
	case store.KindAPIKey:
		return "api_keys"
	default:
		return "oauth_clients"
	}
}

// statement is one with its arguments.
type statement struct {
	sql  string
	args []any
}

// database is a PostgreSQL of the bench's own.
type database struct{ server *pgtest.Server }

// startDatabase starts one below a directory, which is durable and does nothing
// on its own while others measure. Without PostgreSQL the error is
// [pgtest.ErrMissing].
func startDatabase(dir string) (*database, error) {
	s, err := pgtest.NewIn(dir, "fsync=on", "autovacuum=off", "shared_buffers=256MB", "max_wal_size=4GB", "unix_socket_directories=")
	if err != nil {
		return nil, err
	}
	return &database{server: s}, nil
}

// with runs fn with a connection to a database.
func (d *database) with(ctx context.Context, name string, fn func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, d.server.DSN(name))
	if err != nil {
		return err
	}
	return errors.Join(fn(c), c.Close(ctx))
}

// exec runs statements, each in a transaction of its own.
func (d *database) exec(ctx context.Context, name string, statements ...statement) error {
	return d.with(ctx, name, func(c *pgx.Conn) error {
		for _, s := range statements {
			if _, err := c.Exec(ctx, s.sql, s.args...); err != nil {
				return fmt.Errorf("%.40s: %w", s.sql, err)
			}
		}
		return nil
	})
}

// make makes a database that holds the schema and what statements fill in.
func (d *database) make(ctx context.Context, name string, fill ...statement) error {
	if err := d.exec(ctx, "postgres", statement{sql: "CREATE DATABASE " + name + " TEMPLATE template0"}); err != nil {
		return err
	}
	if err := d.exec(ctx, name, statement{sql: schema}); err != nil {
		return err
	}
	return d.exec(ctx, name, append(fill, statement{sql: "VACUUM ANALYZE"})...)
}

// copied runs fn with a copy of a database, which must hold left rows afterwards
// and is dropped.
func (d *database) copied(ctx context.Context, from string, left int64, fn func(name string) error) error {
	const name = "purged"
	err := d.exec(ctx, "postgres", statement{sql: "CREATE DATABASE " + name + " TEMPLATE " + from}, statement{sql: "CHECKPOINT"})
	if err != nil {
		return err
	}
	err = fn(name)
	if err == nil {
		err = d.with(ctx, name, func(c *pgx.Conn) error {
			var n int64
			if err := c.QueryRow(ctx, countAll).Scan(&n); err != nil {
				return err
			}
			if n != left {
				return fmt.Errorf("%d rows are left, want %d", n, left)
			}
			return nil
		})
	}
	return errors.Join(err, d.exec(ctx, "postgres", statement{sql: "DROP DATABASE " + name + " WITH (FORCE)"}))
}

// target runs fn with a target on a database, with its ledger and under the
// policy that suits it.
func (d *database) target(ctx context.Context, name string, fn func(guard) error) error {
	kinds := map[store.Kind]postgrestarget.Kind{}
	for _, kind := range store.Kinds() {
		kinds[kind] = postgrestarget.Kind{Table: tableOf(kind), Tenant: "tenant_id"}
	}
	t, err := postgrestarget.New(postgrestarget.Config{Name: "app", DSN: d.server.DSN(name), Kinds: kinds}, postgrestarget.Options{})
	if err != nil {
		return err
	}
	err = t.Init(ctx)
	if err == nil {
		err = fn(guard{t, postgrestarget.DefaultPolicy()})
	}
	return errors.Join(err, t.Close())
}
