package storetest

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// CopyFile copies a file that nobody writes. Where it has holes the copy has them,
// too: the file of a new store is 16 MiB, of which little is written. What is to be
// the copy must not exist yet.
func CopyFile(t testing.TB, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for at, err := src.Seek(0, unix.SEEK_DATA); !errors.Is(err, unix.ENXIO); at, err = src.Seek(at, unix.SEEK_DATA) {
		hole, err2 := src.Seek(at, unix.SEEK_HOLE)
		_, err3 := src.Seek(at, io.SeekStart)
		_, err4 := dst.Seek(at, io.SeekStart)
		if err := errors.Join(err, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(dst, src, hole-at); err != nil {
			t.Fatal(err)
		}
		at = hole
	}
	size, err := src.Seek(0, io.SeekEnd)
	if err := errors.Join(err, dst.Truncate(size), dst.Close()); err != nil {
		t.Fatal(err)
	}
}
