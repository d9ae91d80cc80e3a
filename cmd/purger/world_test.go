package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a script: long enough for a busy machine, and
// nothing but a failing test ever waits for it.
const patience = 60 * time.Second

// worldKey is the key of a script's world.
type worldKey struct{}

// world is what a script has besides its files: a daemon, and the socket of a
// service manager.
type world struct {
	mu       sync.Mutex
	cmd      *exec.Cmd
	exited   chan struct{} // closed when cmd has ended
	out, log *syncBuffer
	seen     int // of the log, by "logged"
	notify   syncBuffer
	lock     *os.File
}

// newWorld returns the world of a script, which ends with it.
func newWorld(e *testscript.Env) *world {
	w := &world{out: &syncBuffer{}, log: &syncBuffer{}}
	e.Defer(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.cmd != nil {
			// By then it has ended, or the script has failed.
			_ = w.cmd.Process.Kill()
			<-w.exited
		}
		if w.lock != nil {
			_ = w.lock.Close()
		}
	})
	return w
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// syncBuffer is a buffer that one goroutine fills while another one looks.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// eventually asks ok again and again until it is true or patience is at an end.
func eventually(ok func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// start runs the daemon in the script's directory. env has assignments beyond
// those of the script.
func (w *world) start(ts *testscript.TestScript, args, env []string) error {
	path, err := exec.LookPath("purger")
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append([]string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("TMPDIR")}, env...)
	w.out, w.log, w.seen = &syncBuffer{}, &syncBuffer{}, 0
	cmd.Stdout, cmd.Stderr = w.out, w.log
	if err := cmd.Start(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cmd, w.exited = cmd, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		_ = cmd.Wait() // the code is in ProcessState
	}(w.exited)
	return nil
}

// hasExited reports whether the daemon has ended.
func (w *world) hasExited() bool {
	select {
	case <-w.exited:
		return true
	default:
		return false
	}
}

// manager makes the socket of a service manager and returns its name.
func (w *world) manager(ts *testscript.TestScript) (string, error) {
	path := filepath.Join(ts.MkAbs("."), "notify.sock")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return "", err
	}
	ts.Defer(func() { _ = c.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			fmt.Fprintf(&w.notify, "%s\n", bytes.TrimSpace(b[:n]))
		}
	}()
	return path, nil
}

// lookUp returns what a path such as "tenants.0.block.by" leads to in a JSON
// document. A last element "len" is the length of a list.
func lookUp(document, path string) (any, error) {
	var v any
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if path == "." {
		return v, nil
	}
	for name := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			if name == "len" {
				v = len(at)
				continue
			}
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return nil, fmt.Errorf("%s: there are %d", path, len(at))
			}
			v = at[i]
		default:
			return nil, fmt.Errorf("%s: nothing is below %v", path, v)
		}
	}
	return v, nil
}

// holds reports whether the document meets a condition "path=value"; a value
// "*" is anything but null or absent.
func holds(document, cond string) error {
	path, want, ok := strings.Cut(cond, "=")
	if !ok {
		return errors.New("want a condition path=value")
	}
	v, err := lookUp(document, path)
	if err != nil {
		return err
	}
	got := fmt.Sprint(v)
	if v == nil {
		got = "null"
	}
	if want == "*" && got != "null" || got == want {
		return nil
	}
	return fmt.Errorf("%s is %s; want %s", path, got, want)
}

func TestLookUp_FindsWhatAScriptAsksFor(t *testing.T) {
	const doc = `{"a":[{"b":"x"},{"b":12}],"c":null}`
	for _, cond := range []string{"a.0.b=x", "a.1.b=12", "a.len=2", "c=null", "d=null", "a.0.b=*"} {
		if err := holds(doc, cond); err != nil {
			t.Errorf("%s: %v", cond, err)
		}
	}
	for _, cond := range []string{"a.0.b=y", "a.2.b=x", "c=*", "a.0.b.c=1", "a.len=1"} {
		if holds(doc, cond) == nil {
			t.Errorf("%s holds", cond)
		}
	}
}
