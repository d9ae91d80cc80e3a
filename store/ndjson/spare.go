package ndjson

import (
	"cmp"
	"io"
	"os"
	"syscall"

	"github.com/tenantpurge/purger/store"
)

// spareSpace is what sorting leaves free on its disk, in bytes. It is often the
// store's disk too, and a store that runs out of room in the midst of a commit
// has to be opened again.
const spareSpace = 64 << 20

// sparing writes to a sorter's file as long as enough room is left.
type sparing struct {
	s *sorter
	w io.Writer
}

// Write implements io.Writer. A disk that cannot be asked is no obstacle.
func (w sparing) Write(b []byte) (int, error) {
	free, err := w.s.free(w.s.file)
	if want := int64(len(b)) + spareSpace; err == nil && free < want {
		return 0, &store.SpaceError{Space: store.Space{Dir: cmp.Or(w.s.dir, os.TempDir()), Free: free, Want: want}}
	}
	return w.w.Write(b)
}

// freeSpace returns the bytes that may still be written to a file's disk.
func freeSpace(f *os.File) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &fs); err != nil {
		return 0, &os.PathError{Op: "fstatfs", Path: f.Name(), Err: err}
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:unconvert // other systems have other types
}
