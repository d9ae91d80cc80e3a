package targettest_test

import (
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/targettest"
)

// A policy around a target changes nothing of what a target is.
func TestRun_AcceptsAGuardedTarget(t *testing.T) {
	targettest.Run(t, targettest.Harness{New: func(t *testing.T) targettest.System {
		sys := newMemory("").system()
		p := purge.DefaultPolicy()
		p.Concurrency, p.BackoffInitial, p.BackoffMax = 2, time.Millisecond, 10*time.Millisecond
		g, err := purge.Guarded(sys.Target, p, purge.GuardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sys.Target = g
		return sys
	}})
}
