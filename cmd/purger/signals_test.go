package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignals_TheFirstStopsAndOnlyASecondInterruptAborts(t *testing.T) {
	for _, c := range []struct {
		name   string
		send   []os.Signal
		apart  time.Duration
		aborts bool
	}{
		{"SIGTERM", []os.Signal{syscall.SIGTERM}, 0, false},
		{"SIGINT", []os.Signal{os.Interrupt}, 0, false},
		{"SIGTERM twice", []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, time.Minute, false},
		{"SIGINT sent to process and group", []os.Signal{os.Interrupt, os.Interrupt}, sameInterrupt - 1, false},
		{"SIGINT twice", []os.Signal{os.Interrupt, os.Interrupt}, sameInterrupt, true},
		{"SIGTERM, SIGINT", []os.Signal{syscall.SIGTERM, os.Interrupt}, sameInterrupt, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &signals{terminate: make(chan os.Signal, 1), interrupt: make(chan os.Signal, 2)}
				ctx, stop := context.WithCancelCause(t.Context())
				abort := make(chan struct{})
				go s.untilStopped(stop, abort)
				for i, sig := range c.send {
					if i > 0 {
						time.Sleep(c.apart) // the bubble's clock
					}
					if sig == os.Interrupt {
						s.interrupt <- sig
					} else {
						s.terminate <- sig
					}
					synctest.Wait()
				}
				if ctx.Err() == nil || !strings.Contains(context.Cause(ctx).Error(), c.send[0].String()) {
					t.Errorf("the cause is %v; want %s in it", context.Cause(ctx), c.send[0])
				}
				select {
				case <-abort:
					if !c.aborts {
						t.Error("aborted")
					}
				default:
					if c.aborts {
						t.Error("not aborted")
					}
					time.Sleep(sameInterrupt)
					s.interrupt <- os.Interrupt // for the goroutine to end
				}
			})
		})
	}
}

func TestHangUp_EndsEveryCommandButTheDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{signals: &signals{reload: make(chan os.Signal, 1)}}
		ctx, cancel := a.hangUp(t.Context())
		defer cancel()
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatal("ended without a signal")
		}
		a.signals.reload <- syscall.SIGHUP
		<-ctx.Done()
		if err := stopped(ctx, ctx.Err()); exitCode(err) != exitTryAgain || !strings.Contains(err.Error(), "hangup") {
			t.Errorf("the error is %v, exit code %d", err, exitCode(err))
		}
	})
}

func TestStopped_LeavesAnExitCodeAlone(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	failed := &exitError{code: exitSomeFailed}
	if err := stopped(ctx, os.ErrClosed); err != os.ErrClosed {
		t.Errorf("without a signal: %v", err)
	}
	stop(stoppedBy{os.Interrupt})
	if err := stopped(ctx, failed); exitCode(err) != exitSomeFailed {
		t.Errorf("with a code of its own: %v", err)
	}
	if err := stopped(ctx, nil); err != nil {
		t.Errorf("what succeeded all the same: %v", err)
	}
}
