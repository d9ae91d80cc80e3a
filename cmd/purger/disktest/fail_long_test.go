//go:build long

package disktest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// faulty runs purger so that a system call fails the n-th time that a thread
// makes it.
func faulty(call, errno string, n int) []string {
	return []string{
		"strace", "-f", "--seccomp-bpf", "-q", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=" + call,
		"-e", "inject=" + call + ":error=" + errno + ":when=" + strconv.Itoa(n),
	}
}

// fault is a system call that fails in the midst of commits.
type fault struct {
	call, errno, text string
}

func faults() []fault {
	return []fault{
		{"fdatasync", "EIO", "input/output error"},
		{"pwrite64", "EIO", "input/output error"},
		// Somebody else filled the disk after the daemon had looked.
		{"pwrite64", "ENOSPC", "no space left on device"},
	}
}

// leaves is what a daemon logs and says when a write has failed.
func (f fault) leaves() string {
	return `(?s)"store failed; it must be opened again".*` +
		`purger: serve: the store has failed: the outcome of a write may be unknown and the store must be opened again: commit: [^\n]*` +
		f.text + `; start purger anew\n`
}

// open opens the store of a daemon that is gone.
func open(t *testing.T, dir string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir})
	must(t, err)
	return s
}

// When a commit fails the daemon leaves, since it cannot know what the disk has.
// Whoever opens the store again finds all that was acknowledged; of the one change
// that failed nobody knows.
func TestFailingDisk_G7_ADeactivationThatWasAcknowledgedIsKept(t *testing.T) {
	if !private(t, "strace") {
		return
	}
	for _, f := range faults() {
		for _, n := range []int{1, 2, 7, 12} {
			t.Run(fmt.Sprint(f.call, f.errno, n), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				cfg := config(t, never)
				purger(t, 0, "--data-dir", dir, "--config", cfg, "import", forest{active: 60}.write(t, t.TempDir()))
				d := daemon(t, faulty(f.call, f.errno, n), dir, "--config", cfg)
				c := connect(t, dir)
				acknowledged, failed := 0, false
				for i := range 60 {
					_, err := c.Deactivate(context.Background(), fmt.Sprintf("active-%d", i), client.DeactivateRequest{})
					if err != nil {
						if code := store.CodeOf(err); code != store.Unavailable {
							t.Errorf("a change that failed says %s: %v", code, err)
						}
						failed = true
						break
					}
					acknowledged++
				}
				if !failed {
					t.Fatal("nothing has failed")
				}
				d.ends(1, f.leaves())
				s := open(t, dir)
				defer func() { must(t, s.Close()) }()
				for i := range 60 {
					kept, err := s.Tenant(context.Background(), fmt.Sprintf("active-%d", i))
					must(t, err)
					if want := i < acknowledged; i != acknowledged && (kept.Status == store.StatusDisabled) != want {
						t.Errorf("active-%d is %s, and %d were acknowledged", i, kept.Status, acknowledged)
					}
				}
				must(t, s.Check(context.Background()))
			})
		}
	}
}

// A purge that a failing disk interrupts is completed by the next start, with
// exact counts.
func TestFailingDisk_G5_APassIsCompletedByTheNextStart(t *testing.T) {
	if !private(t, "strace") {
		return
	}
	for _, f := range faults() {
		for _, n := range []int{1, 4, 10} {
			t.Run(fmt.Sprint(f.call, f.errno, n), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				cfg := config(t, never, "store: {transactionTarget: 1ms}")
				purger(t, 0, "--data-dir", dir, "--config", cfg, "import", forest{due: 200, active: 1, resources: 30}.write(t, t.TempDir()))
				d := start(t, faulty(f.call, f.errno, n), "serve", "--data-dir", dir, "--config", cfg, "--web.listen-address", "127.0.0.1:0")
				d.ends(1, f.leaves())
				purger(t, 0, "--data-dir", dir, "store", "check")
				told := strings.Count(d.log.String(), `"tenant purged"`)
				s := open(t, dir)
				stats, err := s.Stats(context.Background(), time.Now())
				must(t, err)
				if n := stats.Tenants[store.StatusDeleted]; n < int64(told) || n == 200 {
					t.Errorf("%d are purged, and the log has %d", n, told)
				}
				must(t, s.Close())
				out, _ := purger(t, 0, "--data-dir", dir, "--config", cfg, "run")
				wants(t, out, `Pass ok: purged `)
				sound(t, dir)
				s = open(t, dir)
				defer func() { must(t, s.Close()) }()
				for i := range 200 {
					r, err := s.Receipt(context.Background(), fmt.Sprintf("due-%d", i))
					must(t, err)
					if !r.CountsExact || r.Deleted.Users != 30 || r.Remaining != (store.Counts{}) {
						t.Errorf("receipt of due-%d: %+v", i, r)
					}
				}
			})
		}
	}
}

