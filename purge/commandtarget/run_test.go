package commandtarget_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/store"
)

type change = func(*commandtarget.Config, *commandtarget.Options)

// descriptors returns those that the test has open.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		if at, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(at, "pipe:") {
			open = append(open, at)
		}
	}
	slices.Sort(open)
	return open
}

func count(ctx context.Context, t *commandtarget.Target) (int64, error) {
	return t.Count(ctx, "acme", store.KindUser)
}

func TestRun_ATimeOutOrTheContextEndsTheWholeGroup(t *testing.T) {
	for name, c := range map[string]struct {
		mode    string
		timeout time.Duration // of the target; else the context ends
		most    time.Duration
	}{
		"time-out":        {"tree", 500 * time.Millisecond, 0},
		"context":         {"tree", 0, 0},
		"SIGTERM is deaf": {"deaf", 0, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			dir, before := t.TempDir(), descriptors(t)
			target := newTarget(t, c.mode, dir, func(cfg *commandtarget.Config, _ *commandtarget.Options) {
				cfg.Timeout, cfg.KillAfter = c.timeout, 300*time.Millisecond
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			result := make(chan error, 1)
			go func() { _, err := count(ctx, target); result <- err }()
			if c.timeout == 0 {
				until(t, "the three processes run", func() bool { return len(pidsIn(dir)) == 3 })
				cancel(nil)
			}
			err := <-result
			if want := context.Canceled; c.timeout == 0 && !errors.Is(err, want) || c.timeout != 0 && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if left := alive(pidsIn(dir)); len(left) > 0 {
				t.Errorf("%d of %d processes are left", len(left), len(pidsIn(dir)))
			}
			if after := descriptors(t); !slices.Equal(before, after) {
				t.Errorf("pipes before: %q, after: %q", before, after)
			}
		})
	}
}

func TestRun_SIGTERMComesFirst(t *testing.T) {
	dir := t.TempDir()
	target := newTarget(t, "polite", dir, func(c *commandtarget.Config, _ *commandtarget.Options) { c.KillAfter = 4 * time.Second })
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { _, err := count(ctx, target); result <- err }()
	until(t, "the program runs", func() bool { return len(pidsIn(dir)) == 1 })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("an answer that came too late is %v, want a lost one", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "goodbye")); err != nil {
		t.Errorf("the program could not take its leave: %v", err)
	}
}

func TestRun_WhatTheProgramLeavesBehindIsEndedAndDoesNotHoldUpTheAnswer(t *testing.T) {
	dir := t.TempDir()
	target := newTarget(t, "tree", dir, func(c *commandtarget.Config, _ *commandtarget.Options) { c.Env["LEAVE"] = "1" })
	began := time.Now()
	n, err := count(t.Context(), target)
	if n != 7 || err != nil || time.Since(began) > 20*time.Second {
		t.Errorf("Count = %d, %v after %s", n, err, time.Since(began))
	}
	until(t, "the others are gone", func() bool { return len(alive(pidsIn(dir))) == 0 })
}

// A process that leaves the group is out of reach; the call is not.
func TestRun_AProcessThatLeftTheGroupDoesNotHoldTheCall(t *testing.T) {
	dir, before := t.TempDir(), descriptors(t)
	target := shell(t, `setsid sh -c 'echo $$ >"$0"; exec sleep 60' `+filepath.Join(dir, "pid")+` & while ! [ -s `+filepath.Join(dir, "pid")+` ]; do :; done; echo '{"version":1,"count":7}'`,
		func(c *commandtarget.Config, _ *commandtarget.Options) { c.KillAfter = 200 * time.Millisecond })
	began := time.Now()
	_, err := count(t.Context(), target)
	if store.CodeOf(err) != store.Internal || !strings.Contains(err.Error(), "left its group") || time.Since(began) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	if after := descriptors(t); !slices.Equal(before, after) {
		t.Errorf("pipes before: %q, after: %q", before, after)
	}
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(pid, unix.SIGKILL)
}

func TestRun_G5_ItDiesWithTheDaemon(t *testing.T) {
	dir := t.TempDir()
	daemon := exec.Command("/proc/self/exe")
	daemon.Env = []string{modeVariable + "=daemon", "DIR=" + dir, "GORACE=atexit_sleep_ms=0"}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.Wait() }()
	until(t, "the program runs", func() bool { return len(pidsIn(dir)) == 1 })
	if len(alive(pidsIn(dir))) != 1 {
		t.Fatal("the program is not alive")
	}
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the program is gone", func() bool { return len(alive(pidsIn(dir))) == 0 })
}

