package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// cmdCode runs a command and checks its exit code: code N command...
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d; want %d", got, want)
	}
}

// cmdDaemon starts "purger serve" on a free port and waits until it is ready:
// daemon [NAME=VALUE...] [flag...]. NOTIFY=1 gives it a service manager.
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	var env []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && strings.Contains(args[0], "=") {
		env = append(env, args[0])
		args = args[1:]
	}
	if len(env) > 0 && env[0] == "NOTIFY=1" {
		path, err := w.manager(ts)
		ts.Check(err)
		env[0] = "NOTIFY_SOCKET=" + path
	}
	all := append([]string{"serve", "--web.listen-address", "127.0.0.1:0"}, args...)
	ts.Check(w.start(ts, all, env))
	url := regexp.MustCompile(`purger is ready[^\n]*127\.0\.0\.1:(\d+)`)
	ready := eventually(func() bool {
		return w.hasExited() || strings.Contains(w.log.String(), "purger is ready")
	})
	if m := url.FindStringSubmatch(w.log.String()); m != nil {
		ts.Setenv("PORT", m[1])
	}
	switch ended := w.hasExited(); {
	case neg && !ended:
		ts.Fatalf("the daemon runs:\n%s", w.log.String())
	case !neg && (ended || !ready):
		ts.Fatalf("the daemon did not become ready:\n%s", w.log.String())
	}
}

// cmdSignal sends the daemon a signal: signal USR1.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signal NAME")
	}
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		ts.Fatalf("signal %q is not known", args[0])
	}
	if err := worldOf(ts).cmd.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
		ts.Check(err)
	}
}

// cmdInsist sends a signal until the daemon ends, as a person does who waits for
// it: insist INT.
func cmdInsist(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: insist NAME")
	}
	w := worldOf(ts)
	if !eventually(func() bool {
		if !w.hasExited() {
			cmdSignal(ts, false, args)
		}
		return w.hasExited()
	}) {
		ts.Fatalf("the daemon still runs:\n%s", w.log.String())
	}
}

// cmdStopped waits for the end of the daemon and checks its exit code: stopped 0.
func cmdStopped(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stopped CODE")
	}
	w := worldOf(ts)
	if !eventually(w.hasExited) {
		ts.Fatalf("the daemon still runs:\n%s", w.log.String())
	}
	ts.Logf("[log of the daemon]\n%s", w.log.String())
	if got := strconv.Itoa(w.cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("the daemon ended with %s; want %s", got, args[0])
	}
}

// cmdUntil runs a command until its JSON meets a condition:
// until path=value purger status -o json.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until path=value command...")
	}
	var last error
	if !eventually(func() bool {
		if last = ts.Exec(args[1], args[2:]...); last == nil {
			last = holds(ts.ReadFile("stdout"), args[0])
		}
		return last == nil
	}) {
		ts.Fatalf("%v; the log of the daemon:\n%s", last, worldOf(ts).log.String())
	}
}

// cmdJSON checks the JSON of the last command: [!] json path=value...
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	for _, cond := range args {
		err := holds(ts.ReadFile("stdout"), cond)
		if (err == nil) == neg {
			ts.Fatalf("%s: %v", cond, err)
		}
	}
}

// cmdLogged waits until the daemon has logged a line that matches, after the one
// that the call before found: logged regexp. Negated it looks at the log as it is,
// all of it.
func cmdLogged(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] logged regexp")
	}
	w, re := worldOf(ts), regexp.MustCompile("(?m)"+args[0])
	if neg {
		if re.MatchString(w.log.String()) {
			ts.Fatalf("the daemon has logged %s:\n%s", args[0], w.log.String())
		}
		return
	}
	if !eventually(func() bool {
		at := re.FindStringIndex(w.log.String()[w.seen:])
		if at != nil {
			w.seen += at[1]
		}
		return at != nil
	}) {
		ts.Fatalf("the daemon has not logged %s:\n%s", args[0], w.log.String())
	}
}

// cmdShown waits until the daemon has written something that matches to its
// standard output: shown regexp.
func cmdShown(ts *testscript.TestScript, neg bool, args []string) {
	waitFor(ts, neg, args, worldOf(ts).out)
}

// cmdNotified waits until the service manager was told something that matches:
// notified regexp.
func cmdNotified(ts *testscript.TestScript, neg bool, args []string) {
	waitFor(ts, neg, args, &worldOf(ts).notify)
}

// waitFor waits until b matches. Negated it looks at b as it is.
func waitFor(ts *testscript.TestScript, neg bool, args []string, b *syncBuffer) {
	if len(args) != 1 {
		ts.Fatalf("want one regexp")
	}
	re := regexp.MustCompile("(?m)" + args[0])
	if neg {
		if re.MatchString(b.String()) {
			ts.Fatalf("%s is there:\n%s", args[0], b.String())
		}
		return
	}
	if !eventually(func() bool { return re.MatchString(b.String()) }) {
		ts.Fatalf("%s is not there:\n%s", args[0], b.String())
	}
}

// cmdFetch makes an HTTP request of the daemon and prints the answer:
// fetch [METHOD] path, or a whole URL. Negated it wants a status that is no success.
func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	method, path := http.MethodGet, args[len(args)-1]
	if len(args) == 2 {
		method = args[0]
	}
	if !strings.HasPrefix(path, "http://") {
		path = "http://127.0.0.1:" + ts.Getenv("PORT") + path
	}
	req, err := http.NewRequest(method, path, nil)
	ts.Check(err)
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	ts.Check(err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
	if ok := res.StatusCode < 300; ok == neg {
		ts.Fatalf("%s %s: %s\n%s", method, path, res.Status, body)
	}
}
