package pgtest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawn starts a program as a user, nil is that of the test, and returns a channel
// that is closed when it has ended. The kernel sends it end when the thread that
// started it ends, so that thread waits for it.
func spawn(cmd *exec.Cmd, as *syscall.Credential, end syscall.Signal) (<-chan struct{}, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true, Pdeathsig: end}
	started, exited := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return exited, nil
}
