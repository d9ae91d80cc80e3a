package api

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBackup_G13_SpoolNeverHasAName watches the directory: a name, for however
// short a time, is one that a kill may leave there.
func TestBackup_G13_SpoolNeverHasAName(t *testing.T) {
	r := newRig(t).inProcess(t)
	f, err := os.OpenFile(r.dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this file system cannot make a file without a name")
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, r.dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Backup(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	events := make([]byte, 4096)
	if n, err := unix.Read(fd, events); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the directory had a new name for some time: %q, %v", bytes.Trim(events[:max(n, 0)], "\x00"), err)
	}
}
