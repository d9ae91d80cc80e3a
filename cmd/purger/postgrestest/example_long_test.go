//go:build long

package postgrestest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestExample_OneCommandPurgesAndASecondShowsWhatIsLeft runs what README says, in a
// directory that only its owner can reach, as the home of root is: PostgreSQL runs
// as another user then.
func TestExample_OneCommandPurgesAndASecondShowsWhatIsLeft(t *testing.T) {
	dir, err := os.MkdirTemp("", "purger-example-")
	if err != nil {
		t.Fatal(err)
	}
	// What a run leaves that could not make its database.
	if err := os.Mkdir(filepath.Join(dir, "pg"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PURGER_EXAMPLE="+dir, "PURGER_EXAMPLE_PORT="+port)
	script := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command("../../../deploy/example/postgres/"+name, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() {
		database, err := filepath.EvalSymlinks(filepath.Join(dir, "pg"))
		if err != nil {
			t.Fatal(err)
		}
		if out := script("run", "stop"); !strings.Contains(out, "PostgreSQL has ended") || !strings.Contains(out, "rm -r "+dir) {
			t.Errorf("run stop printed\n%s", out)
		}
		if _, err := os.Stat(filepath.Join(database, "data", "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after run stop: %v, want no PostgreSQL", err)
		}
		if err := os.RemoveAll(database); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	const purged = "purged 95 tenants with 70 sub-tenants, 190 OAuth clients, 480 API keys, 1,000 credentials, 1,900 users"
	if out := script("run"); !strings.Contains(out, purged) || !strings.Contains(out, "run stop") {
		t.Errorf("run printed\n%s", out)
	}
	fields := func(line string) string { return strings.Join(strings.Fields(line), "") }
	left := script("left")
	for _, want := range []string{"due|95|0|0|0|0", "kept|905|1810|4520|9000|18100"} {
		if !strings.Contains(fields(left), want) {
			t.Errorf("left printed\n%s\nwant %s", left, want)
		}
	}
	if out := script("run"); !strings.Contains(out, "purged nothing") || !strings.Contains(out, "running, pid") {
		t.Errorf("run, once more, printed\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "purger.db")); err != nil {
		t.Error(err)
	}
}
