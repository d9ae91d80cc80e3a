package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// GiveToOwner gives a file that root has made to the owner and group of its
// directory: the daemon there would be shut out of what root leaves behind. The
// file must have been made by this process, under a name that nobody else knew.
// For any other user it does nothing.
func GiveToOwner(f *os.File) error {
	dir, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	of, ok := dir.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || of.Uid == 0 {
		return nil
	}
	return f.Chown(int(of.Uid), int(of.Gid))
}

// keepOwner gives a file the owner, group and mode of the one that it will
// replace. A group that may do nothing with the file need not be kept: who may
// not give a file away could otherwise never replace it.
func keepOwner(f *os.File, old os.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	was, ok2 := old.Sys().(*syscall.Stat_t)
	if !ok || !ok2 {
		return errors.New("the owner of the store's file is not known")
	}
	if is.Uid != was.Uid || is.Gid != was.Gid && (os.Geteuid() == 0 || old.Mode()&0o070 != 0) {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return fmt.Errorf("the new file cannot be given to %s, who owns the store, and the old one is kept: %w", userText(was.Uid), err)
		}
	}
	if info.Mode().Perm() == old.Mode().Perm() {
		return nil
	}
	return f.Chmod(old.Mode().Perm())
}

// whose says, of an error about rights, who owns what it names and who was
// refused; of any other error it says nothing.
func whose(err error) string {
	var at *fs.PathError
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &at) {
		return ""
	}
	for path := at.Path; ; path = filepath.Dir(path) {
		if info, err := os.Lstat(path); err == nil {
			if of, ok := info.Sys().(*syscall.Stat_t); ok {
				return fmt.Sprintf(" (%s belongs to %s, and this is %s)", path, userText(of.Uid), userText(uint32(os.Geteuid())))
			}
		}
		if path == filepath.Dir(path) {
			return ""
		}
	}
}

// userText names a user for a person.
func userText(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(id)
	if err != nil {
		return "user " + id
	}
	return u.Username
}
