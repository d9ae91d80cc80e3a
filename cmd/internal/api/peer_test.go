package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// whoami answers with the peer.
func whoami(w http.ResponseWriter, r *http.Request) {
	c, err := (&Peers{}).Authenticate(r)
	if err != nil {
		say(w, http.StatusUnauthorized, err.Error())
		return
	}
	say(w, http.StatusOK, c.Actor.ID+" "+c.Actor.Name)
}

// TestHelperProcess is not a test: another process runs it to call a socket.
func TestHelperProcess(t *testing.T) {
	path := os.Getenv("API_TEST_SOCKET")
	if path == "" {
		t.Skip("only for TestPeers_IsTheUserOfTheOtherProcess")
	}
	tr := client.NewTransport(path)
	defer tr.CloseIdleConnections()
	if got := raw(t, &rig{transport: tr}, "GET /", "").body; got != os.Getenv("API_TEST_WANT")+"\n" {
		t.Errorf("the server sees %q", got)
	}
}

func TestPeers_IsTheUserOfTheOtherProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir, err := os.MkdirTemp("", "api") // that of t.TempDir is root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	binary, path := filepath.Join(dir, "helper"), filepath.Join(dir, client.SocketName)
	if err := os.WriteFile(binary, exe, 0o755); err != nil {
		t.Fatal(err)
	}
	serve(t, http.HandlerFunc(whoami), path)
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, uid := range []uint32{12345, 0} {
		want := "uid:" + strconv.Itoa(int(uid)) + " "
		if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
			want += u.Username
		}
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestHelperProcess$")
		cmd.Dir = dir
		cmd.Env = []string{"API_TEST_SOCKET=" + path, "API_TEST_WANT=" + want}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
			t.Errorf("uid %d: %v\n%s", uid, err, out)
		}
	}
	// Neither owner nor group: the mode of the socket keeps the user out.
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestHelperProcess$", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{"API_TEST_SOCKET=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "permission denied") {
		t.Errorf("another user came in:\n%s", out)
	}
}

func TestPeers_InProcessIsThisProcess(t *testing.T) {
	tr := InProcess(http.HandlerFunc(whoami))
	defer tr.Close()
	me := ProcessActor()
	if got := raw(t, &rig{transport: tr}, "GET /", "").body; got != me.ID+" "+me.Name+"\n" {
		t.Errorf("the server sees %q, want %+v", got, me)
	}
}

func TestPeers_TCPHasNone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewHTTPServer(http.HandlerFunc(whoami), nil)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	defer func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}}
	defer tr.CloseIdleConnections()
	if res := raw(t, &rig{transport: tr}, "GET /", ""); res.status != http.StatusUnauthorized || !strings.Contains(res.body, "not a Unix socket") {
		t.Errorf("status %d: %s", res.status, res.body)
	}
}

func TestInProcess_CloseWaitsForTheHandlers(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	c := client.Over(InProcess(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done() // the call is cut off, not waited for
		close(ended)
	})))
	result := make(chan error, 1)
	go func() {
		_, err := c.Status(context.Background())
		result <- err
	}()
	<-begun
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case <-ended:
	default:
		t.Error("a handler still works on a store that is closed next")
	}
	if err := <-result; store.CodeOf(err) != store.Unavailable {
		t.Errorf("the call: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	if _, err := c.Status(context.Background()); store.CodeOf(err) != store.Unavailable {
		t.Errorf("after close: %v", err)
	}
}

// TestPeers_RolesOfUsersAndGroups asks the kernel for the groups of another
// process, supplementary ones included.
func TestPeers_RolesOfUsersAndGroups(t *testing.T) {
	table := map[string]client.Role{
		"*": client.RoleViewer, "uid:1001": client.RoleOperator, "gid:2002": client.RoleSuperAdmin, "gid:2003": client.RoleTenant,
	}
	peers, err := NewPeers(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from peer
		want client.Role
	}{
		{peer{uid: 1000, groups: []uint32{1000}}, client.RoleViewer},
		{peer{uid: 1001, groups: []uint32{1001, 2003}}, client.RoleOperator},
		{peer{uid: 1001, groups: []uint32{1001, 2002}}, client.RoleSuperAdmin},
		{peer{uid: 2002, groups: []uint32{5}}, client.RoleViewer}, // a uid is no gid
		{peer{uid: 0}, client.RoleSuperAdmin},
		{peer{uid: uint32(os.Geteuid())}, client.RoleSuperAdmin},
	} {
		if got := peers.role(c.from); got != c.want {
			t.Errorf("%+v is %q, want %q", c.from, got, c.want)
		}
	}
	none, err := NewPeers(nil)
	if got := none.role(peer{uid: 1000}); err != nil || got != "" {
		t.Errorf("an empty table gives %q, %v; want no role", got, err)
	}
}

func TestNewPeers_RefusesWhatNamesNobody(t *testing.T) {
	for key, want := range map[string]string{
		"user:no-such-user":   "want a user of this machine",
		"group:no-such-group": "want a group of this machine",
		"uid:-1":              "want uid:N with a number",
		"gid:4294967296":      "want gid:N with a number",
		"gid:":                "want gid:N with a number",
		"root":                "want user:NAME, uid:N, group:NAME, gid:N or *",
		"":                    "want user:NAME",
	} {
		_, err := NewPeers(map[string]client.Role{key: client.RoleViewer})
		if store.CodeOf(err) != store.Invalid || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", key, err, want)
		}
	}
}

func TestPeerOf_HasTheSupplementaryGroups(t *testing.T) {
	path := filepath.Join(t.TempDir(), client.SocketName)
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := client.DialSocket(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	mine, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	got := peerOf(far)
	if got.err != nil || got.uid != uint32(os.Geteuid()) {
		t.Fatalf("peer %+v", got)
	}
	for _, g := range append(mine, os.Getegid()) {
		if !slices.Contains(got.groups, uint32(g)) {
			t.Errorf("group %d is not among %v", g, got.groups)
		}
	}
}
