package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// describe tells on what machine the figures were measured.
func describe(dir string) string {
	var u unix.Utsname
	kernel := "unknown kernel"
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	return fmt.Sprintf("%s, %d cores, %s, %s, %s", processor(), runtime.GOMAXPROCS(0), kernel, filesystem(dir), runtime.Version())
}

// processor returns the name of the processor.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// filesystem names the kind that holds dir.
func filesystem(dir string) string {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return "unknown filesystem"
	}
	switch st.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("filesystem %#x", st.Type)
}

// copyFile copies a file as it is on disk, durably, and leaves the copy in the
// page cache or out of it.
func copyFile(from, to string, cached bool) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	if err := dst.Sync(); err != nil {
		return err
	}
	if !cached {
		return drop(dst)
	}
	if _, err := dst.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, dst)
	return err
}

// errStaysCached is of a filesystem in memory, for one.
var errStaysCached = errors.New("the file stays in the page cache: there is no cold start here")

// drop takes a file, of which nothing is dirty or mapped, out of the page cache,
// and returns an error when that did not work: then nothing here is cold.
func drop(f *os.File) error {
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("drop %s from the page cache: %w", f.Name(), err)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	const probes = 100
	cached, b := 0, make([]byte, 1)
	for i := range int64(probes) {
		if n, err := unix.Preadv2(int(f.Fd()), [][]byte{b}, info.Size()/probes*i, unix.RWF_NOWAIT); err == nil && n == 1 {
			cached++
		}
	}
	if cached > probes/10 {
		return fmt.Errorf("%s: %w (%d of %d probes)", f.Name(), errStaysCached, cached, probes)
	}
	return nil
}
