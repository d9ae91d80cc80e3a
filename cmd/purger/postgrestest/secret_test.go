package postgrestest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
)

// A password with every character that ends something in a connection string opens
// the database it is of, wherever the string has it; and of one that does not, nothing
// is told.
func TestSecrets_G4_OfDSNsAreThePasswordAndAreNotTold(t *testing.T) {
	const password = `Xk@9/HUNTER2?a=b#c[d]{e}%41&f+g h'i"j\kü☃`
	server, binary, dir := pgtest.Start(t), build(t), t.TempDir()
	db := server.Database(t)
	server.Exec(t, db, `CREATE TABLE users (id int PRIMARY KEY, tenant text); CREATE ROLE secretive LOGIN PASSWORD '`+
		strings.ReplaceAll(password, "'", "''")+`'; GRANT SELECT, DELETE ON users TO secretive;
		DO $$ BEGIN EXECUTE format('COPY (SELECT unnest(ARRAY[''host all secretive all scram-sha-256'', ''host all all all trust''])) TO %L',
			current_setting('hba_file')); END $$; SELECT pg_reload_conf()`)
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	ref := func(name, secret string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return "${file:" + path + "}"
	}
	whole := url.URL{Scheme: "postgres", User: url.UserPassword("secretive", password), Host: server.Addr(), Path: "/" + db, RawQuery: "sslmode=disable"}
	right, wrong := ref("right", password), ref("wrong", password+"x")
	forms := func(p string) []string {
		keywords := fmt.Sprintf("host=%s port=%s dbname=%s user=secretive sslmode=disable ", host, port, db)
		return []string{
			fmt.Sprintf("postgres://secretive:%s@%s/%s?sslmode=disable", p, server.Addr(), db),
			fmt.Sprintf("postgres://secretive@%s/%s?sslmode=disable&password=%s", server.Addr(), db, p),
			keywords + "password=" + p, "password='" + p + "' " + keywords,
		}
	}
	test := func(dsn string) (string, error) {
		t.Helper()
		file := filepath.Join(dir, "purger.yaml")
		text := fmt.Sprintf("dataDir: %s\ntargets:\n  - {name: app, type: postgres, dsn: %q, kinds: {user: {table: users, tenant: tenant}}}\n",
			filepath.Join(dir, "data"), dsn)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "target", "test", "app", "--config", file).CombinedOutput()
		return string(out), err
	}
	for _, dsn := range append(forms(right), ref("whole", whole.String())) {
		if out, err := test(dsn); err != nil {
			t.Errorf("%s: %v\n%s", dsn, err, out)
		}
	}
	bad := append(forms(wrong), ref("bare", "postgres://secretive:"+password+"@"+server.Addr()+"/"+db+"?sslmode=disable"))
	for _, dsn := range bad {
		out, err := test(dsn)
		if err == nil || out == "" {
			t.Errorf("%s: %v\n%s", dsn, err, out)
		}
		for i := range len(password) - 6 {
			if strings.Contains(out, password[i:i+6]) {
				t.Fatalf("%s: %q of the password is in\n%s", dsn, password[i:i+6], out)
			}
		}
	}
}
