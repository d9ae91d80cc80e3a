// Package pgtest starts a real PostgreSQL for tests and for deploy/bench, on
// loopback and a free port, as a child that dies with the test.
//
//	func TestX(t *testing.T) {
//		server := pgtest.Start(t)
//		dsn := server.DSN(server.Database(t))
//	}
//
// A package that shares one server among its tests makes it in TestMain with
// [New] and ends it with [Server.Close]. PostgreSQL is found in PATH or below
// /usr/lib/postgresql; root runs it as the user postgres or nobody.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that there is no PostgreSQL on this machine.
var ErrMissing = errors.New("no PostgreSQL here: want initdb and postgres in PATH or below /usr/lib/postgresql (Debian package postgresql)")

// patience bounds what a server of a test may take to start or to end.
const patience = 60 * time.Second

// Start returns a server of the test's own. Without PostgreSQL the test is
// skipped, in continuous integration (CI is set) it fails.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	s, err := New(settings...)
	Require(tb, err)
	tb.Cleanup(s.Close)
	return s
}

// Require ends the test unless err, which is that of [New], is nil: it is
// skipped where PostgreSQL is missing, but not in continuous integration.
func Require(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}

// DSN returns a connection string for the superuser.
func (s *Server) DSN(database string) string { return s.DSNAs("postgres", database) }

// DSNAs returns a connection string for a role; none has a password.
func (s *Server) DSNAs(role, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.User(role), Host: s.Addr(), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Through returns dsn with another address in it, such as that of a [Proxy].
func Through(dsn, address string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(fmt.Sprintf("pgtest: %q is not a DSN of this package: %v", dsn, err))
	}
	u.Host = address
	return u.String()
}

// Database creates an empty database and returns its name. It is gone when the
// test is.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	s.Exec(tb, "postgres", "CREATE DATABASE "+name+" TEMPLATE template0")
	tb.Cleanup(func() {
		if s.Running() && s.Int(tb, "postgres", "SELECT pg_is_in_recovery()::int") == 0 {
			s.drop(tb, name)
		}
	})
	return name
}

// Exec runs SQL as the superuser. A single text may hold many statements.
func (s *Server) Exec(tb testing.TB, database, sql string, args ...any) {
	tb.Helper()
	s.with(tb, database, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, sql, args...)
		return err
	})
}

// Int returns the number that a query yields.
func (s *Server) Int(tb testing.TB, database, sql string, args ...any) int64 {
	tb.Helper()
	var n int64
	s.with(tb, database, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, sql, args...).Scan(&n)
	})
	return n
}

// with lends the connection that is kept for a database.
func (s *Server) with(tb testing.TB, database string, fn func(context.Context, *pgx.Conn) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.lending.Lock()
	defer s.lending.Unlock()
	c := s.conns[database]
	if c == nil || c.Ping(ctx) != nil {
		var err error
		if c, err = pgx.Connect(ctx, s.DSN(database)); err != nil {
			tb.Fatalf("connect to the test's PostgreSQL: %v\n%s", err, s.Log())
		}
		s.conns[database] = c
	}
	if err := fn(ctx, c); err != nil {
		tb.Fatalf("the test's PostgreSQL: %v", err)
	}
}

// drop removes a database, and the connection to it.
func (s *Server) drop(tb testing.TB, database string) {
	tb.Helper()
	s.Exec(tb, "postgres", "DROP DATABASE IF EXISTS "+database+" WITH (FORCE)")
	s.lending.Lock()
	defer s.lending.Unlock()
	if c := s.conns[database]; c != nil {
		_ = c.Close(context.Background())
		delete(s.conns, database)
	}
}
