package client

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path that the kernel takes for a socket, its
// terminating zero byte not counted.
const maxSocketPath = 107

// WithSocketPath calls f with a name of path that the kernel takes: path itself,
// or for a long one a name through a descriptor of its directory.
func WithSocketPath(path string, f func(name string) error) error {
	if len(path) <= maxSocketPath {
		return f(path)
	}
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	name := fmt.Sprintf("/proc/self/fd/%d/%s", fd, base)
	if len(name) > maxSocketPath {
		return fmt.Errorf("socket %q: the name is longer than %d bytes", base, maxSocketPath-len(name)+len(base))
	}
	return f(name)
}

// DialSocket connects to the socket at path.
func DialSocket(ctx context.Context, path string) (net.Conn, error) {
	var conn net.Conn
	err := WithSocketPath(path, func(name string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", name)
		return err
	})
	return conn, err
}
