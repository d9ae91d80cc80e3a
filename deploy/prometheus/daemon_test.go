//go:build long

package prometheus_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// quiet is the configuration of every daemon: passes are made only when the test
// asks for one.
const quiet = "purge: {schedule: '@yearly'}\n"

// daemon is a purger with a store of its own.
type daemon struct {
	owner               *testing.T // the daemon lives as long
	binary, dir, config string
	address             string // the same at every start
	process             *deploytest.Process
}

// newDaemon returns a daemon that is not started yet.
func newDaemon(t *testing.T, binary string) *daemon {
	t.Helper()
	home := t.TempDir()
	d := &daemon{owner: t, binary: binary, dir: filepath.Join(home, "data"), config: filepath.Join(home, "purger.yaml"), address: deploytest.FreeAddress(t)}
	d.configure(t, quiet)
	return d
}

// configure writes the configuration file.
func (d *daemon) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the daemon and waits until it is ready.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	d.process = deploytest.Start(t, d.owner, d.binary, "serve", "--config", d.config, "--data-dir", d.dir, "--web.listen-address", d.address)
	deploytest.Eventually(t, 20*time.Millisecond, func() string {
		if d.process.Exited() {
			t.Fatalf("the daemon has ended:\n%s", d.process.Log())
		}
		if _, err := fetch("http://"+d.address+"/-/ready", ""); err != nil {
			return fmt.Sprintf("the daemon is not ready: %v\n%s", err, d.process.Log())
		}
		return ""
	})
}

// stop stops the daemon.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	d.process.Signal(t, syscall.SIGTERM)
	if state := d.process.Wait(t); !state.Success() {
		t.Fatalf("the daemon did not stop cleanly: %s\n%s", state, d.process.Log())
	}
}

// command returns a command on the daemon's store.
func (d *daemon) command(args ...string) *exec.Cmd {
	return exec.Command(d.binary, append(args, "--data-dir", d.dir, "--config", d.config)...)
}

// purger runs a command, with input if there is any.
func (d *daemon) purger(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := d.command(args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("purger %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// pass makes a pass, however it ends.
func (d *daemon) pass(t *testing.T) {
	t.Helper()
	d.try(t, "run")
}

// try runs a command, however it ends.
func (d *daemon) try(t *testing.T, args ...string) {
	t.Helper()
	out, err := d.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("purger %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// due returns the records of tenants that are due, and have resources.
func due(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, `{"type":"tenant","id":%q,"status":"disabled","disabledAt":"2025-09-01T08:30:00.000Z","purgeAfterDays":30}`+"\n", id)
		for _, kind := range []string{"oauthClient", "apiKey", "credential", "user"} {
			fmt.Fprintf(&b, `{"type":%q,"tenantId":%q,"id":"r-1"}`+"\n", kind, id)
		}
	}
	return b.String()
}

// large returns the records of an active tenant with many users.
func large() string {
	var b strings.Builder
	fmt.Fprintln(&b, `{"type":"tenant","id":"large","status":"active"}`)
	for i := range 300_000 {
		fmt.Fprintf(&b, `{"type":"user","tenantId":"large","id":"u-%d","data":{"name":"Jo Martin"}}`+"\n", i)
	}
	return b.String()
}

// fetch gets a page over a connection of its own, since daemons come and go.
func fetch(url, accept string) (page, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return page{}, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return page{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, body)
	}
	return page{res.Header.Get("Content-Type"), string(body)}, err
}

// page is an answer over HTTP.
type page struct{ contentType, body string }
