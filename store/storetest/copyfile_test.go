package storetest_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tenantpurge/purger/store/storetest"
)

func TestCopyFile_KeepsEveryByteAndTheHoles(t *testing.T) {
	const size = 16 << 20
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{0, 3 << 20, 3<<20 + 4096, 9<<20 + 17} {
		if _, err := f.WriteAt(bytes.Repeat([]byte{'x'}, 5000), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil { // it ends in a hole
		t.Fatal(err)
	}
	storetest.CopyFile(t, from, to)
	want, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if err != nil || len(got) != size || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, the same: %t, %v", len(got), bytes.Equal(got, want), err)
	}
	var was, is syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Stat(to, &is); err != nil {
		t.Fatal(err)
	}
	if is.Blocks > was.Blocks {
		t.Errorf("the copy takes %d blocks on the disk, and the original %d", is.Blocks, was.Blocks)
	}
}
