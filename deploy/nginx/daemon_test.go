//go:build long

package nginx_test

import (
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// daemon is a purger with a store of its own.
type daemon struct {
	binary, dir, config, address string
	process                      *deploytest.Process
}

// forest is what every daemon holds: a tenant that is served, one that is not with
// one below it, and one to be purged.
const forest = `{"type":"tenant","id":"root","hostname":"root.example.com","status":"active"}
{"type":"tenant","id":"sub","parentId":"root","hostname":"sub.example.com","status":"active"}
{"type":"tenant","id":"off","hostname":"off.example.com","status":"active"}
{"type":"tenant","id":"child","parentId":"off","hostname":"child.example.com","status":"active"}
{"type":"tenant","id":"gone","hostname":"gone.example.com","status":"active"}
`

// newDaemon returns a daemon that is ready and knows the forest, in which off is
// deactivated and gone is purged.
func newDaemon(t *testing.T, config string) *daemon {
	t.Helper()
	home := t.TempDir()
	d := &daemon{binary: deploytest.BuildPurger(t), dir: filepath.Join(home, "data"), address: deploytest.FreeAddress(t)}
	d.config = deploytest.Write(t, home, "purger.yaml", "purge: {schedule: '@yearly'}\n"+config)
	d.purger(t, "import", deploytest.Write(t, home, "forest.ndjson", forest))
	d.start(t)
	d.purger(t, "tenant", "deactivate", "off")
	d.purger(t, "tenant", "deactivate", "gone")
	d.purger(t, "tenant", "delete", "gone", "--yes")
	return d
}

// start starts the daemon and waits until it is ready.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	d.process = deploytest.Start(t, t, d.binary, "serve", "--config", d.config, "--data-dir", d.dir, "--web.listen-address", d.address)
	awaitListener(t, d.process, d.address)
	client := &http.Client{Timeout: deploytest.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	deploytest.Eventually(t, interval, func() string {
		res, err := client.Get("http://" + d.address + "/-/ready")
		if err != nil {
			return err.Error()
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return "the daemon is not ready: " + res.Status
		}
		return ""
	})
}

// interval is how often the tests ask.
const interval = 20 * time.Millisecond

// awaitListener waits until a program accepts connections.
func awaitListener(t *testing.T, p *deploytest.Process, address string) {
	t.Helper()
	deploytest.Eventually(t, interval, func() string {
		if p.Exited() {
			t.Fatalf("it has ended before it listened on %s:\n%s", address, p.Log())
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err.Error() + "\n" + p.Log()
		}
		_ = conn.Close()
		return ""
	})
}

// purger runs a command on the daemon's store.
func (d *daemon) purger(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(d.binary, append(args, "--data-dir", d.dir, "--config", d.config)...).CombinedOutput()
	if err != nil {
		t.Fatalf("purger %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
