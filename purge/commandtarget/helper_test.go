package commandtarget_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/store"
)

// modeVariable makes the test binary the program of a target.
const modeVariable = "PURGER_COMMAND_MODE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeVariable); mode != "" {
		os.Exit(program(mode))
	}
	goleak.VerifyTestMain(m)
}

// program is what a program of a target may do, good and bad.
func program(mode string) int {
	dir := os.Getenv("DIR")
	switch mode {
	case "files":
		return files(dir)
	case "tree", "deaf": // a child and a grandchild with the same pipes
		if mode == "deaf" {
			signal.Ignore(syscall.SIGTERM)
		}
		if depth, _ := strconv.Atoi(os.Getenv("DEPTH")); depth < 2 {
			child := exec.Command("/proc/self/exe")
			child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
			child.Env = append(os.Environ(), fmt.Sprintf("DEPTH=%d", depth+1))
			if err := child.Start(); err != nil {
				panic(err)
			}
		}
		note(dir)
		if os.Getenv("LEAVE") != "" && os.Getenv("DEPTH") == "" {
			for len(pidsIn(dir)) < 3 {
				<-time.After(time.Millisecond)
			}
			fmt.Println(`{"version":1,"count":7}`)
			return 0
		}
		<-time.After(time.Minute)
	case "polite":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		note(dir)
		<-c
		if err := os.WriteFile(filepath.Join(dir, "goodbye"), nil, 0o600); err != nil {
			panic(err)
		}
	case "flood":
		signal.Ignore(syscall.SIGPIPE) // that nobody reads does not end it
		note(dir)
		for range 100 {
			fmt.Println(strings.Repeat("x", 4096))
		}
		<-time.After(time.Minute)
	case "daemon": // purger itself, which is killed
		cfg := config("daemon", "/proc/self/exe", map[string]string{modeVariable: "tree", "DIR": dir, "DEPTH": "2"})
		t, err := commandtarget.New(cfg, commandtarget.Options{})
		if err != nil {
			panic(err)
		}
		_, _ = t.Count(context.Background(), "acme", store.KindUser)
	case "new": // as somebody who is not root
		cfg := config("x", "/bin/true", nil)
		cfg.User, cfg.Group = os.Getenv("AS"), os.Getenv("IN")
		_, err := commandtarget.New(cfg, commandtarget.Options{})
		fmt.Print(err)
	}
	return 0
}

// note leaves the process's number in a directory.
func note(dir string) {
	if err := os.WriteFile(filepath.Join(dir, "pid-"+strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		panic(err)
	}
}

// pidsIn returns those that were left.
func pidsIn(dir string) (pids []int) {
	names, err := filepath.Glob(filepath.Join(dir, "pid-*"))
	if err != nil {
		panic(err)
	}
	for _, n := range names {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(n), "pid-"))
		if err != nil {
			panic(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// place is where a tenant has its resources of a kind.
func place(dir, tenant string, kind store.Kind) string {
	return filepath.Join(dir, "x"+hex.EncodeToString([]byte(tenant)), string(kind))
}

// files keeps resources as files. Its own decoding is not ours.
func files(dir string) int {
	if _, err := os.Stat(filepath.Join(dir, "broken")); err == nil {
		fmt.Println("<html>502 Bad Gateway</html>")
		return 0
	}
	var r struct {
		Operation, TenantID string
		Kind                store.Kind
		Limit               int
	}
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return 1
	}
	entries, err := os.ReadDir(place(dir, r.TenantID, r.Kind))
	if err != nil && !os.IsNotExist(err) {
		return 75
	}
	if r.Operation == "count" {
		fmt.Printf(`{"version":1,"count":%d}`, len(entries))
		return 0
	}
	deleted := 0
	for i, e := range entries {
		if deleted == beforeItsEnd && os.Remove(filepath.Join(dir, "doomed")) == nil {
			comeToAnEnd()
		}
		if i == r.Limit {
			fmt.Printf(`{"version":1,"deleted":%d,"more":true}`, deleted)
			return 0
		}
		if os.Remove(filepath.Join(place(dir, r.TenantID, r.Kind), e.Name())) == nil {
			deleted++
		}
	}
	fmt.Printf(`{"more":false,"deleted":%d,"version":1}`+"\n", deleted)
	return 0
}

// beforeItsEnd is how many files a doomed program removes.
const beforeItsEnd = 3

// comeToAnEnd is what a doomed program does in the place of an answer.
func comeToAnEnd() {
	if os.Getenv("THEN") == "die" {
		_ = syscall.Kill(0, syscall.SIGKILL) // its whole group
	}
	<-time.After(time.Minute)
}

// config returns one for every kind.
func config(name, command string, env map[string]string) commandtarget.Config {
	return commandtarget.Config{Name: name, Kinds: []string{"oauthClient", "apiKey", "credential", "user"}, Command: command, Env: env}
}

// newTarget returns a target whose program is the test binary in a mode.
func newTarget(t *testing.T, mode, dir string, change ...func(*commandtarget.Config, *commandtarget.Options)) *commandtarget.Target {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg, opt := config("files", self, map[string]string{modeVariable: mode, "DIR": dir, "GORACE": "atexit_sleep_ms=0"}), commandtarget.Options{}
	for _, c := range change {
		c(&cfg, &opt)
	}
	target, err := commandtarget.New(cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// shell returns a target whose program is a script of its own; the shell is the
// program here, and not what runs it.
func shell(t *testing.T, script string, change ...func(*commandtarget.Config, *commandtarget.Options)) *commandtarget.Target {
	t.Helper()
	return newTarget(t, "", "", append([]func(*commandtarget.Config, *commandtarget.Options){
		func(c *commandtarget.Config, _ *commandtarget.Options) {
			c.Command, c.Args, c.Env = "/bin/sh", []string{"-c", script}, nil
		},
	}, change...)...)
}

// alive returns those of the processes that are there and no zombies.
func alive(pids []int) (left []int) {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		if !strings.HasPrefix(after, "Z") {
			left = append(left, pid)
		}
	}
	return left
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s until %s", what)
		}
	}
}
