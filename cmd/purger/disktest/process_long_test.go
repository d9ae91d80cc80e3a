//go:build long

package disktest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// patience bounds every wait for something that happens unless purger is broken.
const patience = 60 * time.Second

// buffer is written by one goroutine while another one reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// eventually asks ok until it is true or patience is at an end.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// process is a purger that was started.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  buffer // stdout
	log  buffer // stderr
	done chan struct{}
}

// start runs purger behind the words of a wrapper such as strace.
func start(t *testing.T, wrapper []string, args ...string) *process {
	t.Helper()
	line := append(append([]string(nil), wrapper...), os.Getenv(envBinary))
	line = append(line, args...)
	p := &process{t: t, cmd: exec.Command(line[0], line[1:]...), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // what it says is in ProcessState
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process and what it runs behind, and waits.
func (p *process) kill() {
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("kill: %v", err)
	}
	<-p.done
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ends waits for the end of the process and wants an exit code and a text in
// what it printed to stderr.
func (p *process) ends(code int, text string) {
	p.t.Helper()
	if !eventually(p.ended) {
		p.t.Fatalf("purger does not end:\n%s", p.log.String())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code || !regexp.MustCompile(text).MatchString(p.log.String()) {
		p.t.Fatalf("exit code %d, want %d, and a line that matches %s:\n%s%s", got, code, text, p.out.String(), p.log.String())
	}
}

// purger runs a command to its end, wants an exit code, and returns what it
// printed to stdout and stderr.
func purger(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	p := start(t, nil, args...)
	if !eventually(p.ended) {
		t.Fatalf("purger %s does not end:\n%s", strings.Join(args, " "), p.log.String())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("purger %s: exit code %d; want %d\n%s%s", strings.Join(args, " "), got, code, p.out.String(), p.log.String())
	}
	return p.out.String(), p.log.String()
}

// wants wants a text to match.
func wants(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(text) {
		t.Fatalf("%q does not match %s", text, pattern)
	}
}

// daemon starts a daemon on a data directory and waits until it is ready.
func daemon(t *testing.T, wrapper []string, dir string, args ...string) *process {
	t.Helper()
	p := start(t, wrapper, append([]string{"serve", "--data-dir", dir, "--web.listen-address", "127.0.0.1:0"}, args...)...)
	if !eventually(func() bool { return p.ended() || strings.Contains(p.log.String(), "purger is ready") }) || p.ended() {
		t.Fatalf("the daemon is not ready:\n%s", p.log.String())
	}
	return p
}

// address returns where a daemon serves metrics and health.
func (p *process) address() string {
	p.t.Helper()
	m := regexp.MustCompile(`"web": ?\["(127\.0\.0\.1:\d+)"\]`).FindStringSubmatch(p.log.String())
	if m == nil {
		p.t.Fatalf("no address in:\n%s", p.log.String())
	}
	return m[1]
}

// stop ends a daemon in the ordinary way.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.ends(0, "")
}

// connect connects to the daemon of a data directory.
func connect(t *testing.T, dir string) *client.Client {
	t.Helper()
	c, err := client.Dial(context.Background(), filepath.Join(dir, client.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
