//go:build long

package disktest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// What a process tells the one that it starts in a namespace of its own.
const (
	envBinary  = "PURGER_DISKTEST_BINARY"
	envPrivate = "PURGER_DISKTEST_PRIVATE"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the binary as it is delivered, once.
func run(m *testing.M) int {
	if os.Getenv(envBinary) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "purger-disktest-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "purger")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "github.com/tenantpurge/purger/cmd/purger")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(envBinary, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// private runs the test again in a process whose mounts nobody else sees, and
// which takes them with it. There it reports true, and false when that one has
// ended. Without root or one of the programs the test is skipped, which in
// continuous integration is a failure.
func private(t *testing.T, programs ...string) bool {
	t.Helper()
	if os.Getenv(envPrivate) != "" {
		return true
	}
	missing := func(what string) {
		t.Helper()
		if os.Getenv("CI") != "" {
			t.Fatalf("this needs %s", what)
		}
		t.Skipf("this needs %s", what)
	}
	if os.Geteuid() != 0 {
		missing("root")
	}
	for _, p := range append(programs, "unshare", "mount", "umount") {
		if _, err := exec.LookPath(p); err != nil {
			missing(p)
		}
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--fork", "--kill-child",
		os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), envPrivate+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}
