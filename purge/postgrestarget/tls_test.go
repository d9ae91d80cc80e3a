package postgrestarget_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// Rows and passwords go to another machine encrypted, unless it is said otherwise.
func TestNew_RefusesToGoWithoutTLS(t *testing.T) {
	for dsn, refused := range map[string]bool{
		"postgres://purger@db.example.com/app":                                               true,
		"postgres://purger@db.example.com/app?sslmode=disable":                               true,
		"postgres://purger@db.example.com/app?sslmode=allow":                                 true,
		"postgres://purger@db.example.com/app?sslmode=prefer":                                true,
		"host=db.example.com dbname=app":                                                     true,
		"postgres://purger@127.0.0.1,db.example.com/app":                                     true,
		"postgres://purger@10.0.0.1/app":                                                     true,
		"postgres://purger@db.example.com/app?sslmode=require":                               false,
		"postgres://purger@db.example.com/app?sslmode=verify-ca":                             false,
		"postgres://purger@db.example.com/app?sslmode=verify-full":                           false,
		"postgres://purger@localhost/app":                                                    false,
		"postgres://purger@127.0.0.1/app?sslmode=disable":                                    false,
		"postgres://purger@[::1]/app":                                                        false,
		"postgres:///app?host=/run/postgresql":                                               false,
		"postgres://purger@one.example.com,two.example.com/app?sslmode=verify-full":          false,
		"host=db.example.com dbname=app password=hunter2 sslmode=disable application_name=x": true,
	} {
		for _, insecure := range []bool{false, true} {
			target, err := postgrestarget.New(postgrestarget.Config{Name: "app", DSN: dsn, Kinds: tables(), Insecure: insecure}, postgrestarget.Options{})
			if err == nil {
				if err := target.Close(); err != nil {
					t.Error(err)
				}
			}
			switch want := refused && !insecure; {
			case want != (err != nil):
				t.Errorf("%s, insecure %t: %v; want a refusal: %t", dsn, insecure, err, want)
			case want:
				if wantCode(t, err, store.Invalid); !strings.Contains(err.Error(), "insecure: true") || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s: %v; want what to do, and nothing of the password", dsn, err)
				}
			}
		}
	}
}

// The server is that of the test, whatever host the DSN names.
func TestDiagnose_TellsHowWellTheWayIsProtected(t *testing.T) {
	b := setUp{}.make(t)
	server, err := pgx.ParseConfig(b.server.DSN(b.db))
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]string{"verify-full": "", "require": "warning dsn: nobody looks at the certificate", "prefer": "warning insecure: passwords and rows may go"} {
		target, err := postgrestarget.New(postgrestarget.Config{
			Name: "app", DSN: "postgres://purger@db.example.com/app?sslmode=" + mode, Kinds: tables(), Insecure: true,
		}, postgrestarget.Options{Pool: func(p *pgxpool.Config) {
			p.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
				c.Host, c.Port, c.User, c.Database, c.TLSConfig, c.Fallbacks = server.Host, server.Port, server.User, server.Database, nil, nil
				return nil
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		findings, err := target.Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.DeleteFunc(told(findings), func(l string) bool {
			return !strings.HasPrefix(l, string(purge.SeverityWarning)+" dsn") && !strings.Contains(l, " insecure:")
		})
		if len(lines) != min(len(want), 1) || want != "" && !strings.HasPrefix(lines[0], want) {
			t.Errorf("%s: %q; want %q", mode, lines, want)
		}
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	}
}