func TestRun_TooMuchOutputEndsTheProgram(t *testing.T) {
	dir := t.TempDir()
	_, err := count(t.Context(), newTarget(t, "flood", dir, func(c *commandtarget.Config, _ *commandtarget.Options) { c.MaxOutput = 10_000 }))
	if store.CodeOf(err) != store.Internal || !strings.Contains(err.Error(), "more than 10000 bytes") {
		t.Errorf("got %v", err)
	}
	if left := alive(pidsIn(dir)); len(left) > 0 {
		t.Error("the program is left")
	}
	// At the limit, and one byte beyond it.
	for pad, ok := range map[int]bool{256: true, 257: false} {
		target := shell(t, fmt.Sprintf(`printf '%%%ds' '{"version":1,"count":3}'`, pad), func(c *commandtarget.Config, _ *commandtarget.Options) { c.MaxOutput = 256 })
		if n, err := count(t.Context(), target); (err == nil) != ok || ok && n != 3 {
			t.Errorf("%d bytes with a limit of 256: %d, %v", pad, n, err)
		}
	}
}

func TestRun_StandardErrorGoesToTheLogEscapedAndBounded(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	long := strings.Repeat("y", 1500)
	script := `printf 'one\ntwo \033[31mred\033[0m \302\205 \342\200\256 <0>x\r\n\n%s\nlast' ` + long + ` >&2; echo '{"version":1,"count":1}'`
	target := shell(t, script, func(_ *commandtarget.Config, o *commandtarget.Options) { o.Logger = zap.New(core) })
	if _, err := count(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range logs.FilterMessage("the program of a target says").All() {
		f := l.ContextMap()
		if f["target"] != "files" || f["operation"] != "count" || f["tenant"] != "acme" || f["kind"] != "user" {
			t.Errorf("fields %v", f)
		}
		got = append(got, fmt.Sprint(f["line"]))
	}
	want := []string{"one", `two \x1b[31mred\x1b[0m \u0085 \u202e <0>x\r`, long[:1024] + "...", "last"}
	if !slices.Equal(got, want) {
		t.Errorf("log lines %q, want %q", got, want)
	}
	if l := logs.FilterMessage("the program of a target says more than is logged").All(); len(l) != 1 || l[0].ContextMap()["bytesLeftOut"] != int64(1500-1024) {
		t.Errorf("what was left out: %v", l)
	}
	// All of a run together is bounded, and a program that says much is not ended.
	logs.TakeAll()
	target = shell(t, `i=0; while [ $i -lt 2000 ]; do echo 0123456789 >&2; i=$((i+1)); done; echo '{"version":1,"count":1}'`,
		func(c *commandtarget.Config, o *commandtarget.Options) { c.MaxLog, o.Logger = 300, zap.New(core) })
	if _, err := count(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	if n := logs.FilterMessage("the program of a target says").Len(); n != 30 {
		t.Errorf("%d lines, want 30 of 10 bytes", n)
	}
	if l := logs.FilterMessage("the program of a target says more than is logged").All(); len(l) != 1 || l[0].ContextMap()["bytesLeftOut"] != int64(20_000-300) {
		t.Errorf("what was left out: %v", l)
	}
}

// answering returns a target whose program shows what it got.
func answering(t *testing.T, script string, c ...change) string {
	t.Helper()
	target := shell(t, `text=$(`+script+`); printf '{"version":1,"error":"%s"}' "$(printf %s "$text" | tr '\n"\\' '|~!')"; exit 75`, c...)
	_, err := count(t.Context(), target)
	_, text, ok := strings.Cut(fmt.Sprint(err), "(exit code 75): ")
	if !ok {
		t.Fatalf("got %v", err)
	}
	return text
}

func TestRun_TheProgramGetsWhatIsConfiguredAndNothingElse(t *testing.T) {
	t.Setenv("SECRET_OF_THE_DAEMON", "hunter2")
	if got := answering(t, "/usr/bin/env -0 | /usr/bin/tr '\\0' '\\n' | /usr/bin/sort", func(c *commandtarget.Config, _ *commandtarget.Options) {
		c.Env = map[string]string{"A": "1 2", "B": "$HOME"}
		c.Args = append(c.Args, "zero", "; touch /tmp/x", "$(id)", "*")
	}); got != "A=1 2|B=$HOME|PWD=/|" && got != "A=1 2|B=$HOME|PWD=/" { // dash sets PWD
		t.Errorf("environment %q", got)
	}
	if got := answering(t, `printf '%s\n' "$0" "$@"; pwd`, func(c *commandtarget.Config, _ *commandtarget.Options) {
		c.Args = append(c.Args, "zero", "; touch /tmp/x", "$(id)", "*")
		c.Dir = "/usr"
	}); got != "zero|; touch /tmp/x|$(id)|*|/usr" {
		t.Errorf("arguments and directory are %q", got)
	}
	open, err := os.Create(filepath.Join(t.TempDir(), "open-in-the-daemon"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if got := answering(t, "ls -l /proc/self/fd"); strings.Contains(got, "open-in-the-daemon") || !strings.Contains(got, "pipe:") {
		t.Errorf("descriptors %q", got)
	}
	// The id and the rest are on standard input, and nowhere else.
	target := shell(t, `read -r line; printf '{"version":1,"error":"%s"}' "$(printf %s "$line" | tr '"\\' '~!')"; exit 75`)
	_, err = target.Purge(t.Context(), purge.Request{TenantID: "a';--\"<\u202e%_", Kind: store.KindAPIKey, Limit: 12, Resumed: true})
	want := `{~version~:1,~operation~:~purge~,~target~:~files~,~tenantId~:~a';--!~!u003c\u202e%_~,~kind~:~apiKey~,~limit~:12,~resumed~:true}`
	if !strings.HasSuffix(fmt.Sprint(err), want) {
		t.Errorf("the program read %v, want %s", err, want)
	}
	if _, err := target.Count(t.Context(), "a\xff", store.KindUser); store.CodeOf(err) != store.Invalid {
		t.Errorf("an id that JSON cannot carry: %v", err)
	}
}

func TestRun_LimitsAreInForceBeforeTheProgramBegins(t *testing.T) {
	got := answering(t, "ulimit -t; ulimit -v; ulimit -n; ulimit -f; grep 'Max processes' /proc/self/limits | tr -s ' '", func(c *commandtarget.Config, _ *commandtarget.Options) {
		c.Limits = commandtarget.Limits{CPU: 7 * time.Second, Memory: 256 << 20, Files: 33, Processes: 44, FileSize: 1 << 20}
	})
	if want := "7|262144|33|2048|Max processes 44 44 processes"; !strings.HasPrefix(got, want) {
		t.Errorf("limits are %q, want %q", got, want)
	}
	// One that runs into a limit is a failure like any other.
	target := shell(t, `while :; do :; done`, func(c *commandtarget.Config, _ *commandtarget.Options) { c.Limits.CPU = time.Second })
	if _, err := count(t.Context(), target); store.CodeOf(err) != store.Internal || !strings.Contains(err.Error(), "a signal ended it") {
		t.Errorf("CPU time is spent: %v", err)
	}
}

func TestRun_AnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("this test needs root")
		}
		t.Skip("this test needs root")
	}
	as := func(user, group string) change {
		return func(c *commandtarget.Config, _ *commandtarget.Options) { c.User, c.Group = user, group }
	}
	who := "echo $(id -un):$(id -gn):$(id -Gn)"
	if got := answering(t, who, as("nobody", "")); got != "nobody:nogroup:nogroup" {
		t.Errorf("as nobody it is %q", got)
	}
	if got := answering(t, who, as("nobody", "daemon")); got != "nobody:daemon:daemon" {
		t.Errorf("as nobody in daemon it is %q", got)
	}
	for _, c := range []change{as("nobody-at-all", ""), as("nobody", "no-such-group")} {
		cfg := config("x", "/bin/true", nil)
		c(&cfg, nil)
		if _, err := commandtarget.New(cfg, commandtarget.Options{}); store.CodeOf(err) != store.Invalid {
			t.Errorf("New as %s:%s: %v", cfg.User, cfg.Group, err)
		}
	}

	// A daemon that is not root says so, but for its own user.
	dir := t.TempDir()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path, err := os.MkdirTemp("/tmp", "commandtarget")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	if err := errors.Join(os.WriteFile(filepath.Join(path, "self"), self, 0o755), os.Chmod(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"root": "only a daemon that runs as root", "nobody": "<nil>"} {
		cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", filepath.Join(path, "self"))
		cmd.Env = []string{modeVariable + "=new", "DIR=" + dir, "AS=" + user}
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("New as %s by nobody: %s, %v; want %q", user, out, err, want)
		}
	}
}
