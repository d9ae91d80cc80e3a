package commandtarget_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// inFiles returns a system that keeps resources as files in the folders that
// folder names.
func inFiles(target *commandtarget.Target, folder func(tenant string, kind store.Kind) string, damage func()) targettest.System {
	var next atomic.Int64
	return targettest.System{
		Target: target,
		Add: func(tenant string, kind store.Kind, n int) error {
			at := folder(tenant, kind)
			if err := os.MkdirAll(at, 0o700); err != nil {
				return err
			}
			for range n {
				if err := os.WriteFile(filepath.Join(at, fmt.Sprintf("id-%d", next.Add(1))), nil, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Left: func(tenant string, kind store.Kind) (int64, error) {
			list, err := os.ReadDir(folder(tenant, kind))
			if os.IsNotExist(err) {
				err = nil
			}
			return int64(len(list)), err
		},
		Break: damage,
	}
}

func TestTarget_Conformance(t *testing.T) {
	targettest.Run(t, targettest.Harness{New: func(t *testing.T) targettest.System {
		dir := t.TempDir()
		return inFiles(newTarget(t, "files", dir),
			func(tenant string, kind store.Kind) string { return place(dir, tenant, kind) },
			func() {
				if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			})
	}})
}
