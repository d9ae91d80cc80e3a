package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/store/boltstore"
)

// A reload may read a file on a mount that is dead, and that cannot be given up.
func TestLoop_AReloadThatHangsDoesNotHoldUpTheEnd(t *testing.T) {
	st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	// What begins a reload finds another one that does not end.
	d := &daemon{app: &app{signals: &signals{reload: make(chan os.Signal, 1)}}, logger: zap.NewNop(), store: st}
	d.reloading.Lock()
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.loop(ctx) }()
	d.app.signals.reload <- syscall.SIGHUP
	if !eventually(func() bool { return len(d.app.signals.reload) == 0 }) {
		t.Fatal("nobody has taken the signal")
	}
	stop(errors.New("terminated"))
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the daemon waits for a reload that hangs")
	}
	d.reloading.Unlock()
	// A reload that comes to its turn after that changes nothing.
	if err := d.reload(ctx); err == nil || err.Error() != "terminated" {
		t.Errorf("reload after the end: %v", err)
	}
}

// What a target was made with goes on until a restart: a time-out of a policy that does
// not go with that would let no call succeed, whatever the file says of both.
func TestReload_G11_APolicyHasToGoWithTheOptionsInForce(t *testing.T) {
	text := func(statement, timeout string) string {
		return `targets:
  - name: crm
    type: postgres
    dsn: postgres://db/crm?sslmode=verify-full` + statement + `
    policy: {timeout: ` + timeout + `}
    kinds: {user: {table: users, tenant: tenant_id, key: [id]}}
`
	}
	for _, c := range []struct {
		name                string
		began, then, policy string // statementTimeout at the start and in the file by now
		want                string
	}{
		{"both are lowered", "", "\n    statementTimeout: 5s", "10s", "its default"},
		{"both are lowered, from what was set", "\n    statementTimeout: 28s", "\n    statementTimeout: 5s", "10s", "28s"},
		{"the policy is raised", "", "", "40s", ""},
		{"both are raised", "\n    statementTimeout: 5s", "\n    statementTimeout: 35s", "40s", ""},
		{"the policy is lowered to what goes with the start", "\n    statementTimeout: 5s", "\n    statementTimeout: 6s", "10s", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := openExternal(loadText(t, text(c.began, "30s")), externalOptions{logger: zap.NewNop()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = x.Close() }()
			path := filepath.Join(t.TempDir(), "purger.yaml")
			writeText(t, path, text(c.then, c.policy))
			next, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			err = x.check(next, path)
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var found *config.Problems
			if !errors.As(err, &found) || len(found.List) != 1 {
				t.Fatalf("check: %v", err)
			}
			p := found.List[0]
			if p.Field != "targets[0].policy.timeout" || p.Line < 5 || p.Value != c.policy || !strings.Contains(p.Want, c.want) || !strings.Contains(p.Want, "restart") {
				t.Errorf("the problem is %+v", p)
			}
		})
	}
}

// A secret that everybody may read is no error, and is told of.
func TestConfigCheck_WarnsOfSecretsThatOthersMayRead(t *testing.T) {
	dir := t.TempDir()
	path, secret := filepath.Join(dir, "purger.yaml"), filepath.Join(dir, "token")
	writeText(t, path, `targets:
  - {name: b, type: command, kinds: [user], command: /bin/true}
  - name: a
    type: command
    kinds: [user]
    command: /bin/true
    env: {A: "${file:`+secret+`}"}
`)
	writeText(t, secret, "hunter2\n")
	check := func() (int, string) {
		var out, failed bytes.Buffer
		code := run(t.Context(), nil, []string{"config", "check", path}, nil, &out, &failed)
		return code, failed.String()
	}
	if code, said := check(); code != exitOK || said != "" {
		t.Errorf("mode 0600: exit code %d, %q", code, said)
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	want := "warning: " + path + ":3: targets[1] (a): ${file:" + secret + "}: everybody may read it (-rw-r--r--); want mode"
	if code, said := check(); code != exitOK || !strings.HasPrefix(said, want) || strings.Contains(said, "hunter2") {
		t.Errorf("mode 0644: exit code %d, %q; want %q", code, said, want)
	}
	if err := errors.Join(os.Remove(secret), syscall.Mkfifo(secret, 0o600)); err != nil {
		t.Fatal(err)
	}
	if code, said := check(); code != exitConfig || !strings.Contains(said, "targets[1] (a): env.A: ${file:"+secret+"}: it is a directory, a pipe") {
		t.Errorf("a pipe: exit code %d, %q", code, said)
	}
}
