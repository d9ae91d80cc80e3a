package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// ListenUnix listens on a Unix socket at path, with the mode 0660 whatever the
// umask. It replaces a socket of this user's on which nobody listens any more,
// as a killed daemon leaves it. It refuses, with [store.Conflict], a socket on
// which somebody listens, and with [store.Precondition] anything else that is
// there. path may be longer than the kernel takes; its last element may not.
//
// The caller holds the lock of the store, so that of two daemons only one comes
// here. Closing the listener removes the socket, if it is still the same one.
func ListenUnix(path string) (net.Listener, error) {
	if err := removeDead(path); err != nil {
		return nil, err
	}
	l, err := bind(path)
	if err != nil {
		return nil, store.Errorf(store.Unavailable, "listen on %q: %w", path, err)
	}
	err = os.Chmod(path, 0o660)
	var made os.FileInfo
	if err == nil {
		made, err = os.Lstat(path)
	}
	if err != nil {
		return nil, store.Errorf(store.Unavailable, "listen on %q: %w", path, errors.Join(err, l.Close()))
	}
	return &socket{UnixListener: l, path: path, made: made}, nil
}

// bind listens on a socket that nobody but this user can connect to. It gets that
// mode from its descriptor, before it has a name: there is no instant at which
// others may connect, and the umask of the process is left alone.
func bind(path string) (l *net.UnixListener, err error) {
	private := func(_, _ string, c syscall.RawConn) error {
		var chmodErr error
		err := c.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmodErr)
	}
	err = client.WithSocketPath(path, func(name string) error {
		lc := net.ListenConfig{Control: private}
		ln, err := lc.Listen(context.Background(), "unix", name)
		if err != nil {
			return err
		}
		l = ln.(*net.UnixListener)
		l.SetUnlinkOnClose(false) // name may be of a descriptor that is closed by then
		return nil
	})
	return l, err
}

// socket is a listener that removes its own socket and no other.
type socket struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// Close implements net.Listener.
func (s *socket) Close() error {
	now, err := os.Lstat(s.path)
	if err == nil && os.SameFile(now, s.made) {
		err = os.Remove(s.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(s.UnixListener.Close(), err)
}

// removeDead removes a socket on which nobody listens.
func removeDead(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return store.Errorf(store.Unavailable, "listen on %q: %w", path, err)
	case fi.Mode().Type() != fs.ModeSocket:
		return store.Errorf(store.Precondition, "listen on %q: there is a %s, which is left alone", path, kindOf(fi.Mode()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := client.DialSocket(ctx, path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return store.Errorf(store.Conflict, "listen on %q: somebody listens there already", path)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return store.Errorf(store.Precondition, "listen on %q: the socket there is not this user's, and is left alone", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return store.Errorf(store.Unavailable, "listen on %q: %w", path, err)
	}
	return nil
}

// kindOf names what is in the way of a socket.
func kindOf(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "regular file"
	case fs.ModeDir:
		return "directory"
	case fs.ModeSymlink:
		return "symbolic link"
	}
	return fmt.Sprintf("file of mode %s", m)
}
