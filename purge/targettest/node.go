package targettest

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// StartNode starts testdata/server/server.mjs with node and returns the URL that
// it prints first. Its packages are those of testdata/server/package-lock.json, in
// node_modules of the directory that the environment variable names, or beside
// the lock file. Further arguments go to the server. It ends with the test.
//
// Without node or the packages the test is skipped; it fails when CI is set.
func StartNode(t testing.TB, variable string, args ...string) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	server := filepath.Join("testdata", "server")
	modules := os.Getenv(variable)
	if modules == "" {
		modules = server
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "node_modules")); err != nil {
		missing("%s is not set to a directory with the node_modules of %s: 'deploy/test.sh test' installs them, or 'npm ci --ignore-scripts' there", variable, server)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed: %v", err)
	}
	cmd := exec.Command(node, append([]string{filepath.Join(server, "server.mjs"), modules}, args...)...)
	// It ends when its input does, which the kernel sees to even if this process
	// is killed.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said lockedBuffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	url, err := lines.ReadString('\n')
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v:\n%s", server, err, said.String())
		}
	})
	if url = strings.TrimSpace(url); err != nil || !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("%s said %q instead of its URL (%v):\n%s", server, url, err, said.String())
	}
	return url
}

// lockedBuffer is written by a process while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
