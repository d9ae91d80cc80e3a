package deploytest_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/deploy/internal/deploytest"
)

// stopped is a test that notes why it is ended.
type stopped struct {
	testing.TB
	why string
}

func (s *stopped) Fatal(args ...any) { s.stop("failed: ", fmt.Sprint(args...)) }
func (s *stopped) Fatalf(format string, args ...any) {
	s.stop("failed: ", fmt.Sprintf(format, args...))
}
func (s *stopped) Skipf(format string, args ...any) {
	s.stop("skipped: ", fmt.Sprintf(format, args...))
}

func (s *stopped) stop(how, why string) {
	s.why = how + why
	runtime.Goexit()
}

// stops returns how and why fn ends its test, "" if it does not.
func stops(t *testing.T, fn func(testing.TB)) string {
	s, done := &stopped{TB: t}, make(chan struct{})
	go func() {
		defer close(done)
		fn(s)
	}()
	<-done
	return s.why
}

const interval = 5 * time.Millisecond

// logs waits until a program has printed a text.
func logs(t *testing.T, p *deploytest.Process, text string) {
	t.Helper()
	deploytest.Eventually(t, interval, func() string {
		if strings.Contains(p.Log(), text) {
			return ""
		}
		return "it printed " + p.Log()
	})
}

func TestProcess_IsReadAndTold(t *testing.T) {
	p := deploytest.Start(t, t, "sh", "-c", `trap 'echo hup' HUP; trap 'exit 3' TERM; echo out; echo err >&2; while :; do sleep 0.01; done`)
	logs(t, p, "out\nerr\n")
	p.Signal(t, syscall.SIGHUP)
	logs(t, p, "hup\n")
	if p.Exited() {
		t.Error("it has ended")
	}
	p.Signal(t, syscall.SIGTERM)
	if state := p.Wait(t); state.ExitCode() != 3 || !p.Exited() {
		t.Errorf("it ended with %s, exited: %t", state, p.Exited())
	}
	if why := stops(t, func(t testing.TB) { p.Signal(t, syscall.SIGHUP) }); !strings.HasPrefix(why, "failed: hangup to ") {
		t.Errorf("a signal to what has ended: %q", why)
	}
	p.Kill() // does no harm
	if why := stops(t, func(tb testing.TB) { deploytest.Start(tb, t, "/nowhere") }); !strings.Contains(why, "/nowhere") {
		t.Errorf("a program that is not there: %q", why)
	}
}

func TestProcess_LivesAsLongAsItsOwner(t *testing.T) {
	var mine, kept *deploytest.Process
	t.Run("owner", func(owner *testing.T) {
		owner.Run("part", func(t *testing.T) {
			mine = deploytest.Start(t, t, "sleep", "1000")
			kept = deploytest.Start(t, owner, "sleep", "1000")
		})
		if !mine.Exited() || kept.Exited() {
			t.Errorf("after the part: %t, %t", mine.Exited(), kept.Exited())
		}
	})
	if !kept.Exited() {
		t.Error("a program is left after its owner")
	}
}

// pipeVariable makes the test below the process that is killed.
const pipeVariable = "PURGER_DEPLOYTEST_PIPE"

// The program has a pipe open until it ends.
func TestProcess_DoesNotOutliveTheProcessOfTheTest(t *testing.T) {
	if pipe := os.Getenv(pipeVariable); pipe != "" {
		deploytest.Start(t, t, "sh", "-c", `exec sleep 1000 3>"$0"`, pipe).Wait(t)
		return
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), pipeVariable+"="+pipe)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(pipe) // waits for the program
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if err := f.SetReadDeadline(time.Now().Add(deploytest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the program is left: %v", err)
	}
}

func TestEventually_EndsWithTheLastComplaint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		deploytest.Eventually(t, time.Second, func() string {
			if asked++; asked < 5 {
				return "not yet"
			}
			return ""
		})
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("asked %d times in %s", asked, took)
		}
		why := stops(t, func(t testing.TB) {
			deploytest.Eventually(t, 7*time.Second, func() string { return fmt.Sprint("after ", time.Since(began)) })
		})
		if took := time.Since(began); why != "failed: after 1m0s" || took != 4*time.Second+deploytest.Patience {
			t.Errorf("%q after %s", why, took)
		}
	})
}

func TestFreeAddress_CanBeListenedOn(t *testing.T) {
	address := deploytest.FreeAddress(t)
	l, err := net.Listen("tcp", address)
	if err != nil || strings.HasPrefix(address, "127.0.0.1:") {
		t.Fatalf("%s: %v", address, err)
	}
	_ = l.Close()
}

func TestProgram_ThatIsMissingIsAFailureInContinuousIntegrationAlone(t *testing.T) {
	if path := deploytest.Program(t, "sh"); !strings.HasSuffix(path, "/sh") {
		t.Errorf("sh is at %s", path)
	}
	for ci, want := range map[string]string{"": "skipped: ", "true": "failed: "} {
		t.Setenv("CI", ci)
		if why := stops(t, func(t testing.TB) { deploytest.Program(t, "nosuchprogram") }); why != want+"no nosuchprogram on this machine (Debian package nosuchprogram)" {
			t.Errorf("CI=%q: %q", ci, why)
		}
	}
}

func TestRewrite_TakesNoPatternThatHasNoMatch(t *testing.T) {
	from := deploytest.Write(t, t.TempDir(), "a.conf", "listen 1; listen 2;")
	b, err := os.ReadFile(deploytest.Rewrite(t, from, t.TempDir(), map[string]string{`listen (\d)`: "bind $1"}))
	if err != nil || string(b) != "bind 1; bind 2;" {
		t.Errorf("%s, %v", b, err)
	}
	if why := stops(t, func(t testing.TB) {
		deploytest.Rewrite(t, from, t.TempDir(), map[string]string{"listen": "bind", "port": "8000"})
	}); why != "failed: "+from+" has nothing like port" {
		t.Errorf("a pattern without a match: %q", why)
	}
}
