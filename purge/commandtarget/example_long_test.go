//go:build long

package commandtarget_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// The example passes too, so that who copies it begins with something sound.
func TestExample_Conformance(t *testing.T) {
	script := example(t)
	targettest.Run(t, targettest.Harness{Many: 60, New: func(t *testing.T) targettest.System {
		root := filepath.Join(t.TempDir(), "root")
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
		target := newTarget(t, "", "", func(c *commandtarget.Config, _ *commandtarget.Options) {
			c.Command, c.Kinds = script, []string{"credential", "user"}
			c.Env = map[string]string{"FILES_ROOT": root, "PATH": "/usr/bin:/bin"}
		})
		return inFiles(target,
			func(tenant string, kind store.Kind) string {
				return filepath.Join(root, "tenant-"+escapeURI(tenant), string(kind))
			},
			func() { // as a disk that is not mounted
				if err := os.Rename(root, root+".away"); err != nil {
					t.Fatal(err)
				}
			})
	}})
}
