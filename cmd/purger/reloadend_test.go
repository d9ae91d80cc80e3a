package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/store"
)

// reloadable returns a daemon that can load its configuration again, from a file with
// text in it, and does nothing else. hook is told what it logs.
func reloadable(t *testing.T, text string, hook func(message string)) *daemon {
	t.Helper()
	path := filepath.Join(t.TempDir(), "purger.yaml")
	writeText(t, path, text)
	a := &app{configFile: path, dataDir: t.TempDir(), signals: &signals{reload: make(chan os.Signal, 1)}}
	cfg, err := a.serveConfig(serveFlags{})
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{app: a, failed: make(chan error, 1), level: zap.NewAtomicLevel()}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(t.Output()), d.level)
	d.logger = zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		hook(e.Message)
		return nil
	}))
	d.notify, d.stop = notifier{d.logger}, stopStack{logger: d.logger}
	d.settings.set(cfg)
	for _, step := range []func(context.Context) error{d.openStore, d.buildEngine} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := d.stop.unwind(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// A part that failed ends the daemon as a signal does, whoever asks for a reload.
func TestReload_ADaemonThatEndsForAFailedPartIsNotChanged(t *testing.T) {
	told := listenNotify(t)
	d := reloadable(t, "purge: {schedule: '@every 1h'}\n", func(string) {})
	ctx, end := context.WithCancelCause(t.Context())
	d.failed <- errors.New("serve web: broken")
	if err := d.loop(ctx); err == nil || err.Error() != "serve web: broken" {
		t.Fatalf("loop: %v", err)
	}
	d.ending(end)
	writeText(t, d.app.configFile, "purge: {schedule: '@every 2h'}\n")
	d.app.signals.reload <- syscall.SIGHUP
	d.reloads(ctx) // ends
	if err := d.reload(ctx); store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "the daemon ends") {
		t.Errorf("reload: %v", err)
	}
	if s := d.settings.get().Purge.Schedule; s != "@every 1h" {
		t.Errorf("the schedule is %s", s)
	}
	if got := told(); !slices.Equal(got, []string{"STOPPING=1"}) {
		t.Errorf("told %q", got)
	}
}

// A reload that reads while the daemon begins to end says and changes nothing more.
func TestReload_TheEndComesWhileTheFileIsRead(t *testing.T) {
	told := listenNotify(t)
	d := reloadable(t, "purge: {schedule: '@every 1h'}\n", func(string) {})
	writeText(t, d.app.configFile, "purge: {schedule: '@every 2h'}\n")
	// Another file of a reload is a pipe as long as it is opened once.
	d.flags.webConfig = filepath.Join(t.TempDir(), "web.yaml")
	if err := syscall.Mkfifo(d.flags.webConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.reload(ctx) }()
	var reading *os.File
	if !eventually(func() bool {
		var err error
		reading, err = os.OpenFile(d.flags.webConfig, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil
	}) {
		t.Fatal("nobody reads the file")
	}
	plain := filepath.Join(t.TempDir(), "plain")
	writeText(t, plain, "")
	if err := os.Rename(plain, d.flags.webConfig); err != nil {
		t.Error(err)
	}
	d.ending(end)
	if err := reading.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "the daemon ends") {
		t.Errorf("reload: %v", err)
	}
	if s := d.settings.get().Purge.Schedule; s != "@every 1h" {
		t.Errorf("the schedule is %s", s)
	}
	if got := told(); len(got) != 2 || !strings.HasPrefix(got[0], "RELOADING=1") || got[1] != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
}

// The answer "nothing has changed" is of a reload that changed nothing.
func TestReload_TheEndComesWhenItIsInForce(t *testing.T) {
	ctx, end := context.WithCancelCause(t.Context())
	d := reloadable(t, "purge: {schedule: '@every 1h', drainTimeout: 20s}\n", func(message string) {
		if strings.HasPrefix(message, "these fields have changed") {
			end(errors.New("terminated"))
		}
	})
	writeText(t, d.app.configFile, "purge: {schedule: '@every 2h', drainTimeout: 21s}\n")
	if err := d.reload(ctx); err != nil || ctx.Err() == nil {
		t.Errorf("reload: %v, with the context %v", err, ctx.Err())
	}
	if s := d.settings.get().Purge.Schedule; s != "@every 2h" {
		t.Errorf("the schedule is %s", s)
	}
}

// On a mount that is dead a look at secrets does not end, and cannot be ended.
func TestTellSecrets_OneLookAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{logger: zap.NewNop()}
		dead := make(chan struct{})
		var looked []string
		underWay, most := 0, 0
		tell := func(name string) <-chan struct{} {
			var cfg config.Config
			cfg.DataDir = name
			return d.secrets.look(cfg, func(c config.Config) {
				underWay++
				most = max(most, underWay)
				looked = append(looked, c.DataDir)
				<-dead
				underWay--
			})
		}
		var done []<-chan struct{}
		for _, name := range []string{"first", "second", "third"} {
			done = append(done, tell(name))
			synctest.Wait()
		}
		select {
		case <-done[2]:
			t.Error("one is said to have ended")
		default:
		}
		close(dead)
		for _, c := range done {
			<-c
		}
		<-tell("fourth")
		if most != 1 || !slices.Equal(looked, []string{"first", "third", "fourth"}) {
			t.Errorf("%d at a time; looked at %q, want what is newest when one ends", most, looked)
		}
	})
}

// A reload waits for its look no longer than ten seconds, or until the daemon ends.
func TestTellSecrets_DoesNotWaitForADeadMount(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "token")
	writeText(t, secret, "hunter2\n")
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := loadText(t, "targets: [{name: a, type: command, kinds: [user], command: /bin/true, env: {A: '${file:"+secret+"}'}}]\n")
	synctest.Test(t, func(t *testing.T) {
		dead := make(chan struct{})
		looks, late := 0, 0
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(t.Output()), zapcore.WarnLevel)
		d := &daemon{app: &app{}, external: &external{}, logger: zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
			switch {
			case strings.HasPrefix(e.Message, "a secret can be read"):
				looks++
				<-dead
			case strings.HasPrefix(e.Message, "the secrets could not be read in time"):
				late++
			}
			return nil
		}))}
		began := time.Now()
		for range 3 {
			d.tellSecrets(t.Context(), cfg)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d.tellSecrets(ctx, cfg)
		synctest.Wait()
		if took := time.Since(began); took != 3*secretsBound || late != 3 || looks != 1 {
			t.Errorf("after %s %d looks are under way, and %d times it was told", took, looks, late)
		}
		close(dead)
		d.tellSecrets(t.Context(), cfg)
		synctest.Wait()
		if looks < 2 || late != 3 {
			t.Errorf("%d looks when it can be read again, told %d times", looks, late)
		}
	})
}
