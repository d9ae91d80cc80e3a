package boltstore

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// What passes by itself is not said of the store: who reads that does not try
// again.
func TestOpen_TellsWhatPassesByItselfFromWhatDoesNot(t *testing.T) {
	for no, want := range map[syscall.Errno]store.Code{
		syscall.ENOSPC: store.Unavailable, syscall.EDQUOT: store.Unavailable, syscall.EIO: store.Unavailable,
		syscall.ENOMEM: store.Unavailable, syscall.EMFILE: store.Unavailable, syscall.ENFILE: store.Unavailable,
		syscall.EACCES: store.Precondition, syscall.EPERM: store.Precondition, syscall.EROFS: store.Precondition,
		syscall.ELOOP: store.Precondition, syscall.ENOTDIR: store.Precondition,
	} {
		err := notUsable("open the store", fmt.Errorf("open: %w", &os.PathError{Op: "open", Path: "/data", Err: no}))
		if got := store.CodeOf(err); got != want || !errors.Is(err, no) {
			t.Errorf("%v: %s; want %s", no, got, want)
		}
	}
	if got := store.CodeOf(notUsable("open the store", errors.New("no bbolt"))); got != store.Precondition {
		t.Errorf("a foreign file: %s", got)
	}
}

// The system has no address space for the map: that is no defect of the file.
func TestOpen_WithoutMemoryForTheMapMayWorkLater(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("needs a size that bbolt takes and the system does not")
	}
	f := newFixture(t)
	f.must(f.Close())
	_, err := Open(t.Context(), Options{Dir: f.dir, MmapSize: 1 << 47})
	if store.CodeOf(err) != store.Unavailable || !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("got %v (%s), want unavailable", err, store.CodeOf(err))
	}
	f.open()
}
