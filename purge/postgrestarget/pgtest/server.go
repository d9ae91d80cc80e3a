package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL with a data directory of its own. Its address stays
// the same when it is started again. It is safe for concurrent use, but one
// caller at a time should start and end it.
type Server struct {
	bin, dir string
	port     int
	as       *syscall.Credential // nil: the user of the test
	settings []string

	mu      sync.Mutex
	process *os.Process     // nil while it is down
	exited  <-chan struct{} // closed when process has ended

	lending sync.Mutex
	conns   map[string]*pgx.Conn // by database
}

// New makes and starts a server. A setting is "name=value", as in
// postgresql.conf. Nothing is synced to disk unless "fsync=on" is among them:
// what a killed process leaves is whole all the same, what a power failure
// leaves is not.
func New(settings ...string) (*Server, error) { return NewIn("", settings...) }

// NewIn is [New] with the data below parent, which the user that PostgreSQL runs
// as must be able to reach; "" is the system's temporary directory.
func NewIn(parent string, settings ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	as, err := credential()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "purger-pg-")
	if err == nil {
		dir, err = filepath.Abs(dir) // it is the working directory, too
	}
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, as: as, settings: settings, conns: map[string]*pgx.Conn{}}
	if err := s.create(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// create makes the data directory and starts the server on a port that is
// free, which another process may take first.
func (s *Server) create() error {
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.Command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir = s.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	var err error
	for range 3 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.Start(); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
func (s *Server) log() string  { return filepath.Join(s.dir, "log") }

// Addr returns host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Log returns what the server has logged, for a test that failed.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Running reports whether the server was started and has not ended.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process != nil
}

// Start starts the server, again after [Server.Stop] or [Server.Kill], and
// returns when it answers. An error shows its log, and leaves nothing running.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return nil
	}
	if err := s.spawn(); err != nil {
		return err
	}
	if err := s.await(); err != nil {
		err = fmt.Errorf("%w; its log:\n%s", err, s.Log())
		return errors.Join(err, s.quit(syscall.SIGQUIT))
	}
	return nil
}

// await returns when the server answers. The caller holds mu.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.greet(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited: // such as while a child of the one before has not ended
			return errors.New("the server ended at once")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// greet returns nil when it is this server that answers, and not another one that was
// quicker to take the port.
func (s *Server) greet(ctx context.Context) error {
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	var data string
	err = c.QueryRow(ctx, "SHOW data_directory").Scan(&data)
	if err == nil && data != s.data() {
		err = fmt.Errorf("at %s is another server", s.Addr())
	}
	return errors.Join(err, c.Close(ctx))
}

// spawn starts the postmaster.
func (s *Server) spawn() error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1"}
	if !slices.Contains(s.settings, "fsync=on") {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	exited, err := spawn(cmd, s.as, syscall.SIGQUIT)
	if err != nil {
		return err
	}
	s.process, s.exited = cmd.Process, exited
	return nil
}

// Stop ends the server as an administrator would: transactions are rolled back,
// connections are closed, and what was committed is there after [Server.Start].
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// Demote ends the server and starts it as a standby that follows nobody: it
// answers, and writes nothing, for the rest of its life.
func (s *Server) Demote() error {
	if err := s.Stop(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.data(), "standby.signal"), nil, 0o644); err != nil { //nolint:gosec // another user reads it
		return err
	}
	return s.Start()
}

// Kill ends every process of the server at once with SIGKILL. The next
// [Server.Start] recovers from the log.
func (s *Server) Kill() error {
	s.mu.Lock()
	var killed []int
	if s.process != nil {
		// A stopped parent starts no further child.
		_ = s.process.Signal(syscall.SIGSTOP)
		killed = children(s.process.Pid)
		for _, child := range killed {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	}
	s.mu.Unlock()
	if err := s.end(syscall.SIGKILL); err != nil {
		return err
	}
	// The next one does not start while a child has the shared memory.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); slices.ContainsFunc(killed, alive); <-tick.C {
		if time.Now().After(deadline) {
			return errors.New("a child of the server does not end")
		}
	}
	return nil
}

func (s *Server) end(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quit(sig)
}

// quit is end for a caller that holds mu.
func (s *Server) quit(sig syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	_ = s.process.Signal(sig) // it may have ended by itself
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.exited:
		s.process = nil
		return nil
	case <-timer.C:
		return errors.New("the server does not end")
	}
}

// Close ends the server and removes its data.
func (s *Server) Close() {
	if s.end(syscall.SIGQUIT) != nil {
		_ = s.Kill()
	}
	_ = os.RemoveAll(s.dir)
}
