package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// The daemon's own user has to read what a daemon that root started has noted.
func TestRemember_WhatRootNotesBelongsToTheOwnerOfTheDirectory(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	if err := rememberConfig(dir, "/etc/purger/purger.yaml"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, rememberedName))
	if err != nil {
		t.Fatal(err)
	}
	if of := info.Sys().(*syscall.Stat_t); of.Uid != 12345 || of.Gid != 23456 {
		t.Errorf("the note belongs to %d:%d, want 12345:23456", of.Uid, of.Gid)
	}
}

// An operator is in the group, and reaches the daemon but not the store.
func TestRemember_AnOperatorLearnsThatTheDaemonIsDown(t *testing.T) {
	if dir := os.Getenv("PURGER_TEST_OPERATE"); dir != "" {
		_, err := remembered(config.Config{DataDir: dir})
		const want = "no daemon answers in DIR, and without one the store can be used by its owner alone; " +
			"start the daemon, or use sudo -u root purger --data-dir DIR: "
		if err == nil || !strings.HasPrefix(err.Error(), strings.ReplaceAll(want, "DIR", dir)) {
			t.Errorf("got %v", err)
		}
		return
	}
	asRoot(t)
	dir, err := os.MkdirTemp("", "purger-test-*") // others may go there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := rememberConfig(dir, "/etc/purger/purger.yaml"); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	self = filepath.Join(dir, "test")
	if err := os.WriteFile(self, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "PURGER_TEST_OPERATE="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// asRoot skips a test that has to give files away.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("needs root")
	}
	t.Skip("needs root, to give files to another user")
}
