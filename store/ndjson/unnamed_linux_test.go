package ndjson

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSorter_G13_ItsFileNeverHasAName watches the directory: a name, for however
// short a time, is one that a kill may leave there with what is being imported.
func TestSorter_G13_ItsFileNeverHasAName(t *testing.T) {
	dir := t.TempDir()
	if f, err := os.OpenFile(dir, os.O_RDWR|unnamed, 0o600); errors.Is(err, unix.EOPNOTSUPP) {
		if os.Getenv("CI") != "" {
			t.Fatal("this file system cannot make a file without a name: set TMPDIR to another")
		}
		t.Skip("this file system cannot make a file without a name")
	} else if err != nil {
		t.Fatal(err)
	} else {
		f.Close()
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	s := newSorter(dir, 1)
	for i := range 1000 {
		if err := s.add([]byte{byte(i >> 8), byte(i)}, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	if len(s.runs) == 0 {
		t.Fatal("nothing was written to a file")
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(fd, make([]byte, 4096)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the directory had a new name for some time (%d bytes of events, %v)", n, err)
	}
}
