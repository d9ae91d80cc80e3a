package postgrestest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/store"
)

// patience bounds every wait: long enough for a busy machine.
const patience = 2 * time.Minute

// statementTimeout is that of target and source.
const statementTimeout = 4 * time.Second

// world is a PostgreSQL with the example's platform, and a purger for it.
type world struct {
	t      *testing.T
	pg     *pgtest.Server
	db     string
	binary string
	config string
	data   string
	daemon *exec.Cmd
	exited chan struct{} // closed when daemon has ended
	log    *bytes.Buffer // of the daemon; read only when it has ended
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, pg: pgtest.Start(t), binary: build(t)}
	w.db = w.pg.Database(t)
	for _, name := range []string{"schema.sql", "data.sql"} {
		w.pg.Exec(t, w.db, read(t, filepath.Join("../../../deploy/example/postgres", name)))
	}
	dir := t.TempDir()
	w.data, w.config = filepath.Join(dir, "data"), filepath.Join(dir, "purger.yaml")
	dsn := w.pg.DSNAs("purger", w.db)
	cfg := strings.NewReplacer("$DATA", w.data, `purge: {schedule: "@every 1h"}`, "", "every: 1m", fmt.Sprintf("every: 1h\n  maxChange: 1\n  timeout: %s\n  snapshotTimeout: %[1]s", statementTimeout),
		"app\n    type: postgres\n    dsn: $DSN", "app\n    type: postgres\n    dsn: "+dsn+"&application_name=purger-target", "$DSN", dsn).
		Replace(read(t, "../../../deploy/example/postgres/purger.yaml"))
	// Small steps, so that a kill falls between them; no waits beyond the faults'.
	cfg += fmt.Sprintf(`    ledger: purger_ledger
    policy: {retries: 0, breakerFailures: 0, backoffInitial: 10ms, backoffMax: 10ms, timeout: 5s}
    statementTimeout: %s
purge:
  schedule: "0 0 1 1 *"
  attempts: 1000
  backoff: {initial: 1s, max: 1s}
limits: {perPass: 0, perDayShare: 0, batch: 10}
`, statementTimeout)
	if err := os.WriteFile(w.config, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.kill() })
	return w
}

// build builds the daemon as it is delivered.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "purger")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/tenantpurge/purger/cmd/purger")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// serve starts the daemon, unless it runs, and waits until it answers.
func (w *world) serve() {
	w.t.Helper()
	if w.daemon != nil {
		select {
		case <-w.exited:
		default:
			return
		}
	}
	w.log = &bytes.Buffer{}
	w.daemon = exec.Command(w.binary, "serve", "--config", w.config, "--web.listen-address", "127.0.0.1:0")
	w.daemon.Stderr = w.log
	w.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.daemon.Start(); err != nil {
		w.t.Fatal(err)
	}
	cmd, exited := w.daemon, make(chan struct{})
	w.exited = exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // the code is in ProcessState
	}()
	w.eventually("the daemon answers", func() error {
		select {
		case <-exited:
			w.t.Fatalf("the daemon has ended:\n%s", w.log)
		default:
		}
		_, err := w.status()
		return err
	})
}

// kill ends the daemon at once.
func (w *world) kill() {
	if w.daemon == nil {
		return
	}
	_ = w.daemon.Process.Kill() // it may have ended
	<-w.exited
	w.daemon = nil
}

func (w *world) status() (client.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, filepath.Join(w.data, client.SocketName))
	if err != nil {
		return client.Status{}, err
	}
	defer func() { _ = c.Close() }() // nothing is left to be told
	return c.Status(ctx)
}

// purger runs a command and returns what it printed.
func (w *world) purger(args ...string) (string, error) {
	cmd := exec.Command(w.binary, append([]string{"--config", w.config}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("purger %s: %w: %s%s", strings.Join(args, " "), err, out, errs.Bytes())
	}
	return string(out), err
}

// eventually waits until f returns nil.
func (w *world) eventually(what string, f func() error) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// settle syncs and runs passes until nothing is due or under way.
func (w *world) settle() {
	w.t.Helper()
	w.eventually("everything due is purged", func() error {
		if !w.pg.Running() {
			if err := w.pg.Start(); err != nil {
				return err
			}
		}
		w.serve()
		if _, err := w.purger("source", "sync"); err != nil {
			return err
		}
		_, failed := w.purger("run")
		st, err := w.status()
		switch {
		case err != nil:
			return err
		case st.Stats.Due == 0 && st.Stats.Blocked[store.BlockSourceDown] == 0 && st.Stats.Tenants["purging"] == 0 && st.Stats.Tenants["failed"] == 0:
			return nil
		case failed != nil:
			return failed
		}
		return errors.New("something is left")
	})
}

// receipt returns the receipt of a tenant.
func (w *world) receipt(id string) (r struct {
	Tenants     []string `json:"tenants"`
	CountsExact bool     `json:"countsExact"`
	Deleted     struct {
		Users        int64 `json:"users"`
		Credentials  int64 `json:"credentials"`
		APIKeys      int64 `json:"apiKeys"`
		OAuthClients int64 `json:"oauthClients"`
	} `json:"deleted"`
}) {
	w.t.Helper()
	out, err := w.purger("receipt", id, "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &r)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}
