package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe has nobody at its other end, and a device may have no end: who reads one waits
// for ever, and so would the command, or the daemon.
func TestResolve_ReadsFilesAlone(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	sized := func(n int, end string) string {
		path := filepath.Join(dir, "sized")
		if err := os.WriteFile(path, []byte(strings.Repeat("x", n)+end), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const noFile = "it is a directory, a pipe, a socket or a device; want a file"
	for _, c := range []struct {
		path func() string
		want string // "" for none
	}{
		{func() string { return pipe }, noFile},
		{func() string { return dir }, noFile},
		{func() string { return "/dev/zero" }, noFile},
		{func() string { return sized(maxSecret, "\r\n") }, ""},
		{func() string { return sized(maxSecret+1, "") }, "more than 64KiB; want a secret"},
		{func() string { return sized(16<<20, "\n") }, "more than 64KiB; want a secret"},
		{func() string { return sized(0, "\n") }, "it is empty; want the secret"},
	} {
		path := c.path()
		done := make(chan error, 1)
		go func() {
			_, err := Resolve(Secrets{}, exposable{A: "${file:" + path + "}"})
			done <- err
		}()
		select {
		case err := <-done:
			if (c.want == "") != (err == nil) || err != nil && !strings.HasSuffix(err.Error(), "}: "+c.want) {
				t.Errorf("%s: %v, want %q", path, err, c.want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is waited for", path)
		}
	}
}
