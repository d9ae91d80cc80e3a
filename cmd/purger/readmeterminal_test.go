package main_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// readmeBackground is a command that runs at a terminal of its own while
// README.md is followed further.
type readmeBackground struct {
	block    readmeBlock
	cmd      *exec.Cmd
	terminal *os.File // what a person types goes in here
	lines    chan string
}

// start begins a command and returns once it has printed want.
func (s *readmeSession) start(t *testing.T, b readmeBlock, want string) {
	t.Helper()
	if want == "" {
		t.Fatalf("README.md:%d: a command in the background needs an output to wait for", b.line)
	}
	near, far := openTerminal(t)
	cmd := s.command(context.WithoutCancel(t.Context()), "-c", b.text)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = far, far, far
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	far.Close()
	bg := &readmeBackground{block: b, cmd: cmd, terminal: near, lines: make(chan string, 1024)}
	go func() {
		defer close(bg.lines)
		// The end of the last process at the terminal is an error of the read.
		for in := bufio.NewScanner(near); in.Scan(); {
			bg.lines <- in.Text()
		}
	}()
	s.bg = append(s.bg, bg)
	var out strings.Builder
	deadline := time.After(3 * time.Minute)
	for !readmeMatch(want, out.String(), true) {
		select {
		case line, ok := <-bg.lines:
			if ok {
				out.WriteString(line + "\n")
				continue
			}
		case <-deadline:
		}
		t.Fatalf("README.md:%d ended, or took too long, before it printed what is shown (-shown +printed, masked):\n%s",
			b.line, cmp.Diff(readmeLines(want), readmeLines(out.String())))
	}
}

// kill ends the whole session of a command that may have ended already.
func (b *readmeBackground) kill() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	b.terminal.Close()
}

// stop types Ctrl-C where something still runs, and expects a clean end.
func (s *readmeSession) stop(t *testing.T) {
	t.Helper()
	for _, b := range s.bg {
		if _, err := b.terminal.WriteString("\x03"); err != nil {
			t.Errorf("README.md:%d: %v", b.block.line, err)
		}
		var rest strings.Builder
		deadline := time.After(time.Minute)
		for running := true; running; {
			select {
			case line, ok := <-b.lines:
				if running = ok; ok {
					rest.WriteString(line + "\n")
				}
			case <-deadline:
				t.Errorf("README.md:%d: still running a minute after Ctrl-C\n%s", b.block.line, rest.String())
				b.kill()
				running = false
			}
		}
		err := b.cmd.Wait()
		// After an interrupt "go run" exits with 1 whatever the program does.
		if code := b.cmd.ProcessState.ExitCode(); code != 0 && (code != 1 || !strings.HasPrefix(b.block.text, "go run ")) {
			t.Errorf("README.md:%d: after Ctrl-C: %v\n%s", b.block.line, err, rest.String())
		}
		if !strings.HasSuffix(strings.TrimSpace(rest.String()), "  purger ends") {
			t.Errorf("README.md:%d: after Ctrl-C the last line is not that of a clean end:\n%s", b.block.line, rest.String())
		}
		b.terminal.Close()
	}
	s.bg = nil
}

// openTerminal returns the two ends of a new terminal: that of the person and
// that of the programs.
func openTerminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(near.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}
