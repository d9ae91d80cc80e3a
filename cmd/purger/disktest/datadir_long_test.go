//go:build long

package disktest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// nobody runs purger as a user who owns nothing.
func nobody() []string {
	return []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
}

// A data directory or a store that cannot be used is told with its name and what
// would be right. The daemon ends with 65, by which it is not started again.
func TestDataDirectory_WhatCannotBeUsedIsToldAndNotTriedAgain(t *testing.T) {
	if !private(t, "setpriv") {
		return
	}
	disk := memoryDisk(t, "500m")
	must(t, os.Chmod(disk, 0o755))
	must(t, os.Chmod(filepath.Dir(disk), 0o755)) // nobody has to get there
	binary := filepath.Join(disk, "purger")
	command(t, "cp", os.Getenv(envBinary), binary)
	t.Setenv(envBinary, binary)
	sample := filepath.Join(disk, "sample")
	purger(t, 0, "--data-dir", sample, "tenant", "create", "acme")
	whole, err := os.ReadFile(filepath.Join(sample, "purger.db"))
	must(t, err)

	const writable = `; want a data directory that this user can write to`
	for name, c := range map[string]struct {
		prepare func(dir string) error
		user    []string
		daemon  string // what serve says
		command string // what status says; "": the same
	}{
		"below what cannot be written": {
			func(string) error { return nil }, nobody(),
			`make the data directory: mkdir DIR: permission denied \(\S+ belongs to root, and this is \S+\)` + writable, `there is no store in DIR; want .*`,
		},
		"cannot be written": {
			func(dir string) error { return os.Mkdir(dir, 0o755) }, nobody(),
			`create the store: open DIR/purger.db.new-\d+: permission denied \(\S+ belongs to root, and this is \S+\)` + writable, `there is no store in DIR; want .*`,
		},
		"of another user": {
			func(dir string) error { return os.CopyFS(dir, os.DirFS(sample)) }, nobody(),
			`open the store: open DIR/purger.db: permission denied \(\S+ belongs to root, and this is \S+\)` + writable, "",
		},
		"closed to this user": {
			func(dir string) error { return os.Mkdir(dir, 0o700) }, nobody(),
			`look at the store: lstat DIR/purger.db: permission denied \(\S+ belongs to root, and this is \S+\)` + writable,
			`no daemon answers in DIR, and without one the store can be used by its owner alone; start the daemon, or use sudo -u root purger --data-dir DIR: open DIR/served-with: permission denied`,
		},
		"a file": {
			func(dir string) error { return os.WriteFile(dir, []byte("x"), 0o600) }, nil,
			`look at the store: lstat DIR/purger.db: not a directory` + writable, `look for the configuration of the daemon: open DIR/served-with: not a directory; want a data directory that can be read`,
		},
		"a store that is a link": {
			func(dir string) error {
				if err := os.Mkdir(dir, 0o700); err != nil {
					return err
				}
				return os.Symlink(filepath.Join(sample, "purger.db"), filepath.Join(dir, "purger.db"))
			}, nil, `DIR/purger.db is a symbolic link; want the store's own file`, "",
		},
		"a store of zero length": {
			file(nil), nil, `DIR/purger.db is empty: a store was lost here; restore a backup, or remove the file to begin anew`, "",
		},
		"a database of SQLite": {
			file(append([]byte("SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20"), make([]byte, 64<<10)...)), nil,
			`DIR/purger.db is not a store of purger: it is no bbolt file, or its head is damaged`, "",
		},
		"half a store": {
			file(whole[:16<<10]), nil, `DIR/purger.db was cut: it has 16384 bytes and needs \d+; restore a backup`, "",
		},
		"a damaged head": {
			file(append(make([]byte, 16<<10), whole[16<<10:]...)), nil,
			`DIR/purger.db is not a store of purger: it is no bbolt file, or its head is damaged`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(disk, strings.ReplaceAll(name, " ", "-"))
			must(t, c.prepare(dir))
			want := func(command, text string) string {
				return `(^|\n)purger: ` + command + `: ` + strings.ReplaceAll(text, "DIR", regexp.QuoteMeta(dir)) + `\n$`
			}
			p := start(t, c.user, "serve", "--data-dir", dir, "--web.listen-address", "127.0.0.1:0")
			p.ends(65, want("serve", c.daemon))
			if c.command == "" {
				c.command = c.daemon
			}
			p = start(t, c.user, "--data-dir", dir, "status")
			p.ends(1, want("status", c.command))
		})
	}
}

// file returns a function that makes a data directory with this as its store.
func file(content []byte) func(dir string) error {
	return func(dir string) error {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "purger.db"), content, 0o600)
	}
}

// A store that is replaced under a daemon is not written any more: the lock is on
// the file that is gone, and another daemon could have the new one.
func TestDataDirectory_G12_AStoreThatIsReplacedEndsTheDaemon(t *testing.T) {
	if !private(t) {
		return
	}
	for name, c := range map[string]struct {
		replace func(path string) error
		text    string
	}{
		"moved": {func(path string) error { return os.Rename(path, path+".old") }, `the store's file is gone: lstat \S+: no such file or directory`},
		"replaced": {func(path string) error {
			b, err := os.ReadFile(path)
			must(t, err)
			must(t, os.Rename(path, path+".old"))
			return os.WriteFile(path, b, 0o600)
		}, `\S+/purger.db was replaced by another file`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			purger(t, 0, "--data-dir", dir, "tenant", "create", "acme")
			d := daemon(t, nil, dir)
			must(t, c.replace(filepath.Join(dir, "purger.db")))
			purger(t, 75, "--data-dir", dir, "tenant", "deactivate", "acme")
			d.ends(1, `purger: serve: the store has failed: the outcome of a write may be unknown and the store must be opened again: `+c.text+`; start purger anew\n`)
		})
	}
}
