//go:build long

package postgrestest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestExample_OneCommandPurgesAndASecondShowsWhatIsLeft runs what README says.
func TestExample_OneCommandPurgesAndASecondShowsWhatIsLeft(t *testing.T) {
	dir, err := os.MkdirTemp("", "purger-example-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL runs as another user than root
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
	script := func(name string) string {
		cmd := exec.Command("../../../deploy/example/postgres/" + name)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() {
		stop := exec.Command("sh", "-c", `kill -INT "$(head -1 "$0/pg/postmaster.pid")" && while [ -e "$0/pg/postmaster.pid" ]; do sleep 0.1; done`, dir)
		if out, err := stop.CombinedOutput(); err != nil {
			t.Errorf("stop PostgreSQL: %v\n%s", err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	const purged = "purged 95 tenants with 70 sub-tenants, 190 OAuth clients, 480 API keys, 1,000 credentials, 1,900 users"
	if out := script("run"); !strings.Contains(out, purged) {
		t.Errorf("run printed\n%s", out)
	}
	fields := func(line string) string { return strings.Join(strings.Fields(line), "") }
	left := script("left")
	for _, want := range []string{"due|95|0|0|0|0", "kept|905|1810|4520|9000|18100"} {
		if !strings.Contains(fields(left), want) {
			t.Errorf("left printed\n%s\nwant %s", left, want)
		}
	}
	if out := script("run"); !strings.Contains(out, "nothing") && !strings.Contains(out, "purged 0 tenants") {
		t.Errorf("run, once more, printed\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "purger.db")); err != nil {
		t.Error(err)
	}
}