// An import that a failing disk interrupts says so and is completed by running it
// again.
func TestFailingDisk_AnImportIsCompletedWhenItIsRunAgain(t *testing.T) {
	if !private(t, "strace") {
		return
	}
	input := forest{active: 100, resources: 400}.write(t, t.TempDir())
	for _, f := range faults() {
		for _, n := range []int{2, 5, 9} {
			t.Run(fmt.Sprint(f.call, f.errno, n), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				p := start(t, faulty(f.call, f.errno, n), "--data-dir", dir, "import", input)
				p.ends(75, f.text)
				if strings.Contains(p.out.String(), "imported") {
					t.Errorf("it says %q", p.out.String())
				}
				if _, err := os.Stat(filepath.Join(dir, boltstore.FileName)); err == nil {
					purger(t, 0, "--data-dir", dir, "store", "check")
				}
				purger(t, 0, "--data-dir", dir, "import", input)
				out, _ := purger(t, 0, "--data-dir", dir, "store", "stats")
				wants(t, out, `40,000 users`)
				sound(t, dir)
			})
		}
	}
}

// A compaction that fails, before or after the new file has the store's name,
// loses nothing.
func TestFailingDisk_ACompactionLosesNothing(t *testing.T) {
	if !private(t, "strace") {
		return
	}
	for _, f := range []fault{
		{"fdatasync", "EIO", "input/output error"}, {"fsync", "EIO", "input/output error"}, {"renameat", "EIO", "input/output error"},
		{"pwrite64", "ENOSPC", "no space left on device"},
	} {
		t.Run(f.call, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			purger(t, 0, "--data-dir", dir, "import", forest{active: 50, resources: 20}.write(t, t.TempDir()))
			p := start(t, faulty(f.call, f.errno, 1), "--data-dir", dir, "store", "compact")
			p.ends(75, f.text)
			out, _ := purger(t, 0, "--data-dir", dir, "store", "stats")
			wants(t, out, `1,000 users`)
			sound(t, dir)
			if left, err := filepath.Glob(filepath.Join(dir, "*compact-*")); err != nil || len(left) > 0 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

// A disk that becomes read-only ends the daemon, which then says that it cannot
// write; commands that only read say the same instead of guessing.
func TestFailingDisk_ReadOnly(t *testing.T) {
	if !private(t, "xfs_io", "mkfs.ext4") {
		return
	}
	disk := memoryDisk(t, "200m")
	dir := filepath.Join(disk, "data")
	cfg := config(t, never)
	purger(t, 0, "--data-dir", dir, "--config", cfg, "import", forest{active: 2}.write(t, t.TempDir()))
	file := loopDisk(t, filepath.Join(disk, "image"), "64m")
	command(t, "cp", "-r", dir, filepath.Join(file, "data"))
	dir = filepath.Join(file, "data")
	d := daemon(t, nil, dir, "--config", cfg)
	purger(t, 0, "--data-dir", dir, "tenant", "deactivate", "active-0")
	shutdown(t, file)
	_, say := purger(t, 75, "--data-dir", dir, "tenant", "deactivate", "active-1")
	wants(t, say, `input/output error`)
	d.ends(1, fault{text: "input/output error"}.leaves())
	command(t, "umount", file)
	mountLoop(t, filepath.Join(disk, "image"), file) // which is when its journal is read
	command(t, "umount", file)
	command(t, "mount", "-o", "loop,ro", filepath.Join(disk, "image"), file)
	_, say = purger(t, 1, "--data-dir", dir, "status")
	wants(t, say, `^purger: status: open the store: open \S+: read-only file system; want a data directory that this user can write to\n$`)
	_, say = purger(t, 65, "serve", "--data-dir", dir, "--web.listen-address", "127.0.0.1:0")
	wants(t, say, `purger: serve: open the store: open \S+: read-only file system; want a data directory that this user can write to\n$`)
	command(t, "umount", file)
	mountLoop(t, filepath.Join(disk, "image"), file)
	out, _ := purger(t, 0, "--data-dir", dir, "tenant", "get", "active-0")
	wants(t, out, `disabled`)
	sound(t, dir)
}
