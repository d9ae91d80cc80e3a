package commandtarget_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/store"
)

func TestTarget_ExitCodesSayHowItWent(t *testing.T) {
	for _, c := range []struct {
		script  string
		code    store.Code
		deleted int64
		text    string
	}{
		{`echo '{"version":1,"deleted":2,"more":false}'`, "", 2, ""},
		{`exit 0`, store.Internal, 0, "want a JSON object"},
		{`echo '<html>'`, store.Internal, 0, "want a JSON object"},
		{`exit 75`, store.Unavailable, 0, "asks to try again later (exit code 75)"},
		{`exit 77`, store.Forbidden, 0, "was forbidden (exit code 77)"},
		{`exit 1`, store.Internal, 0, "failed (exit code 1)"},
		{`kill -SEGV $$`, store.Internal, 0, "a signal ended it"},
		{`echo '{"version":1,"deleted":2,"error":"it is \u001b[1mlocked"}'; exit 75`, store.Unavailable, 2, `it is \x1b[1mlocked`},
		{`echo '{"version":1,"deleted":2}'; exit 77`, store.Forbidden, 2, "was forbidden"},
		{`echo '{"version":1,"deleted":2,"error":"no"}'; exit 3`, store.Internal, 2, "failed (exit code 3): no"},
		// With an answer that nobody understands it is not known what was done.
		{`echo 'deleted 2'; exit 75`, store.Internal, 0, "want a JSON object"},
		{`echo '{"version":1,"deleted":-2}'; exit 77`, store.Internal, 0, "-2"},
	} {
		did, err := shell(t, c.script).Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 5})
		if store.CodeOf(err) != c.code || did.Deleted != c.deleted || err != nil && !strings.Contains(err.Error(), c.text) || purge.IsPermanent(err) {
			t.Errorf("%s: %+v, %v (%s); want %d and %q with %q", c.script, did, err, store.CodeOf(err), c.deleted, c.code, c.text)
		}
	}
	if did, err := shell(t, `echo '{"version":1,"deleted":2,"more":true,"inexact":true}'`).Purge(t.Context(), purge.Request{TenantID: "a", Kind: store.KindUser, Limit: 5}); err != nil ||
		did != (purge.Removed{Deleted: 2, More: true, Inexact: true}) {
		t.Errorf("%+v, %v", did, err)
	}
}

func TestTarget_RetryAfter(t *testing.T) {
	for script, want := range map[string]time.Duration{
		`echo '{"version":1,"retryAfterSeconds":90}'; exit 75`:                  90 * time.Second,
		`echo '{"version":1,"retryAfterSeconds":9223372036854775807}'; exit 75`: 7 * 24 * time.Hour,
		`echo '{"version":1,"retryAfterSeconds":90}'; exit 1`:                   0,
		`exit 75`: 0,
	} {
		_, err := count(t.Context(), shell(t, script))
		var asked purge.RetryAfter
		got := time.Duration(0)
		if errors.As(err, &asked) {
			got = asked.RetryAfter()
		}
		if err == nil || got != want {
			t.Errorf("%s: %v asks for %s, want %s", script, err, got, want)
		}
		if want > 0 && store.CodeOf(err) != store.Unavailable {
			t.Errorf("%s: the code is %s", script, store.CodeOf(err))
		}
	}
}

