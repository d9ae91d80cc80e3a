package boltstore_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
	"github.com/tenantpurge/purger/store/storetest"
)

// The whole contract of package store, on a file.
func TestConformance(t *testing.T) {
	storetest.Run(t, harness(boltstore.Options{}))
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
