package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// read reads one secret.
func read(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w; want a file that can be read", reason(err))
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
