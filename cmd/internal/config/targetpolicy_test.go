package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTarget_APolicyBeginsWithThatOfItsType: also one that is set in part, and
// wherever type stands.
func TestTarget_APolicyBeginsWithThatOfItsType(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purger.yaml")
	const text = `targets:
- {name: a, type: postgres, dsn: "${file:/a}", kinds: {user: {table: users, tenant: id}}}
- {name: b, policy: {timeout: 40s}, type: postgres, dsn: "${file:/b}", kinds: {user: {table: users, tenant: id}}}
- {name: c, type: command, command: /bin/true, kinds: [user], policy: {timeout: 5s}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		concurrency int
		timeout     time.Duration
	}{{256, 30 * time.Second}, {256, 40 * time.Second}, {8, 5 * time.Second}} {
		if p := c.Targets[i].Policy; p.Concurrency != want.concurrency || p.Timeout != want.timeout {
			t.Errorf("the policy of %s is %+v, want %+v", c.Targets[i].Name, p, want)
		}
	}
}
