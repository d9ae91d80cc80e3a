//go:build long

package disktest

import "testing"

// loopDisk makes a file system in a file and mounts it, and returns where. What
// is not synced stays in memory for longer than any test takes, and renaming a
// file syncs nothing by itself.
func loopDisk(t *testing.T, image, size string) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "truncate", "-s", size, image)
	command(t, "mkfs.ext4", "-q", "-F", "-m", "0", image)
	mountLoop(t, image, dir)
	t.Cleanup(func() { command(t, "umount", dir) })
	return dir
}

// mountLoop mounts the file system in a file.
func mountLoop(t *testing.T, image, dir string) {
	t.Helper()
	command(t, "mount", "-o", "loop,commit=1000,noauto_da_alloc", image, dir)
}

// shutdown cuts the power of a disk: what was not synced is lost.
func shutdown(t *testing.T, dir string) {
	t.Helper()
	command(t, "xfs_io", "-x", "-c", "shutdown", dir)
}
