package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestSignals_TheFirstStopsAndOnlyASecondInterruptAborts(t *testing.T) {
	for _, c := range []struct {
		name   string
		send   []os.Signal
		aborts bool
	}{
		{"SIGTERM", []os.Signal{syscall.SIGTERM}, false},
		{"SIGINT", []os.Signal{os.Interrupt}, false},
		{"SIGTERM twice", []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, false},
		{"SIGINT twice", []os.Signal{os.Interrupt, os.Interrupt}, true},
		{"SIGTERM, SIGINT", []os.Signal{syscall.SIGTERM, os.Interrupt}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &signals{terminate: make(chan os.Signal, 1), interrupt: make(chan os.Signal, 2)}
				ctx, stop := context.WithCancelCause(t.Context())
				abort := make(chan struct{})
				go s.untilStopped(stop, abort)
				for _, sig := range c.send {
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
					s.interrupt <- os.Interrupt // for the goroutine to end
				}
			})
		})
	}
}
