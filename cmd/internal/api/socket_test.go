package api

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// hello answers anything.
func hello(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "hello") }

// dead leaves a socket on which nobody listens, as a killed daemon does.
func dead(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the dead socket is gone: %v", err)
	}
}

func TestListenUnix_ModeIs0660WhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		old := syscall.Umask(mask)
		path := filepath.Join(t.TempDir(), client.SocketName)
		l, err := ListenUnix(path)
		after := syscall.Umask(old)
		if err != nil {
			t.Fatalf("umask %03o: %v", mask, err)
		}
		fi, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := fs.ModeSocket | 0o660; fi.Mode() != want {
			t.Errorf("umask %03o: mode %s, want %s", mask, fi.Mode(), want)
		}
		if after != mask {
			t.Errorf("umask %03o was left as %03o", mask, after)
		}
		l.Close()
	}
}

func TestBind_NobodyElseMayConnectBeforeTheModeIsSet(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), client.SocketName)
	l, err := bind(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if fi, err := os.Lstat(path); err != nil || fi.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestListenUnix_ReplacesADeadSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), client.SocketName)
	dead(t, path)
	serve(t, http.HandlerFunc(hello), path)
	conn, err := client.DialSocket(t.Context(), path)
	if err != nil {
		t.Fatalf("nobody listens on the replaced socket: %v", err)
	}
	conn.Close()
}

func TestListenUnix_LeavesAloneWhatIsNotADeadSocket(t *testing.T) {
	cases := map[string]struct {
		make func(t *testing.T, path string)
		code store.Code
		says string
	}{
		"regular file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, store.Precondition, "regular file"},
		"empty file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, store.Precondition, "regular file"},
		"directory": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, store.Precondition, "directory"},
		"symlink to a dead socket": {func(t *testing.T, path string) {
			dead(t, path+".real")
			if err := os.Symlink(path+".real", path); err != nil {
				t.Fatal(err)
			}
		}, store.Precondition, "symbolic link"},
		"live socket": {func(t *testing.T, path string) {
			serve(t, http.HandlerFunc(hello), path)
		}, store.Conflict, "somebody listens there already"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), client.SocketName)
			c.make(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			l, err := ListenUnix(path)
			if err == nil {
				l.Close()
				t.Fatal("it was replaced")
			}
			wantCode(t, err, c.code)
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not say %q and the path", err, c.says)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("what was there is not there any more: %v", err)
			}
		})
	}
}

func TestListenUnix_LeavesAloneTheSocketOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), client.SocketName)
	dead(t, path)
	if err := os.Lchown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	l, err := ListenUnix(path)
	if err == nil {
		l.Close()
		t.Fatal("it was replaced")
	}
	wantCode(t, err, store.Precondition)
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestListenUnix_TakesPathsLongerThanTheKernelDoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, client.SocketName)
	dead := func() {
		err := client.WithSocketPath(path, func(name string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	dead() // to be found and replaced under the long path
	l := serve(t, http.HandlerFunc(hello), path)
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode() != fs.ModeSocket|0o660 {
		t.Fatalf("mode %v, error %v", fi.Mode(), err)
	}
	tr := client.NewTransport(path)
	defer tr.CloseIdleConnections()
	if got := raw(t, &rig{transport: tr}, "GET /", "").body; got != "hello\n" {
		t.Errorf("answer %q", got)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestListenUnix_RefusesANameTooLongForAnyPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("s", 200))
	l, err := ListenUnix(path)
	if err == nil {
		l.Close()
		t.Fatal("it listens")
	}
	if !strings.Contains(err.Error(), "longer than") {
		t.Errorf("error %q does not say why", err)
	}
}

func TestListenUnix_MissingDirectoryIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", client.SocketName)
	if _, err := ListenUnix(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name the path", err)
	}
}

func TestListener_CloseRemovesOnlyItsOwnSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), client.SocketName)
	first, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("close the first: %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of the second is gone: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Errorf("close the second: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestDial_NobodyThereIsErrNotReachable(t *testing.T) {
	dir := t.TempDir()
	dead(t, filepath.Join(dir, "dead"))
	for _, name := range []string{"missing", "dead"} {
		_, err := client.Dial(t.Context(), filepath.Join(dir, name))
		if !errors.Is(err, client.ErrNotReachable) {
			t.Errorf("%s: error %v is not ErrNotReachable", name, err)
		}
		wantCode(t, err, store.Unavailable)
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %q does not name the socket", name, err)
		}
	}
}

func TestClient_ADaemonThatLeftIsErrNotReachable(t *testing.T) {
	path := filepath.Join(t.TempDir(), client.SocketName)
	c := client.Over(client.NewTransport(path))
	defer c.Close()
	_, err := c.Status(t.Context())
	if !errors.Is(err, client.ErrNotReachable) {
		t.Errorf("error %v is not ErrNotReachable", err)
	}
}
