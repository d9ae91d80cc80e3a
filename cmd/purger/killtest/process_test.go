package killtest

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that happens unless purger is broken.
const patience = 60 * time.Second

// killed is the exit code of a process that SIGKILL ended.
const killed = -9

// build compiles the binary as it is delivered and returns its path.
func build(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/purger"
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "github.com/tenantpurge/purger/cmd/purger")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// process is a purger that was started.
type process struct {
	cmd   *exec.Cmd
	args  string
	out   output // stdout
	log   output // stderr
	began time.Time
	ended time.Time     // valid once done is closed
	done  chan struct{} // closed when it has ended and was read to its end
}

// start runs purger. With a leader it joins the process group of that one, else
// it is the leader of a new one.
func start(t *testing.T, binary string, leader *process, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), args: strings.Join(args, " "), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if leader != nil {
		p.cmd.SysProcAttr.Pgid = leader.cmd.Process.Pid
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start purger %s: %v", p.args, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // what it says is in ProcessState
		p.ended = time.Now()
	}()
	return p
}

// kill ends the process by SIGKILL, if it still runs, and waits for its end.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, syscall.ESRCH) && !p.hasEnded() {
		select {
		case <-p.done: // it ended between the two
		case <-time.After(patience):
			t.Fatalf("kill purger %s: %v", p.args, err)
		}
	}
	p.code(t)
}

// killGroup ends everything in the group that the process leads.
func (p *process) killGroup(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("kill the group of purger %s: %v", p.args, err)
	}
	p.code(t)
}

// hasEnded reports whether the process has ended.
func (p *process) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// code waits for the end of the process and returns its exit code, or killed.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("purger %s does not end; it printed:\n%s%s", p.args, p.out.String(), p.log.String())
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return -int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// endsWithin waits at most d for the end of the process.
func (p *process) endsWithin(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

// awaits waits until one of some texts is in what the process logs. False is for
// a process that ended without any.
func (p *process) awaits(t *testing.T, texts ...string) bool {
	t.Helper()
	timeout := time.After(patience)
	for {
		ended := p.hasEnded()
		changed := p.log.next()
		for _, text := range texts {
			if !p.log.find(text).IsZero() {
				return true
			}
		}
		if ended {
			return false
		}
		select {
		case <-changed:
		case <-p.done:
		case <-timeout:
			t.Fatalf("purger %s does not say %q:\n%s", p.args, texts, p.log.String())
		}
	}
}

// output holds what a process prints, and when.
type output struct {
	mu      sync.Mutex
	b       bytes.Buffer
	writes  []written
	changed chan struct{} // closed at the next write
}

// written is one write: it ended at this length of the whole.
type written struct {
	end int
	at  time.Time
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(b)
	o.writes = append(o.writes, written{o.b.Len(), time.Now()})
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// find returns when text was printed first; zero if it was not.
func (o *output) find(text string) time.Time { return o.when(text, bytes.Index) }

// last returns when text was printed last; zero if it was not.
func (o *output) last(text string) time.Time { return o.when(text, bytes.LastIndex) }

func (o *output) when(text string, index func(s, sep []byte) int) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := index(o.b.Bytes(), []byte(text)); i >= 0 {
		for _, w := range o.writes {
			if w.end > i {
				return w.at
			}
		}
	}
	return time.Time{}
}

// next returns a channel that is closed when more is printed.
func (o *output) next() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.changed
}
