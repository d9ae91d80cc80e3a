package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSecret is the largest size of a secret, in bytes.
const maxSecret = 64 << 10

// Secrets finds what references stand for. The zero value finds files alone.
type Secrets struct {
	// Directory is that of systemd's credentials, $CREDENTIALS_DIRECTORY.
	Directory string
}

// find returns the secret of a reference.
func (s Secrets) find(ref string) (string, error) {
	path, err := s.path(ref)
	if err != nil {
		return "", err
	}
	secret, err := read(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return secret, nil
}

// path returns the path of what a reference names.
func (s Secrets) path(ref string) (string, error) {
	m := reference.FindStringSubmatch(ref)
	kind, name := m[1], m[2]
	bad := func(want string) error { return fmt.Errorf("%s: %s", ref, want) }
	switch {
	case kind == "credential" && s.Directory == "":
		return "", bad("there is no directory of credentials; want LoadCredential= in the unit, or ${file:/path}")
	case kind == "credential" && (strings.ContainsRune(name, '/') || name == "." || name == ".."):
		return "", bad("want the name of a credential, without a slash")
	case kind == "credential":
		return filepath.Join(s.Directory, name), nil
	case !filepath.IsAbs(name):
		return "", bad("want an absolute path")
	}
	return name, nil
}

// read reads one secret, of a file alone: a pipe would be waited for, and what a device
// has may never end.
func read(path string) (string, error) {
	data, err := readRegular(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case secret == "":
		return "", errors.New("it is empty; want the secret")
	case len(secret) > maxSecret:
		return "", fmt.Errorf("more than %s; want a secret", formatSize(maxSecret))
	}
	return secret, nil
}

// readRegular reads a file up to the size of a secret, with a line break, and one byte
// more.
func readRegular(path string) ([]byte, error) {
	// To open a device may do something. That a pipe is put in the place of what was
	// looked at does no harm: nobody waits for its other end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w; want a file that can be read", reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w; want a file that can be read", reason(err))
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+int64(len("\r\n"))+1))
	if err != nil {
		return nil, fmt.Errorf("%w; want a file that can be read", reason(err))
	}
	return data, nil
}

// errNoFile refuses what cannot be read to its end.
var errNoFile = errors.New("it is a directory, a pipe, a socket or a device; want a file")
