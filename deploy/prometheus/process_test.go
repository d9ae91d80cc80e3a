//go:build long

package prometheus_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
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

// start starts a program, with its output kept. It ends with the test owner at
// the latest, which may be the whole of which t is a part.
func start(t, owner *testing.T, name string, args ...string) *process {
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
	owner.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.exited
	})
	return p
}

// signal sends a signal.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: %v\n%s", s, err, p.log)
	}
}

// end sends a signal and waits until the program has ended.
func (p *process) end(t *testing.T, s os.Signal) {
	t.Helper()
	p.signal(t, s)
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%s did not end it:\n%s", s, p.log)
	}
}

// hasExited reports whether the program has ended.
func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
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
func eventually(t *testing.T, every time.Duration, complaint func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(every)
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
