package boltstore

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// asRoot skips a test that has to give files away.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("needs root")
	}
	t.Skip("needs root, to give files to another user")
}

// owner returns the owner, group and mode of a file.
func owner(t *testing.T, path string) [3]uint32 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	of := info.Sys().(*syscall.Stat_t)
	return [3]uint32{of.Uid, of.Gid, of.Mode & 0o7777}
}

// A daemon whose store became root's would not start again.
func TestCompact_KeepsOwnerGroupAndMode(t *testing.T) {
	asRoot(t)
	f := newFixture(t)
	path := filepath.Join(f.dir, FileName)
	f.must(os.Chown(path, 12345, 23456))
	f.must(os.Chmod(path, 0o640))
	_, err := f.Compact(t.Context())
	f.must(err)
	if got, want := owner(t, path), ([3]uint32{12345, 23456, 0o640}); got != want {
		t.Errorf("owner, group and mode are %d, want %d", got, want)
	}
}

func TestOpen_AStoreThatRootMakesBelongsToTheOwnerOfTheDirectory(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := owner(t, filepath.Join(dir, FileName)), ([3]uint32{12345, 23456, 0o600}); got != want {
		t.Errorf("owner, group and mode are %d, want %d", got, want)
	}
}

func TestOpen_SaysWhoseTheStoreIsAndWhoIsRefused(t *testing.T) {
	missing := "/proc/1/no-such-place/" + FileName
	err := notUsable("open the store", &os.PathError{Op: "open", Path: missing, Err: syscall.EACCES})
	want := " (/proc/1 belongs to root, and this is " + userText(uint32(os.Geteuid())) + ")"
	if store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v; want it to say%s", err, want)
	}
}
