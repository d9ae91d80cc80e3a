//go:build long

package disktest

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// watchdog is the interval that the service manager of the test asks for.
const watchdog = 2 * time.Second

// With a disk whose every sync takes half a second the daemon stays alive for
// its service manager, ready, and answers people, while it purges.
func TestSlowDisk_TheDaemonStaysAliveAndAnswers(t *testing.T) {
	if !private(t, "strace") {
		return
	}
	dir := filepath.Join(t.TempDir(), "data")
	cfg := config(t, never)
	purger(t, 0, "--data-dir", dir, "--config", cfg, "import", forest{due: 8, active: 4}.write(t, t.TempDir()))
	signs := manager(t)
	d := daemon(t, []string{
		"strace", "-f", "--seccomp-bpf", "-q", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=fdatasync",
		"-e", "inject=fdatasync:delay_enter=500000",
		"env", "WATCHDOG_USEC=2000000",
	}, dir, "--config", cfg)
	c := connect(t, dir)
	longest := time.Duration(0)
	timed := func(do func() error) {
		t.Helper()
		began := time.Now()
		must(t, do())
		longest = max(longest, time.Since(began))
	}
	for i := range 4 {
		timed(func() error {
			_, err := c.Deactivate(context.Background(), "active-"+string(rune('0'+i)), client.DeactivateRequest{})
			return err
		})
		timed(func() error {
			res, err := (&http.Client{Timeout: patience}).Get("http://" + d.address() + "/-/ready")
			if err != nil {
				return err
			}
			if res.StatusCode != http.StatusOK {
				t.Errorf("not ready: %s", res.Status)
			}
			return res.Body.Close()
		})
		timed(func() error { _, err := c.Status(context.Background()); return err })
	}
	if !eventually(func() bool { return strings.Contains(d.log.String(), `"pass finished"`) }) {
		t.Fatalf("the pass does not end:\n%s", d.log.String())
	}
	// A change waits for the commit under way and for its own, each of two syncs.
	if longest > 5*time.Second {
		t.Errorf("the longest answer took %s", longest)
	}
	t.Logf("the longest answer took %s", longest)
	if s := signs(); len(s) < 3 {
		t.Errorf("%d signs of life", len(s))
	} else {
		for i := 1; i < len(s); i++ {
			if gap := s[i].Sub(s[i-1]); gap > watchdog {
				t.Errorf("%s without a sign of life; the service manager would have ended the daemon after %s", gap, watchdog)
			}
		}
	}
	if d.ended() || strings.Contains(d.log.String(), `"level":"error"`) {
		t.Errorf("the daemon has trouble:\n%s", d.log.String())
	}
	d.kill()
	sound(t, dir)
}

// manager is a service manager. The function that it returns tells when the
// daemon gave a sign of life.
func manager(t *testing.T) func() []time.Time {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	signs := make(chan time.Time, 1000)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if strings.Contains(string(b[:n]), "WATCHDOG=1") {
				signs <- time.Now()
			}
		}
	}()
	return func() []time.Time {
		var all []time.Time
		for len(signs) > 0 {
			all = append(all, <-signs)
		}
		return all
	}
}
