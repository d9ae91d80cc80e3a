package postgressource_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/store"
)

// A time without a zone is taken for UTC, and may be too early by hours (G1).
func TestDiagnose_G1_TellsOfTimesWithoutAZone(t *testing.T) {
	d := newDatabase(t, `CREATE TABLE tenants (id text, local timestamp, zoned timestamptz, day date)`)
	for _, c := range []struct{ columns, want string }{
		{"local AS disabled_at, zoned AS purge_at", "disabled_at AT TIME ZONE"},
		{"zoned AS disabled_at, local AS purge_at", "purge_at AT TIME ZONE"},
		{"day AS disabled_at, zoned AS purge_at", "disabled_at::timestamp AT TIME ZONE"},
		{"zoned AS disabled_at, zoned AS purge_at", ""},
	} {
		s := d.source(func(cfg *postgressource.Config) {
			cfg.Query = "SELECT id, 'disabled' AS status, " + c.columns + " FROM tenants"
		})
		findings, err := s.Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		about := slices.DeleteFunc(findings, func(f purge.Finding) bool { return !strings.Contains(f.Text, "taken for UTC") })
		if len(about) != min(len(c.want), 1) || c.want != "" && (about[0].Severity != purge.SeverityWarning || !strings.HasPrefix(about[0].Fix, c.want)) {
			t.Errorf("%s: %+v; want %q", c.columns, about, c.want)
		}
	}
}

// Rows and passwords go to another machine encrypted, unless it is said otherwise.
func TestNew_RefusesToGoWithoutTLS(t *testing.T) {
	for dsn, refused := range map[string]bool{
		"postgres://purger@db.example.com/app":                     true,
		"postgres://purger@db.example.com/app?sslmode=prefer":      true,
		"postgres://purger@127.0.0.1,db.example.com/app":           true,
		"host=db.example.com password=hunter2 sslmode=disable":     true,
		"postgres://purger@db.example.com/app?sslmode=require":     false,
		"postgres://purger@db.example.com/app?sslmode=verify-full": false,
		"postgres://purger@localhost/app":                          false,
		"postgres:///app?host=/run/postgresql":                     false,
	} {
		for _, insecure := range []bool{false, true} {
			_, err := postgressource.New(postgressource.Config{DSN: dsn, Query: "TABLE tenants", Insecure: insecure}, postgressource.Options{})
			want := refused && !insecure
			if want != (err != nil) || want && (store.CodeOf(err) != store.Invalid || !strings.Contains(err.Error(), "insecure: true") || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("%s, insecure %t: %v; want a refusal: %t", dsn, insecure, err, want)
			}
		}
	}
}
