package boltstore_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
	"github.com/tenantpurge/purger/store/storetest"
)

// The whole contract of package store, on a file. With the build tag long there are
// more histories, and the cases that take long.
func TestConformance(t *testing.T) {
	histories(t, 30)
	storetest.Run(t, harness(boltstore.Options{}))
}

// histories is how many random ones the suite takes, unless -rapid.checks says it.
func histories(t *testing.T, n int) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := f.Value.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
}

func harness(opt boltstore.Options) storetest.Harness {
	return storetest.Harness{
		Open: func(t testing.TB, dir string) store.Store {
			t.Helper()
			opt := opt
			opt.Dir = dir
			// The store may be opened for the check after the end of a case.
			s, err := boltstore.Open(context.WithoutCancel(t.Context()), opt)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			return s
		},
		Restore: func(t testing.TB, dir string, backup []byte) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "purger.db"), backup, 0o600); err != nil {
				t.Fatalf("write the backup: %v", err)
			}
		},
	}
}
