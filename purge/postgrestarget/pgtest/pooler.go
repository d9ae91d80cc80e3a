package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// errNoPooler says that there is no PgBouncer on this machine.
var errNoPooler = errors.New("no PgBouncer here: want pgbouncer in PATH or /usr/sbin (Debian package pgbouncer)")

// Pooler is a PgBouncer in front of a server: two connections of the server, taken
// in turn, are shared by all clients. It ends with the test.
type Pooler struct {
	dir     string
	port    int
	process *os.Process
	exited  <-chan struct{}
}

// NewPooler starts a PgBouncer in front of an address, such as that of a [Server]
// or of a [Proxy]. A setting is "name=value", as in its configuration file. Its only
// role is postgres. Without PgBouncer the test is skipped, in continuous
// integration (CI is set) it fails.
func NewPooler(tb testing.TB, to, mode string, settings ...string) *Pooler {
	tb.Helper()
	program, err := poolerProgram()
	if errors.Is(err, errNoPooler) && os.Getenv("CI") == "" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	// Not t.TempDir, which another user does not reach.
	p := &Pooler{}
	if p.dir, err = os.MkdirTemp("", "purger-pgbouncer-"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.end()
		_ = os.RemoveAll(p.dir)
	})
	for range 3 { // another process may take the port first
		if p.port, err = freePort(); err != nil {
			break
		}
		if err = p.start(program, to, append([]string{"pool_mode=" + mode}, settings...)); err == nil {
			return p
		}
	}
	tb.Fatalf("PgBouncer: %v\n%s", err, p.Log())
	return nil
}

// Addr returns host and port.
func (p *Pooler) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// Log returns what it has logged, for a test that failed.
func (p *Pooler) Log() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func poolerProgram() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} { // Debian's users do not have sbin in PATH
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoPooler
}

// start writes the configuration and returns once the pooler answers by itself:
// whether the server behind it does is not its business.
func (p *Pooler) start(program, to string, settings []string) error {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return err
	}
	as, err := credential()
	if err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(p.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	lines := append([]string{
		"[databases]", fmt.Sprintf("* = host=%s port=%s", host, port),
		"[pgbouncer]", "listen_addr=127.0.0.1", fmt.Sprintf("listen_port=%d", p.port), "unix_socket_dir=",
		"auth_type=trust", "auth_file=" + filepath.Join(p.dir, "users"), "admin_users=postgres",
		"default_pool_size=2", "server_round_robin=1", "max_client_conn=300", "server_login_retry=0.1",
	}, settings...)
	for name, text := range map[string]string{"users": `"postgres" ""` + "\n", "ini": strings.Join(lines, "\n") + "\n"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // another user reads it
			return err
		}
	}
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, filepath.Join(p.dir, "ini")) //nolint:gosec // of this machine
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	if p.exited, err = spawn(cmd, as, syscall.SIGKILL); err != nil {
		return err
	}
	p.process = cmd.Process
	if err := p.await(); err != nil {
		p.end() // the next one has another port
		return err
	}
	return nil
}

// await returns when its own database answers.
func (p *Pooler) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s/pgbouncer?sslmode=disable", p.Addr()))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// end kills it: it keeps nothing.
func (p *Pooler) end() {
	if p.process != nil {
		_ = p.process.Kill()
		<-p.exited
	}
}
