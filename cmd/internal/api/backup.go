package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/store"
)

// spareSpace is what a backup must leave free on the disk, in bytes: the store
// that is being saved must not be stopped by a full one.
const spareSpace = 64 << 20

// backup answers GET /store/backup. The copy is written to a file first, so that
// a slow caller does not keep pages of the store from being used again.
func (s *server) backup(w http.ResponseWriter, r *request) error {
	unlock, err := only(&s.spooling, "a backup")
	if err != nil {
		return err
	}
	defer unlock()
	f, size, err := s.spool(r.Context())
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	streaming(w).WriteHeader(http.StatusOK)
	if _, err = io.CopyN(w, f, size); err != nil {
		return notRead(err)
	}
	return nil
}

// spool writes a backup to a file that only this process can read and that is
// gone when it is closed, even by a crash.
func (s *server) spool(ctx context.Context) (f *os.File, size int64, err error) {
	if err := s.checkSpace(ctx); err != nil {
		return nil, 0, err
	}
	if f, err = unnamedFile(s.TempDir); err != nil {
		return nil, 0, store.Errorf(store.Unavailable, "make room for a backup: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if size, err = s.Store.Backup(ctx, f); err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, store.Errorf(store.Internal, "read the backup: %w", err)
	}
	if fi.Size() != size {
		return nil, 0, store.Errorf(store.Internal, "the backup has %d bytes, %d were announced", fi.Size(), size)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, 0, store.Errorf(store.Internal, "read the backup: %w", err)
	}
	return f, size, nil
}

// unnamedFile returns a file in dir that has no name. Where the file system cannot
// make one, it has a name for an instant.
func unnamedFile(dir string) (*os.File, error) {
	if fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600); err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(dir, "backup.tmp")), nil // the name is for messages
	}
	f, err := os.CreateTemp(dir, "backup-*.tmp") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkSpace refuses a backup that would fill the disk.
func (s *server) checkSpace(ctx context.Context) error {
	stats, err := s.Store.Stats(ctx, time.Now())
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(s.TempDir, &fs); err != nil {
		return store.Errorf(store.Unavailable, "make room for a backup: %w", &os.PathError{Op: "statfs", Path: s.TempDir, Err: err})
	}
	free, need := int64(fs.Bavail)*fs.Bsize, stats.Size.Size+spareSpace
	if free < need {
		return store.Errorf(store.Unavailable, "a backup needs %d bytes of temporary space in %q, %d are free", need, s.TempDir, free)
	}
	return nil
}
