package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/scheduler"
)

// listenNotify makes the socket of a service manager. The function returns all
// that it was told until then.
func listenNotify(t *testing.T) func() []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	told := make(chan []string, 1)
	go func() {
		var got []string
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil || string(b[:n]) == "END" {
				told <- got
				return
			}
			got = append(got, string(b[:n]))
		}
	}()
	t.Cleanup(func() { _ = c.Close() })
	return func() []string {
		notifier{zap.NewNop()}.send("END")
		return <-told
	}
}

func TestNotifier_FeedsTheWatchdogOnlyWhileTheSchedulerAdvances(t *testing.T) {
	told := listenNotify(t)
	// 10 s of life, then 10 s in which the loop hangs, looked at every second.
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		go notifier{zap.NewNop()}.watch(ctx, 2*time.Second, func() scheduler.Status {
			return scheduler.Status{LastBeat: began.Add(min(time.Since(began), 10*time.Second) + time.Second)}
		})
		time.Sleep(20*time.Second + time.Millisecond)
		cancel()
		synctest.Wait()
	})
	got := told()
	if len(got) != 11 { // at once, and after each of the 10 s
		t.Errorf("%d signs of life; want 11", len(got))
	}
	for _, g := range got {
		if g != "WATCHDOG=1" {
			t.Errorf("told %q", g)
		}
	}
}

func TestNotifier_ReloadTellsTheMonotonicClock(t *testing.T) {
	told := listenNotify(t)
	n := notifier{zap.NewNop()}
	n.reloading()
	n.ready()
	n.status("%s", "a\nREADY=0")
	got := told()
	if len(got) != 3 || !strings.HasPrefix(got[0], "RELOADING=1\nMONOTONIC_USEC=") || got[1] != "READY=1" {
		t.Fatalf("told %q", got)
	}
	if want := `STATUS="a\nREADY=0"`; got[2] != want {
		t.Errorf("told %q; want %q, in one line", got[2], want)
	}
}

func TestHeartbeat_TurnsTheLoopTwiceBetweenTwoSignsOfLife(t *testing.T) {
	for _, c := range []struct{ watchdog, want time.Duration }{
		{0, 0},
		{3 * time.Minute, 45 * time.Second},
		{4 * time.Minute, 0},
		{time.Hour, 0},
		{2 * time.Second, 500 * time.Millisecond},
	} {
		if got := heartbeat(c.watchdog); got != c.want {
			t.Errorf("heartbeat(%s) = %s; want %s", c.watchdog, got, c.want)
		}
	}
}

func TestWatchdogInterval_ThatIsWrongIsNone(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "soon")
	if d := (notifier{zap.NewNop()}).watchdogInterval(); d != 0 {
		t.Errorf("interval %s; want none", d)
	}
}
