package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
)

// readmeSession is a person at a shell who follows README.md.
type readmeSession struct {
	dir string
	env []string
	bg  []*readmeBackground
}

// newReadmeSession copies the repository, as a clone would hold it.
func newReadmeSession(t *testing.T) *readmeSession {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "purger")
	for path := range strings.SplitSeq(output(t, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00") {
		from, to := filepath.Join("..", "..", path), filepath.Join(dir, path)
		info, err := os.Stat(from)
		if path == "" || os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	home, bin := t.TempDir(), t.TempDir()
	s := &readmeSession{dir: dir, env: append(os.Environ(),
		// Modules and compiled packages are not fetched and built anew.
		"GOMODCACHE="+strings.TrimSpace(output(t, "go", "env", "GOMODCACHE")),
		"GOCACHE="+strings.TrimSpace(output(t, "go", "env", "GOCACHE")),
		"GOFLAGS=-trimpath -buildvcs=false",
		"HOME="+home, "GOBIN="+bin, "PATH="+bin+":"+os.Getenv("PATH"), "TZ=UTC",
	)}
	t.Cleanup(func() {
		for _, b := range s.bg {
			b.kill()
		}
	})
	return s
}

// follow does what block b shows; want is what it should print, "" for
// anything.
func (s *readmeSession) follow(t *testing.T, b readmeBlock, want string) {
	t.Helper()
	mark, arg, _ := strings.Cut(b.mark, " ")
	wantCode := 0
	switch mark {
	case "background":
		s.start(t, b, want)
		return
	case "elsewhere":
		s.checkSyntax(t, b)
		return
	case "fails":
		if _, err := fmt.Sscan(arg, &wantCode); err != nil {
			t.Fatalf("README.md:%d: mark %q: want a number", b.line, b.mark)
		}
	case "":
	default:
		t.Fatalf("README.md:%d: unknown mark %q", b.line, b.mark)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := s.command(ctx, "-c", b.text)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != wantCode {
		t.Fatalf("README.md:%d: %v, want exit code %d\n%s\n%s", b.line, err, wantCode, b.text, out)
	}
	if want != "" && !readmeMatch(want, string(out), false) {
		t.Errorf("README.md:%d prints something else than shown (-shown +printed, masked):\n%s",
			b.line, cmp.Diff(readmeLines(want), readmeLines(string(out))))
	}
}

// command returns a shell in the copy of the repository that stops at the first
// error.
func (s *readmeSession) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", append([]string{"-euo", "pipefail"}, args...)...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// checkSyntax lets bash read the block, and looks for the files that it names.
func (s *readmeSession) checkSyntax(t *testing.T, b readmeBlock) {
	t.Helper()
	cmd := s.command(t.Context(), "-n", "-c", b.text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("README.md:%d: %v\n%s", b.line, err, out)
	}
	for _, path := range regexp.MustCompile(`\bdeploy/[A-Za-z0-9_./-]+`).FindAllString(b.text, -1) {
		if _, err := os.Stat(filepath.Join(s.dir, path)); err != nil {
			t.Errorf("README.md:%d: %v", b.line, err)
		}
	}
}

// familiesOfTargets returns the metrics that a daemon has once it has called a target.
func familiesOfTargets(t *testing.T) map[string]bool {
	t.Helper()
	reg := metrics.NewRegistry()
	m := metrics.New(reg, metrics.Build{})
	m.TargetUp("crm", true)
	m.TargetRequest("crm", "count", time.Second)
	m.TargetRetried("crm")
	m.TargetPostponed("crm", string(purge.PostponeWindow))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]bool{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "purger_target_") {
			of[f.GetName()] = true
		}
	}
	return of
}

// checkMetrics scrapes the daemon that README.md started: every metric that it
// names must be there.
func (s *readmeSession) checkMetrics(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:9464/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(s.dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	ofTargets := familiesOfTargets(t)
	names := regexp.MustCompile(`\bpurger_[a-z_]+[a-z]\b`).FindAllString(string(readme), -1)
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		family := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum")
		if name == "purger_ledger" {
			continue // a table of the PostgreSQL target
		}
		if !bytes.Contains(body, []byte("# TYPE "+family+" ")) && !ofTargets[family] {
			t.Errorf("README.md names the metric %s, which the daemon does not have", name)
		}
	}
	if len(names) < 5 {
		t.Errorf("README.md names %d metrics: too few to be all of them", len(names))
	}
}
