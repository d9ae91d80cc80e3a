//go:build long

package nginx_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait: long enough for a busy machine, and nothing but a
// failing test ever waits for it.
const patience = 60 * time.Second

// process is a program that runs until it is stopped or the test ends.
type process struct {
	cmd    *exec.Cmd
	log    *output
	exited chan struct{}
}

// start starts a program, with its output kept.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), log: &output{}, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	// A test that runs out of time cleans nothing up.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // the code is in ProcessState
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the program at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// listens waits until the program accepts connections.
func (p *process) listens(t *testing.T, address string) {
	t.Helper()
	eventually(t, func() string {
		select {
		case <-p.exited:
			t.Fatalf("%s has ended:\n%s", p.cmd.Path, p.log)
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err.Error() + "\n" + p.log.String()
		}
		_ = conn.Close()
		return ""
	})
}

// output is what a program prints, while it does.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// eventually asks again and again until there is no complaint, or patience is
// at an end.
func eventually(t *testing.T, complaint func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		said := complaint()
		if said == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(said)
		case <-tick.C:
		}
	}
}

// program finds a program, which has to be there in continuous integration.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no %s on this machine (Debian package %s)", name, name)
	}
	return path
}

// freeAddress returns an address of this machine that nobody listens on. It is
// not of 127.0.0.1, from where the connections of all others come: one of them
// might have the port while a daemon is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// rewrite returns a file with every match of the patterns replaced. A pattern
// without a match is a failure: the text would not be what is meant.
func rewrite(t *testing.T, path string, patterns map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, with := range patterns {
		re := regexp.MustCompile(pattern)
		if !re.Match(text) {
			t.Fatalf("%s has nothing like %s", path, pattern)
		}
		text = re.ReplaceAll(text, []byte(with))
	}
	return string(text)
}

// write writes a file into a directory and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
