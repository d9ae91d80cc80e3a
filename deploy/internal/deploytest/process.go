// Package deploytest runs purger and other programs with the files of deploy/, in
// tests.
package deploytest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that was started. It is safe for concurrent use.
type Process struct {
	cmd    *exec.Cmd
	log    output
	exited chan struct{} // closed when it has ended and was read to its end
}

// Start starts a program and keeps what it prints. It is killed when owner ends, a
// test that is t or has t as a part, and also when the process of the test is.
func Start(t, owner testing.TB, name string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(name, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// A test that runs out of time cleans nothing up. The kernel sends the signal when
	// the thread that started the program ends, so that thread waits for it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in ProcessState
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	owner.Cleanup(p.Kill)
	return p
}

// Log returns what the program has printed so far, to stdout and stderr.
func (p *Process) Log() string { return p.log.String() }

// Exited reports whether the program has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Signal sends a signal to the program, which must not have ended.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s to %s: %v\n%s", s, p.cmd.Path, err, p.Log())
	}
}

// Wait waits until the program has ended, for [Patience] at most, and returns how.
func (p *Process) Wait(t testing.TB) *os.ProcessState {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(Patience):
		t.Fatalf("%s does not end:\n%s", p.cmd.Path, p.Log())
	}
	return p.cmd.ProcessState
}

// Kill ends the program by SIGKILL, if it has not ended, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// Program returns the path of a program that is named as its Debian package is. A
// test without it is skipped; it fails when CI is set in the environment.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		missing := t.Skipf
		if os.Getenv("CI") != "" {
			missing = t.Fatalf
		}
		missing("no %s on this machine (Debian package %[1]s)", name)
	}
	return path
}

// BuildPurger builds the daemon as it is shipped and returns its path.
func BuildPurger(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "purger")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "github.com/tenantpurge/purger/cmd/purger")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// output is what a program prints, while it does.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what was written.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
