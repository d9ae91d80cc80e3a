package commandtarget_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/store"
)

// example returns the path of the example script, which needs bash and jq.
func example(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"bash", "jq"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", name)
			}
			t.Skipf("%s is missing", name)
		}
	}
	path, err := filepath.Abs("../../deploy/targets/command-example.sh")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExample_AsksToComeAgainWhenItCannotSeeOrRemove(t *testing.T) {
	script, root := example(t), t.TempDir()
	withRoot := func(at string) *commandtarget.Target {
		return newTarget(t, "", "", func(c *commandtarget.Config, _ *commandtarget.Options) {
			c.Command, c.Env = script, map[string]string{"FILES_ROOT": at, "PATH": "/usr/bin:/bin"}
		})
	}
	if err := withRoot(root).Check(context.Background()); err != nil {
		t.Errorf("Check: %v", err)
	}
	gone := withRoot(filepath.Join(root, "away"))
	for name, do := range map[string]func() error{
		"check": func() error { return gone.Check(context.Background()) },
		"count": func() error { _, err := gone.Count(context.Background(), "acme", store.KindUser); return err },
		"purge": func() error {
			did, err := gone.Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1})
			if did != (purge.Removed{}) {
				t.Errorf("removed %+v of nothing", did)
			}
			return err
		},
	} {
		if err := do(); store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "is not there") {
			t.Errorf("%s without its root: %v", name, err)
		}
	}
	// Without its environment it does nothing.
	bare := newTarget(t, "", "", func(c *commandtarget.Config, _ *commandtarget.Options) {
		c.Command, c.Env = script, map[string]string{"PATH": "/usr/bin:/bin"}
	})
	if _, err := bare.Count(context.Background(), "acme", store.KindUser); store.CodeOf(err) != store.Internal {
		t.Errorf("without FILES_ROOT: %v", err)
	}
}

func TestExample_CountsAndRemovesInSteps(t *testing.T) {
	script, root := example(t), t.TempDir()
	target := newTarget(t, "", "", func(c *commandtarget.Config, _ *commandtarget.Options) {
		c.Command, c.Env = script, map[string]string{"FILES_ROOT": root, "PATH": "/usr/bin:/bin"}
	})
	// What looks like a way out, or like another tenant, is neither.
	ids := []string{"acme", "acme.", "../acme", "a/../acme", "ac%6De", "-rf", "acme\nx", "$IFS", `"`}
	for i, id := range ids {
		at := filepath.Join(root, "tenant-"+escapeURI(id), "user")
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		for j := range i + 1 {
			if err := os.WriteFile(filepath.Join(at, strings.Repeat("f\n ", j+1)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx := context.Background()
	for i, id := range ids {
		if n, err := target.Count(ctx, id, store.KindUser); err != nil || n != int64(i+1) {
			t.Errorf("Count(%q) = %d, %v; want %d", id, n, err, i+1)
		}
	}
	r := purge.Request{TenantID: `"`, Kind: store.KindUser, Limit: 8}
	for _, want := range []purge.Removed{{Deleted: 8, More: true}, {Deleted: 1}, {}} {
		if did, err := target.Purge(ctx, r); err != nil || did != want {
			t.Errorf("Purge = %+v, %v; want %+v", did, err, want)
		}
	}
	for i, id := range ids[:len(ids)-1] {
		if n, err := target.Count(ctx, id, store.KindUser); err != nil || n != int64(i+1) {
			t.Errorf("then Count(%q) = %d, %v; want %d", id, n, err, i+1)
		}
	}
}

// escapeURI is @uri of jq, but for some punctuation in which its versions differ.
func escapeURI(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
