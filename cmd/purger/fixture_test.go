package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// cmdLock takes the lock of a store, as a process would that answers nobody:
// lock file. Negated it gives it back.
func cmdLock(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if neg {
		ts.Check(w.lock.Close())
		w.lock = nil
		return
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	w.lock = f
	ts.Check(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
}

// cmdBeginImport leaves a store as an import does that was killed:
// beginimport dir.
func cmdBeginImport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: beginimport dir")
	}
	ctx := context.Background()
	st, err := boltstore.Open(ctx, boltstore.Options{Dir: ts.MkAbs(args[0])})
	ts.Check(err)
	o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}
	err = st.BeginImport(ctx, store.Import{Digest: "00", Since: store.Timestamp{Time: o.At}}, o)
	ts.Check(errors.Join(err, st.Close()))
}

// failingEngine makes passes in which one tenant fails and one is retried.
type failingEngine struct{ *purge.Engine }

// Run implements api.Engine.
func (e failingEngine) Run(_ context.Context, trigger purge.Trigger) (purge.Report, error) {
	return purge.Report{Trigger: trigger, Result: purge.ResultPartial, Tenants: []purge.Row{
		{ID: "acme", Outcome: purge.OutcomeFailed, Error: "attempts are spent"},
		{ID: "globex", Outcome: purge.OutcomeRetrying, Error: "the directory answers 503"},
	}}, nil
}

// cmdFailing serves the API of a daemon whose passes fail: failing dir.
func cmdFailing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: failing dir")
	}
	serveOdd(ts, args[0], func(st *boltstore.Store, e *purge.Engine) http.Handler {
		return api.New(api.Options{Store: st, Engine: failingEngine{e}})
	})
}

// cmdChanging serves the API of a daemon in which every tenant that somebody
// looks at is changed by somebody else right afterwards: changing dir.
func cmdChanging(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: changing dir")
	}
	serveOdd(ts, args[0], func(st *boltstore.Store, e *purge.Engine) http.Handler {
		h := api.New(api.Options{Store: st, Engine: e})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			if id, ok := strings.CutPrefix(r.URL.Path, client.Prefix+"/tenants/"); ok && r.Method == http.MethodGet {
				name := "changed"
				o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}
				if _, err := st.Update(r.Context(), id, store.Update{Origin: o, Change: store.Edit(&name, nil, nil)}); err != nil {
					panic(err)
				}
			}
		})
	})
}

// cmdTwo serves the API of a daemon that wants two people, to whoever a file names:
// two dir file.
func cmdTwo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: two dir file")
	}
	file := ts.MkAbs(args[1])
	serveOdd(ts, args[0], func(st *boltstore.Store, e *purge.Engine) http.Handler {
		return api.New(api.Options{
			Store: st, Engine: e,
			Approvals: func() api.Approvals { return api.Approvals{Delete: 2, Resume: 2, Expire: time.Hour} },
			Authenticate: func(*http.Request) (api.Caller, error) {
				name, err := os.ReadFile(file)
				return api.Caller{Actor: store.Actor{ID: strings.TrimSpace(string(name))}, Role: client.RoleSuperAdmin}, err
			},
		})
	})
}

// serveOdd serves what is no ordinary daemon on the socket of a data directory,
// until the script ends.
func serveOdd(ts *testscript.TestScript, dir string, handler func(*boltstore.Store, *purge.Engine) http.Handler) {
	dir = ts.MkAbs(dir)
	st, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir})
	ts.Check(err)
	e, err := purge.New(purge.Options{Store: st, Settings: purge.DefaultSettings()})
	ts.Check(err)
	l, err := api.ListenUnix(filepath.Join(dir, client.SocketName))
	ts.Check(err)
	srv := api.NewHTTPServer(handler(st, e), nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // until it is closed
	}()
	ts.Defer(func() {
		_ = srv.Close()
		<-done
		_ = st.Close()
	})
}

// cmdHang begins a request of the daemon that does not come to its end:
// hang socket.
func cmdHang(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hang socket")
	}
	c, err := net.Dial("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { _ = c.Close() })
	_, err = io.WriteString(c, "POST /api/v1/pause HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\n"+
		"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	ts.Check(err)
	// The handler is at work once it asks for the body.
	line, err := bufio.NewReader(c).ReadString('\n')
	ts.Check(err)
	if !strings.Contains(line, "100 Continue") {
		ts.Fatalf("the daemon answers %q", line)
	}
}

// cmdMask prints what the last command printed, with what differs from run to
// run replaced: random ids, and times around today.
func cmdMask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: mask")
	}
	text := ts.ReadFile("stdout")
	text = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(text, "UUID")
	text = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllStringFunc(text, func(s string) string {
		t, err := time.Parse(time.RFC3339, s)
		ts.Check(err)
		switch until := time.Until(t); {
		case until < -time.Hour || until > 100*24*time.Hour:
			return s
		case until > time.Hour:
			return "LATER"
		}
		return "NOW"
	})
	_, err := io.WriteString(ts.Stdout(), text)
	ts.Check(err)
}

// cmdUmask runs a command with a umask: umask NNN command...
func cmdUmask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: umask NNN command...")
	}
	ts.Check(ts.Exec("sh", append([]string{"-c", "umask " + args[0] + `; exec "$@"`, "sh"}, args[1:]...)...))
}

// cmdMode checks the permissions of a file: mode 0700 file.
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL file")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := "0" + strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s; want %s", args[1], got, args[0])
	}
}
