//go:build long

package disktest

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

const mib = 1 << 20

// On a disk that fills up purging stops first, then what people change, and the
// daemon serves all the time and starts even so. It goes on by itself.
func TestFullDisk_PurgingWaitsForRoomAndGoesOnByItself(t *testing.T) {
	if !private(t) {
		return
	}
	disk := memoryDisk(t, "160m")
	dir := filepath.Join(disk, "data")
	cfg := config(t, "@every 1s")
	purger(t, 0, "--data-dir", dir, "--config", cfg, "import", forest{due: 20, active: 3, resources: 5, bytes: 100}.write(t, t.TempDir()))
	leave(t, disk, 40*mib)
	d := daemon(t, nil, dir, "--config", cfg)
	on := func(code int, args ...string) (string, string) {
		t.Helper()
		return purger(t, code, append([]string{"--data-dir", dir}, args...)...)
	}
	c := connect(t, dir)
	tenants := func() map[store.Status]int64 {
		t.Helper()
		s, err := c.StoreStats(context.Background())
		must(t, err)
		return s.Tenants
	}
	room := `the disk of ` + dir + ` has \d+\.\d MiB of room, want 64\.0 MiB`

	out, _ := on(75, "run")
	wants(t, out, `Purging is stopped: space \(`+room+`\)\.\nPass space: purged nothing, `)
	out, _ = on(0, "status")
	wants(t, out, `(?m)^purging is stopped: +space \(`+room+`\)$`)
	wants(t, out, `(?m)^last pass: +space at `)
	_, say := on(75, "import", forest{active: 1, prefix: "new-"}.write(t, t.TempDir()))
	wants(t, say, `^purger: import: \S+new-forest\.ndjson: `+room+`\n$`)
	_, say = on(75, "tenant", "delete", "due-1", "--yes")
	wants(t, say, `^purger: tenant delete: `+room+`\n$`)
	on(0, "tenant", "reactivate", "due-0") // G2: cancelling is possible as long as possible
	on(0, "tenant", "deactivate", "active-0")
	if n := tenants()[store.StatusDeleted]; n != 0 {
		t.Fatalf("%d tenants were purged without room", n)
	}

	leave(t, disk, 8*mib)
	_, say = on(75, "tenant", "deactivate", "active-1")
	wants(t, say, `^purger: tenant deactivate: the disk of \S+ has \d+\.\d MiB of room, want 16\.0 MiB\n$`)
	on(0, "tenant", "get", "active-1")
	on(0, "store", "check")
	leave(t, disk, 0)
	d.stop()
	d = daemon(t, nil, dir, "--config", cfg)
	_, say = on(75, "pause", "--reason", "full")
	wants(t, say, `want 16\.0 MiB`)
	for _, path := range []string{"/-/healthy", "/-/ready", "/metrics"} {
		res, err := (&http.Client{Timeout: 10 * time.Second}).Get("http://" + d.address() + path)
		must(t, err)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, res.Status)
		}
		must(t, res.Body.Close())
	}
	if p := d.cmd.Process.Signal(syscall.SIGUSR1); p != nil {
		t.Fatal(p)
	}

	must(t, os.Remove(filepath.Join(disk, "ballast")))
	if c = connect(t, dir); !eventually(func() bool { return tenants()[store.StatusDeleted] == 19 }) {
		t.Fatalf("purging does not go on: %v\n%s", tenants(), d.log.String())
	}
	out, _ = on(0, "status")
	wants(t, out, `(?m)^purging: +goes on$`)
	d.stop()
	sound(t, dir)
}

// An import that runs out of room ends with what to do, and running it again
// once there is room completes it, through a daemon and without one.
func TestFullDisk_AnImportIsCompletedWhenItIsRunAgain(t *testing.T) {
	if !private(t) {
		return
	}
	input := forest{active: 100, resources: 150, bytes: 4000}.write(t, t.TempDir()) // 60 MB
	for name, served := range map[string]bool{"daemon": true, "no daemon": false} {
		disk := memoryDisk(t, "110m")
		dir := filepath.Join(disk, "data")
		cfg := config(t, never, "store: {importTempDir: "+t.TempDir()+"}")
		var d *process
		if served {
			d = daemon(t, nil, dir, "--config", cfg)
		}
		args := []string{"--data-dir", dir, "--config", cfg, "import", input}
		_, say := purger(t, 75, args...)
		wants(t, say, `^purger: import: \S+: write records: the disk of \S+ has 6\d\.\d MiB of room, want 6\d\.\d MiB `+
			`\(the import is not complete: run it again to complete it\)\n$`)
		out, _ := purger(t, 75, "--data-dir", dir, "run")
		wants(t, out, `Purging is stopped: import `)
		command(t, "mount", "-o", "remount,size=400m", disk)
		out, _ = purger(t, 0, append(args, "-o", "json")...)
		wants(t, out, `"complete": true`)
		if strings.Contains(out, `"unchanged": 0`) {
			t.Errorf("%s: the import began anew:\n%s", name, out)
		}
		out, _ = purger(t, 0, "--data-dir", dir, "store", "stats")
		wants(t, out, `15,000 users`)
		if served {
			d.stop()
		}
		sound(t, dir)
	}
}

