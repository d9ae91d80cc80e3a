package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/tenantpurge/purger/purge/client"
)

// wires is a rig that listens on TCP and on a Unix socket, for bytes that no HTTP
// client would send.
type wires struct {
	*rig
	address string // of TCP

	handling sync.WaitGroup
	mu       sync.Mutex
	reached  []string // "METHOD target" of the requests that got to the handler
}

// networks are what a test goes over.
func networks() []string { return []string{"tcp", "unix"} }

// newWires serves a rig whose callers are super_admins.
func newWires(t *testing.T, change ...func(*Options)) *wires {
	t.Helper()
	everybody := func(o *Options) {
		o.Authenticate = func(*http.Request) (Caller, error) {
			return Caller{Actor: ProcessActor(), Role: client.RoleSuperAdmin}, nil
		}
	}
	w := &wires{rig: newRig(t, append([]func(*Options){everybody}, change...)...)}
	handler := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.handling.Add(1)
		defer w.handling.Done()
		w.mu.Lock()
		w.reached = append(w.reached, r.Method+" "+r.RequestURI)
		w.mu.Unlock()
		// A test says that nothing more comes by closing its half of the connection,
		// which is not to be taken for a caller that has left.
		handler.ServeHTTP(rw, r.WithContext(context.WithoutCancel(r.Context())))
	})
	w.onSocket(t)
	w.address = serveTCP(t, w.handler)
	return w
}

// serveTCP serves a handler on TCP until the test ends, and returns the address.
func serveTCP(t *testing.T, h http.Handler, change ...func(*http.Server)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewHTTPServer(watch(t, h), nil)
	for _, f := range change {
		f(srv)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// send writes bytes to a connection of its own, says that nothing more comes, and
// returns all that comes back.
func (w *wires) send(t *testing.T, network, request string) string {
	t.Helper()
	conn := w.dial(t, network)
	defer conn.Close()
	sent := make(chan struct{})
	go func() { // the answer may come before everything is sent
		defer close(sent)
		if _, err := io.WriteString(conn, request); err == nil {
			_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		}
	}()
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("read the answer to %.80q: %v", request, err)
	}
	conn.Close()
	<-sent
	return string(b)
}

// dial connects.
func (w *wires) dial(t *testing.T, network string) net.Conn {
	t.Helper()
	var conn net.Conn
	var err error
	if network == "unix" {
		conn, err = client.DialSocket(t.Context(), w.socket)
	} else {
		conn, err = (&net.Dialer{}).DialContext(t.Context(), network, w.address)
	}
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// takeReached returns the requests that got to the handler since it was last asked.
func (w *wires) takeReached() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.reached
	w.reached = nil
	return list
}

// answersOf takes bytes apart that a server has sent. What is left over is an
// error of the test.
func answersOf(t testing.TB, wire string) []answered {
	t.Helper()
	var all []answered
	in := bufio.NewReader(strings.NewReader(wire))
	for {
		if _, err := in.Peek(1); err != nil {
			return all
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Errorf("answer %d of %.300q: %v", len(all)+1, wire, err)
			return all
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Errorf("answer %d of %.300q: %v", len(all)+1, wire, err)
		}
		if res.Close {
			res.Header.Set("Connection", "close")
		}
		all = append(all, answered{res.StatusCode, res.Header, string(b)})
	}
}

// maxRefusal is how long a refusal may be, in bytes, whatever was sent.
const maxRefusal = 2000

// checkRefusal holds an answer against what is true of every one: a refusal is the
// envelope with the status in it, says where the fault is, is short, and repeats no
// more of what was sent than may be read at a glance; and nothing in it is
// invisible.
func checkRefusal(t testing.TB, sent []byte, a answered) {
	t.Helper()
	if i := strings.IndexFunc(a.body, func(r rune) bool {
		return r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp))
	}); i >= 0 {
		t.Errorf("status %d: %q at byte %d of the answer %q", a.status, a.body[i:min(i+4, len(a.body))], i, a.body)
	}
	if a.status < 400 {
		return
	}
	var body client.ErrorBody
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || len(body.Errors) == 0 {
		t.Errorf("status %d: %q is not the error envelope: %v", a.status, a.body, err)
		return
	}
	if strings.HasPrefix(string(body.Errors[0].Code), "TENANT_") { // as it was published, without a detail
		return
	}
	p := a.problem(t)
	if a.status == http.StatusBadRequest && !ofTheWhole(p.Detail) && p.Source.Field() == "" {
		t.Errorf("it says nowhere what is wrong: %s", a.body)
	}
	if len(a.body) > maxRefusal {
		t.Errorf("a refusal of %d bytes: %s", len(a.body), a.body)
	}
	if run := repeats(a.body, string(sent)); run != "" {
		t.Errorf("it repeats more than %d bytes of what was sent, %q: %s", maxQuote, run, a.body)
	}
}

// repeats returns a run of what was sent that is in an answer and longer than may be,
// "" for none. A longer one, with the quotes that are around it here and there, may
// only be an id, of which the characters are known.
func repeats(answer, sent string) string {
	const most = maxQuote + 2
	for i := 0; i+most < len(answer); i++ {
		if run := answer[i : i+most+1]; !soundID(run) && strings.Contains(sent, run) {
			return run
		}
	}
	return ""
}

// soundID reports whether all characters may be in an id.
func soundID(run string) bool {
	return strings.IndexFunc(run, func(r rune) bool {
		return r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._:-", r)
	}) < 0
}
