package commandtarget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/store"
)

// prlimit sets limits and becomes the program. A process cannot be given limits
// by Go between fork and exec, and after that it would be late.
const prlimit = "/usr/bin/prlimit"

// goneWithin bounds the wait for processes of a group that were killed. They are
// gone in an instant; but who has no parent left may stay for long as a zombie.
const goneWithin = 100 * time.Millisecond

// result is how a run ended.
type result struct {
	out []byte
	// code is the exit code; -1 when a signal ended it.
	code int
	// err says that the run does not count: it did not begin, or was ended from
	// here.
	err error
}

// ending describes how the process ended.
func (r result) ending() string {
	if r.code < 0 {
		return "a signal ended it"
	}
	return fmt.Sprintf("exit code %d", r.code)
}

// process is what is constant about every run.
type process struct {
	argv       []string
	credential *syscall.Credential // nil: as the daemon
}

func (c Config) process() (process, error) {
	credential, nobody := c.identity()
	argv, err := c.arguments()
	return process{argv, credential}, errors.Join(nobody, err)
}

// identity returns whom the program runs as; nil is as the daemon.
func (c Config) identity() (*syscall.Credential, error) {
	if c.User == "" {
		return nil, nil
	}
	u, err := user.Lookup(c.User)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "user %q: %w", c.User, err).At("user")
	}
	gid := u.Gid
	if c.Group != "" {
		g, err := user.LookupGroup(c.Group)
		if err != nil {
			return nil, store.Errorf(store.Invalid, "group %q: %w", c.Group, err).At("group")
		}
		gid = g.Gid
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "user %q: %w", c.User, err).At("user")
	}
	group, err := strconv.ParseUint(gid, 10, 32)
	if err != nil {
		return nil, store.Errorf(store.Invalid, "group of user %q: %w", c.User, err).At("group")
	}
	if self := os.Geteuid(); self != 0 {
		if self == int(uid) && os.Getegid() == int(group) {
			return nil, nil
		}
		return nil, store.Errorf(store.Invalid,
			"user %q: only a daemon that runs as root can run a program as somebody else, and this one runs as uid %d; leave user out, or let the program change it",
			c.User, self).At("user")
	}
	// No supplementary groups: setgroups is called with none.
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(group)}, nil
}

// arguments returns the program and its arguments, behind prlimit where there
// are limits.
func (c Config) arguments() ([]string, error) {
	var argv []string
	for _, l := range []struct {
		option string
		value  int64
	}{
		{"cpu", int64(c.Limits.CPU / time.Second)}, {"as", c.Limits.Memory}, {"nofile", c.Limits.Files},
		{"nproc", c.Limits.Processes}, {"fsize", c.Limits.FileSize},
	} {
		if l.value > 0 {
			argv = append(argv, fmt.Sprintf("--%s=%d", l.option, l.value))
		}
	}
	if argv == nil {
		return append([]string{c.Command}, c.Args...), nil
	}
	if _, err := os.Stat(prlimit); err != nil {
		return nil, store.Errorf(store.Invalid, "limits: they are set by %s of util-linux: %w", prlimit, err).At("limits")
	}
	argv = append([]string{prlimit}, argv...)
	return append(append(argv, "--", c.Command), c.Args...), nil
}

// run runs the program once, until its process group is gone.
func (t *Target) run(ctx context.Context, stdin []byte, log *zap.Logger) result {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return result{err: store.Errorf(store.Unavailable, "%s was not run: %v", t.cfg.Command, err)}
	}
	closed, ok := t.runs.begin()
	if !ok {
		return result{err: store.Errorf(store.Unavailable, "%s was not run: the target is closed", t.cfg.Command)}
	}
	defer t.runs.done()
	out, logged := newBounded(t.cfg.MaxOutput), &lines{log: log, left: t.cfg.MaxLog}
	cmd := exec.Command(t.argv[0])
	cmd.Args, cmd.Env, cmd.Dir = t.argv, t.cfg.environment(), t.cfg.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), out, logged
	// A process that left the group may have the pipes: they are not waited for.
	cmd.WaitDelay = t.cfg.KillAfter
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: t.credential, Pdeathsig: syscall.SIGKILL}

	// The signal of Pdeathsig comes when the thread ends that forked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return result{err: store.Errorf(store.Unavailable, "run %s: %w", t.cfg.Command, err)}
	}
	group := cmd.Process.Pid
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		awaitExit(group)
	}()
	var r result
	select {
	case <-exited:
	case <-out.full:
		end(group, exited, t.cfg.KillAfter)
	case <-ctx.Done():
		r.err = fmt.Errorf("%s was ended: %w", t.cfg.Command, context.Cause(ctx))
		end(group, exited, t.cfg.KillAfter)
	case <-closed:
		// What it did is as little known as at the end of the context.
		r.err = fmt.Errorf("%s was ended, since the target is closed: %w", t.cfg.Command, context.Canceled)
		end(group, exited, t.cfg.KillAfter)
	}
	// What it left behind goes before it is reaped: until then nobody else can
	// have the number of the group.
	_ = unix.Kill(-group, unix.SIGKILL)
	err := cmd.Wait()
	if r.err != nil {
		awaitGone(group)
	}
	logged.close()
	var exit *exec.ExitError
	switch {
	case r.err != nil:
	case errors.Is(err, errTooMuch) || isClosed(out.full):
		r.err = store.Errorf(store.Internal, "%s was ended: it wrote more than %d bytes", t.cfg.Command, t.cfg.MaxOutput)
	case errors.Is(err, exec.ErrWaitDelay):
		r.err = store.Errorf(store.Internal, "%s ended, and a process that left its group kept its output open", t.cfg.Command)
	case err != nil && !errors.As(err, &exit):
		r.err = store.Errorf(store.Internal, "run %s: %w", t.cfg.Command, err)
	}
	r.out, r.code = out.buf.Bytes(), cmd.ProcessState.ExitCode()
	return r
}

// awaitExit waits until a child has exited, and does not reap it.
func awaitExit(pid int) {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// end ends a process group whose leader is not reaped yet.
func end(group int, exited <-chan struct{}, killAfter time.Duration) {
	_ = unix.Kill(-group, unix.SIGTERM)
	timer := time.NewTimer(killAfter)
	defer timer.Stop()
	select {
	case <-exited:
	case <-timer.C:
		_ = unix.Kill(-group, unix.SIGKILL)
		<-exited
	}
}

// awaitGone waits until nobody is in the group: a process that was killed may
// have one more system call under way.
func awaitGone(group int) {
	deadline := time.Now().Add(goneWithin)
	for time.Now().Before(deadline) {
		if errors.Is(unix.Kill(-group, 0), unix.ESRCH) {
			return
		}
		<-time.After(time.Millisecond)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
