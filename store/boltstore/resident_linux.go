package boltstore

import (
	"os"
	"unsafe"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// resident reports whether all of the file that is in use is in memory. It looks
// at most pages; if there are more it says no. A page takes some 10 ns.
func resident(tx *bolt.Tx, most int) bool {
	size := int(tx.Size())
	pages := (size + os.Getpagesize() - 1) / os.Getpagesize()
	if pages == 0 || pages > most {
		return false
	}
	in := make([]byte, pages)
	// The map stays while the transaction is open.
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, tx.DB().Info().Data, uintptr(size), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		return false
	}
	for _, b := range in {
		if b&1 == 0 {
			return false
		}
	}
	return true
}
