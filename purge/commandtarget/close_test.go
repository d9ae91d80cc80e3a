package commandtarget_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/store"
)

// Whoever ends the daemon does not leave behind what a program has started, whether it
// heeds SIGTERM or not.
func TestClose_G5_EndsTheGroupsThatRun(t *testing.T) {
	for _, mode := range []string{"tree", "deaf"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			target := newTarget(t, mode, dir, func(c *commandtarget.Config, _ *commandtarget.Options) {
				c.Timeout, c.KillAfter = 50*time.Second, 300*time.Millisecond
			})
			result := make(chan error, 1)
			go func() { _, err := count(context.Background(), target); result <- err }()
			until(t, "the three processes run", func() bool { return len(pidsIn(dir)) == 3 })
			for range 2 {
				if err := target.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if left := alive(pidsIn(dir)); len(left) > 0 {
					t.Fatalf("%d of the 3 processes go on after Close", len(left))
				}
			}
			if err := <-result; !lost(err) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "closed") {
				t.Errorf("the call that Close ended: %v, want a lost answer", err)
			}
			if _, err := count(t.Context(), target); store.CodeOf(err) != store.Unavailable || len(pidsIn(dir)) != 3 {
				t.Errorf("a call after Close: %v with %d processes, want none that is run", err, len(pidsIn(dir)))
			}
		})
	}
}

// A process that keeps the output open, and cannot be reached, does not keep Close.
func TestClose_IsBounded(t *testing.T) {
	dir := t.TempDir()
	target := shell(t, `setsid sh -c 'echo $$ >"$0"; exec sleep 60' `+filepath.Join(dir, "left")+` & sleep 60`,
		func(c *commandtarget.Config, _ *commandtarget.Options) { c.KillAfter = 200 * time.Millisecond })
	go func() { _, _ = count(context.Background(), target) }()
	pid := 0
	until(t, "the process that leaves runs", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "left"))
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(string(b), &pid)
		return err == nil
	})
	defer func() { _ = unix.Kill(pid, unix.SIGKILL) }()
	began := time.Now()
	if err := target.Close(); err != nil || time.Since(began) > 20*time.Second {
		t.Errorf("Close: %v after %s", err, time.Since(began))
	}
}
