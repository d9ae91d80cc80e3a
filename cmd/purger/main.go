// Command purger carries out tenant off-boarding: it keeps tenants that were
// deactivated until their date has come, and then removes them for good.
//
// purger serve is the daemon. Every other command works with it, through a Unix
// socket in the data directory, and without it, on the store itself.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // schedules may name a zone where the system has none on disk
)

// version is the version that purger reports; the linker sets it with
// -X main.version=v1.2.3. Empty means that of the module in the build info.
var version string

func main() {
	// First of all: until then SIGHUP kills the process, which systemd takes
	// for a clean exit, and SIGUSR1 is lost.
	sigs := catchSignals()

	ctx, stop := context.WithCancelCause(context.Background())
	abort := make(chan struct{})
	go sigs.untilStopped(stop, abort)

	code := make(chan int, 1)
	go func() { code <- run(ctx, sigs, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) }()
	select {
	case c := <-code:
		os.Exit(c)
	case <-abort:
		fmt.Fprintln(os.Stderr, "purger: interrupted again, did not wait for the running batch; the next pass resumes it")
		os.Exit(exitFailure)
	}
}

// run carries out one command line and returns the exit code. It says on stderr
// what went wrong.
func run(ctx context.Context, sigs *signals, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, signals: sigs}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	explain(forErrors(stderr), cmd, err)
	return exitCode(err)
}

// signals are what the process is told from outside. Each channel holds one
// pending signal of its kind: a signal is a level, not an edge, and a flood of
// one kind does not displace another.
type signals struct {
	reload    chan os.Signal // SIGHUP
	trigger   chan os.Signal // SIGUSR1
	report    chan os.Signal // SIGUSR2
	terminate chan os.Signal // SIGTERM
	interrupt chan os.Signal // SIGINT; holds two, since the second one differs
}

// catchSignals takes over every signal that purger knows.
func catchSignals() *signals {
	s := &signals{
		reload:    make(chan os.Signal, 1),
		trigger:   make(chan os.Signal, 1),
		report:    make(chan os.Signal, 1),
		terminate: make(chan os.Signal, 1),
		interrupt: make(chan os.Signal, 2),
	}
	signal.Notify(s.reload, syscall.SIGHUP)
	signal.Notify(s.trigger, syscall.SIGUSR1)
	signal.Notify(s.report, syscall.SIGUSR2)
	signal.Notify(s.terminate, syscall.SIGTERM)
	signal.Notify(s.interrupt, os.Interrupt)
	return s
}

// sameInterrupt is how soon after the first a SIGINT is the same one: timeout(1)
// and some supervisors send it to the process and to its group.
const sameInterrupt = 500 * time.Millisecond

// untilStopped calls stop at the first SIGTERM or SIGINT, and closes abort at a
// SIGINT some time after that. A repeated SIGTERM changes nothing: whoever sends
// it has SIGKILL for his impatience.
func (s *signals) untilStopped(stop context.CancelCauseFunc, abort chan<- struct{}) {
	select {
	case sig := <-s.terminate:
		stop(stoppedBy{sig})
	case sig := <-s.interrupt:
		stop(stoppedBy{sig})
	}
	for first := time.Now(); ; {
		<-s.interrupt
		if time.Since(first) >= sameInterrupt {
			close(abort)
			return
		}
	}
}

// stoppedBy is the cause of a context that a signal ended.
type stoppedBy struct{ signal os.Signal }

// Error implements error.
func (e stoppedBy) Error() string { return "stopped by signal: " + e.signal.String() }

// Is makes the cause match context.Canceled, which it stands for.
func (e stoppedBy) Is(target error) bool { return target == context.Canceled }
