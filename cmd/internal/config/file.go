package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// readFile reads a whole file. The error says what would be right.
func readFile(path string) ([]byte, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w; want a file that can be read", reason(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%w; want a file that can be read", reason(err))
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("more than %s; want a configuration file", formatSize(maxSize))
	}
	return data, nil
}

// checkFile refuses what is no file. A device is allowed for /dev/null; opening
// a pipe could wait for ever.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("no such file")
	case err != nil:
		return fmt.Errorf("%w; want a file that can be read", reason(err))
	case info.IsDir():
		return errors.New("it is a directory; want a file")
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeCharDevice == 0:
		return errors.New("it is a pipe, a socket or a disk; want a file")
	}
	return nil
}

// reason returns the cause of an error of the file system without the path.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// resolve returns name, which is relative to the folder of the configuration
// file, as an absolute path to a file that is there.
func resolve(path, name string) (string, error) {
	full := name
	if !filepath.IsAbs(full) {
		folder, err := filepath.Abs(filepath.Dir(path))
		if err != nil {
			return name, err
		}
		full = filepath.Join(folder, name)
	}
	if err := checkFile(full); err != nil {
		return name, fmt.Errorf("%w (%s)", err, full)
	}
	return full, nil
}
