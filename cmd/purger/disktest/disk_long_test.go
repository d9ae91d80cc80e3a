//go:build long

package disktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// must ends the test with an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command runs a program to its end.
func command(t *testing.T, line ...string) {
	t.Helper()
	if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(line, " "), err, out)
	}
}

// memoryDisk mounts a small disk that is in memory, and returns where.
func memoryDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "mount", "-t", "tmpfs", "-o", "size="+size, "purger-test", dir)
	t.Cleanup(func() { command(t, "umount", dir) })
	return dir
}

// free returns how many bytes of the disk are free.
func free(t *testing.T, dir string) int64 {
	t.Helper()
	var fs syscall.Statfs_t
	must(t, syscall.Statfs(dir, &fs))
	return int64(fs.Bavail) * fs.Bsize
}

// leave fills the disk up to so many bytes. What filled it before is taken away
// first. A daemon may write to the disk meanwhile: what it takes between the
// look and the filling is looked at again.
func leave(t *testing.T, dir string, bytes int64) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	must(t, os.RemoveAll(path))
	f, err := os.Create(path)
	must(t, err)
	err = syscall.ENOSPC
	for range 100 {
		most := free(t, dir) - bytes
		if most <= 0 {
			err = nil
			break
		}
		if err = syscall.Fallocate(int(f.Fd()), 0, 0, most); !errors.Is(err, syscall.ENOSPC) {
			break
		}
	}
	must(t, errors.Join(err, f.Close()))
}

// The tenants of the tests: of each kind a number of trees. What is due has a
// date in the past, and each tree has resources with so many bytes of data.
type forest struct {
	due, active, resources, bytes int
	prefix                        string
}

// write writes the forest as NDJSON and returns the file.
func (f forest) write(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	data := strings.Repeat("x", f.bytes)
	tree := func(id, status string) {
		fmt.Fprintf(&b, `{"type":"tenant","id":%q,"parentId":"",%s}`+"\n", id, status)
		for i := range f.resources {
			fmt.Fprintf(&b, `{"type":"user","tenantId":%q,"id":"u-%d","data":{"x":%q}}`+"\n", id, i, data)
		}
	}
	for i := range f.due {
		tree(fmt.Sprintf("%sdue-%d", f.prefix, i), `"status":"disabled","disabledAt":"2020-01-01T10:00:00.000Z","purgeAfterDays":30`)
	}
	for i := range f.active {
		tree(fmt.Sprintf("%sactive-%d", f.prefix, i), `"status":"active"`)
	}
	path := filepath.Join(dir, f.prefix+"forest.ndjson")
	must(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// config writes a configuration without limits, by which a pass takes many
// transactions.
func config(t *testing.T, schedule string, more ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "purger.yaml")
	text := "purge: {schedule: \"" + schedule + "\", concurrency: 4}\nlimits: {perPass: 0, perDayShare: 0}\n" + strings.Join(more, "\n") + "\n"
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// never is a schedule that comes no more while a test runs.
const never = "0 0 29 2 *"

// sound wants a store that nobody has open to pass every check.
func sound(t *testing.T, dir string) {
	t.Helper()
	purger(t, 0, "--data-dir", dir, "store", "check")
	purger(t, 0, "--data-dir", dir, "audit", "verify")
}