// What an import sorts leaves room for the store, and what could not even be
// begun leaves nothing.
func TestFullDisk_SortingAnImportLeavesRoomForTheStore(t *testing.T) {
	if !private(t) {
		return
	}
	disk := memoryDisk(t, "100m")
	dir := filepath.Join(disk, "data")
	input := forest{active: 100, resources: 150, bytes: 4000}.write(t, t.TempDir())
	_, say := purger(t, 75, "--data-dir", dir, "import", input)
	wants(t, say, `^purger: import: \S+: write temporary file for sorting: the disk of \S+ has 6[34]\.\d MiB of room, want 64\.\d MiB\n$`)
	if _, err := os.Stat(dir); err == nil {
		t.Error("a store was left")
	}
	leave(t, disk, 10*mib)
	_, say = purger(t, 75, "--data-dir", dir, "import", input)
	wants(t, say, `^purger: import: create the store: the disk of \S+ has 10\.0 MiB of room, want 16\.0 MiB\n$`)
	_, say = purger(t, 75, "serve", "--data-dir", dir, "--web.listen-address", "127.0.0.1:0")
	wants(t, say, `purger: serve: create the store: the disk of \S+ has 10\.0 MiB of room, want 16\.0 MiB\n$`)
}

// A compaction and a backup that do not fit leave nothing behind, and the store
// goes on.
func TestFullDisk_CompactionAndBackupLeaveNothingBehind(t *testing.T) {
	if !private(t) {
		return
	}
	disk := memoryDisk(t, "260m")
	dir := filepath.Join(disk, "data")
	cfg := config(t, never)
	purger(t, 0, "--data-dir", dir, "--config", cfg, "import", forest{active: 50, resources: 50, bytes: 4000}.write(t, t.TempDir()))
	d := daemon(t, nil, dir, "--config", cfg)
	on := func(code int, args ...string) string {
		t.Helper()
		_, say := purger(t, code, append([]string{"--data-dir", dir}, args...)...)
		return say
	}
	names := func() string {
		t.Helper()
		var all []string
		for _, at := range []string{dir, disk} {
			entries, err := os.ReadDir(at)
			must(t, err)
			for _, e := range entries {
				all = append(all, e.Name())
			}
		}
		return strings.Join(all, " ")
	}
	leave(t, disk, 20*mib)
	before := names()
	wants(t, on(75, "store", "compact"), `^purger: store compact: compact: the disk of \S+ has 20\.0 MiB of room, want \d+\.\d MiB\n$`)
	wants(t, on(75, "store", "backup", filepath.Join(disk, "backup.db")), `^purger: store backup: .*a backup needs \d+ bytes of temporary space in "\S+", \d+ are free\n`)
	small := memoryDisk(t, "1m")
	leave(t, disk, 120*mib)
	wants(t, on(1, "store", "backup", filepath.Join(small, "backup.db")), `^purger: store backup: write \S+: write \S+: no space left on device\n`)
	if after := names(); after != before {
		t.Errorf("%q is there; before it was %q", after, before)
	}
	if left, err := os.ReadDir(small); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	on(0, "tenant", "deactivate", "active-0")
	on(0, "store", "compact")
	on(0, "store", "backup", filepath.Join(disk, "backup.db"))
	must(t, os.Mkdir(filepath.Join(disk, "restored"), 0o700))
	must(t, os.Rename(filepath.Join(disk, "backup.db"), filepath.Join(disk, "restored", "purger.db")))
	sound(t, filepath.Join(disk, "restored"))
	d.stop()
	sound(t, dir)
}
