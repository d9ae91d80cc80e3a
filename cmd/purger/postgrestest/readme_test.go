package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
)

// readmeBlock returns the block of README.md in a language that follows a text.
func readmeBlock(t *testing.T, after, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "../../../README.md"), after)
	_, rest, opened := strings.Cut(rest, "\n```"+language+"\n")
	block, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !opened || !closed {
		t.Fatalf("README.md has no block of %s after %q", language, after)
	}
	return block + "\n"
}

// readmeSession is a person at a shell, with a database that is called app, and the
// platform of the example in it.
type readmeSession struct {
	t      *testing.T
	pg     *pgtest.Server
	dir    string
	env    []string
	config string // of purger, with the address and the password of this database
}

// newReadmeSession does what README.md says in words: a role of purger's own that has
// a password, and the rights on the two tables, and on tenants for the source.
func newReadmeSession(t *testing.T) *readmeSession {
	t.Helper()
	if _, err := exec.LookPath("psql"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no psql here (Debian package postgresql-client)")
	}
	const password = "pass/word@of:purger"
	s := &readmeSession{t: t, pg: pgtest.Start(t), dir: t.TempDir()}
	s.pg.Exec(t, "postgres", "CREATE DATABASE app TEMPLATE template0")
	s.pg.Exec(t, "app", read(t, "../../../deploy/example/postgres/schema.sql"))
	s.pg.Exec(t, "app", read(t, "../../../deploy/example/postgres/data.sql"))
	s.pg.Exec(t, "app", `DROP OWNED BY purger; DROP ROLE purger;
		CREATE ROLE purger LOGIN PASSWORD '`+password+`';
		GRANT SELECT, DELETE ON credentials, users TO purger; GRANT SELECT ON tenants TO purger;
		DO $$ BEGIN EXECUTE format('COPY (SELECT unnest(ARRAY[''host all purger all scram-sha-256'', ''host all all all trust''])) TO %L',
			current_setting('hba_file')); END $$; SELECT pg_reload_conf()`)
	secret := filepath.Join(s.dir, "app-password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(s.pg.Addr(), ":")
	s.env = append(os.Environ(), "PATH="+filepath.Dir(build(t))+":"+os.Getenv("PATH"), "HOME="+s.dir,
		"PGHOST="+host, "PGPORT="+port, "PGUSER=postgres")
	s.config = readmeBlock(t, `From "my users are in PostgreSQL" to the first dry run`, "yaml")
	return s
}

// configure writes purger.yaml.
func (s *readmeSession) configure(text string) {
	s.t.Helper()
	text = strings.NewReplacer("db.example.com", s.pg.Addr(), "sslmode=verify-full", "sslmode=disable", "/etc/purger/app-password", filepath.Join(s.dir, "app-password")).Replace(text)
	if err := os.WriteFile(filepath.Join(s.dir, "purger.yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// sh runs a block as a person would type it, up to the first command that fails, and
// returns what it prints.
func (s *readmeSession) sh(block string) string {
	s.t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", block)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v\n%s\nprinted\n%s", err, block, out)
	}
	return string(out)
}

// wantLines fails unless the output has a line for each of the patterns.
func wantLines(t *testing.T, out string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)` + p).MatchString(out) {
			t.Errorf("no line is like %s in\n%s", p, out)
		}
	}
}

// TestReadme_G4_FromMyUsersAreInPostgreSQLToTheFirstDryRun follows README.md: the
// configuration is short, every command works, the plan has what the database has of the
// tenants that are due, and nothing is deleted.
func TestReadme_G4_FromMyUsersAreInPostgreSQLToTheFirstDryRun(t *testing.T) {
	s := newReadmeSession(t)
	if n := strings.Count(s.config, "\n"); n >= 10 {
		t.Errorf("the configuration has %d lines, want less than ten", n)
	}
	s.configure(s.config)
	s.pg.Exec(t, "app", oracle)
	out := s.sh(readmeBlock(t, "<!-- test: elsewhere first-dry-run -->", "sh"))
	due := func(table string) int64 {
		return s.pg.Int(t, "app", fmt.Sprintf("SELECT count(*) FROM %s WHERE tenant_id IN (SELECT id FROM oracle.due)", table))
	}
	tenants := s.pg.Int(t, "app", "SELECT count(*) FROM oracle.due")
	below := s.pg.Int(t, "app", "SELECT count(*) FROM tenants WHERE id IN (SELECT id FROM oracle.due) AND parent_id IN (SELECT id FROM oracle.due)")
	if tenants == 0 || below == 0 || due("users") == 0 || due("credentials") == 0 {
		t.Fatal("nothing is due in the example")
	}
	wantLines(t, out, `^purger\.yaml: ok$`, `^app +info +user "public"\."users" +`,
		fmt.Sprintf(`^A pass would purge %d tenants with %d sub-tenants, %s credentials, %s users\.$`,
			tenants, below, thousands(due("credentials")), thousands(due("users"))))
	if strings.Contains(out, "error") || strings.Contains(out, "which no purge needs") || strings.Contains(out, "does not purge") {
		t.Errorf("with the rights that README.md names the doctor finds\n%s", out)
	}
	s.wantAll()
}

// TestReadme_G9_TheFirstSyncIsLookedAtAndAccepted goes on with the source of README.md,
// which brings so many disabled tenants that a person has to look.
func TestReadme_G9_TheFirstSyncIsLookedAtAndAccepted(t *testing.T) {
	s := newReadmeSession(t)
	s.pg.Exec(t, "app", oracle)
	s.pg.Exec(t, "app", "UPDATE tenants SET status = 'disabled', disabled_at = now() - interval '40 days', purge_after_days = 30 WHERE status = 'active' AND parent_id IS NULL AND id LIKE 't1__'")
	s.configure(s.config + readmeBlock(t, "A *source* says which tenants exist", "yaml"))
	refused := s.sh("purger --config purger.yaml source sync && exit 1; test $? = 75")
	wantLines(t, refused, `^refused: `)
	block := readmeBlock(t, "<!-- test: elsewhere first-sync -->", "sh")
	shown := regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	digest := regexp.MustCompile(`purger source accept ([0-9a-f]{12})`).FindStringSubmatch(refused)
	if digest == nil || !shown.MatchString(block) {
		t.Fatalf("no digest in\n%s\nor in\n%s", refused, block)
	}
	out := s.sh(shown.ReplaceAllString(block, digest[1]) + "purger --config purger.yaml plan\n")
	wantLines(t, out, `^refused: `, `^accepted: +`+digest[1], `^good: .* 1,000 rows, 1,000 new`, `^A pass would purge [0-9]+ tenants with `)
	s.wantAll()
}

// wantAll fails if a row is missing.
func (s *readmeSession) wantAll() {
	s.t.Helper()
	for _, table := range tables() {
		if n := s.pg.Int(s.t, "app", fmt.Sprintf("SELECT (SELECT count(*) FROM oracle.%[1]s) - (SELECT count(*) FROM %[1]s)", table)); n != 0 {
			s.t.Errorf("%d rows of %s are gone", n, table)
		}
	}
}

// thousands renders a number as purger does.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