func TestTarget_AProgramThatIsGoneIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := newTarget(t, "", "", func(c *commandtarget.Config, _ *commandtarget.Options) { c.Command = path })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 5})
	if store.CodeOf(err) != store.Unavailable || did != (purge.Removed{}) {
		t.Errorf("%+v, %v", did, err)
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	type cfg = commandtarget.Config
	for want, change := range map[string]func(*cfg){
		"name":                    func(c *cfg) { c.Name = "a b" },
		"kinds":                   func(c *cfg) { c.Kinds = nil },
		"kinds: unknown":          func(c *cfg) { c.Kinds = []string{"users"} },
		"kinds: twice":            func(c *cfg) { c.Kinds = []string{"user", "user"} },
		"command":                 func(c *cfg) { c.Command = "" },
		"command: relative":       func(c *cfg) { c.Command = "true" },
		"command: detour":         func(c *cfg) { c.Command = "/bin/../bin/true" },
		"command: missing":        func(c *cfg) { c.Command = "/bin/no-such-program" },
		"command: not executable": func(c *cfg) { c.Command = plain },
		"command: a directory":    func(c *cfg) { c.Command = "/bin" },
		"command: a shell line":   func(c *cfg) { c.Command = "/bin/true; id" },
		"args":                    func(c *cfg) { c.Args = []string{"a\x00b"} },
		"env":                     func(c *cfg) { c.Env = map[string]string{"A=B": "x"} },
		"env: no name":            func(c *cfg) { c.Env = map[string]string{"": "x"} },
		"env.TOKEN":               func(c *cfg) { c.Env = map[string]string{"TOKEN": "s3cret\x00"} },
		"dir: relative":           func(c *cfg) { c.Dir = "tmp" },
		"dir: missing":            func(c *cfg) { c.Dir = "/no-such-directory" },
		"dir: a file":             func(c *cfg) { c.Dir = plain },
		"timeout":                 func(c *cfg) { c.Timeout = time.Millisecond },
		"timeout: negative":       func(c *cfg) { c.Timeout = -time.Second },
		"killAfter":               func(c *cfg) { c.KillAfter = 5 * time.Second },
		"maxOutput":               func(c *cfg) { c.MaxOutput = -1 },
		"maxLog":                  func(c *cfg) { c.MaxLog = -1 },
		"limits.cpu":              func(c *cfg) { c.Limits.CPU = time.Second / 2 },
		"limits.memory":           func(c *cfg) { c.Limits.Memory = -1 },
		"limits.files":            func(c *cfg) { c.Limits.Files = 2 },
		"limits.processes":        func(c *cfg) { c.Limits.Processes = -1 },
		"limits.fileSize":         func(c *cfg) { c.Limits.FileSize = -1 },
		"group":                   func(c *cfg) { c.Group = "daemon" },
	} {
		c := config("files", "/bin/true", nil)
		change(&c)
		_, err := commandtarget.New(c, commandtarget.Options{})
		field, _, _ := strings.Cut(want, ":")
		var e *store.Error
		if !errors.As(err, &e) || e.Code != store.Invalid || e.Field != field {
			t.Errorf("%s: %v, want Invalid at %s", want, err, field)
		}
		if strings.Contains(fmt.Sprint(err), "s3cret") {
			t.Errorf("%s: a secret is in %v", want, err)
		}
	}
}

func TestDiagnose_NamesWhoCouldReplaceTheProgramAndAFailedCheck(t *testing.T) {
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "program")
	write := func(script string, mode os.FileMode) {
		if err := errors.Join(os.WriteFile(path, []byte("#!/bin/sh\n"+script), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	diagnose := func() map[string]purge.Severity {
		t.Helper()
		target := newTarget(t, "", "", func(c *commandtarget.Config, _ *commandtarget.Options) { c.Command = path })
		list, err := target.Diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]purge.Severity{}
		for i, f := range list {
			if f.Text == "it runs as root" {
				if os.Geteuid() != 0 {
					t.Error("it does not run as root")
				}
				continue
			}
			if i > 0 && f.Severity == purge.SeverityError {
				t.Error("the worst is not the first")
			}
			if f.Fix == "" {
				t.Errorf("no remedy for %+v", f)
			}
			found[f.Subject] = f.Severity
		}
		return found
	}
	write(`echo '{"version":1}'`, 0o755)
	if got := diagnose(); len(got) != 0 {
		t.Errorf("nothing is wrong, and there is %v", got)
	}
	write(`exit 77`, 0o755)
	if got := diagnose(); len(got) != 1 || got[path] != purge.SeverityError {
		t.Errorf("its check fails, and there is %v", got)
	}
	write(`echo '{"version":1}'`, 0o775)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := diagnose(); len(got) != 2 || got[path] != purge.SeverityWarning || got[dir] != purge.SeverityWarning {
		t.Errorf("the program and its folder are open to all, and there is %v", got)
	}
}
