package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/store/boltstore"
)

// rememberedName is the file in the data directory that names the configuration
// file of its daemon. Without it, a command on the store itself would purge what
// the daemon protects, whenever the daemon is down.
const rememberedName = "served-with"

// remember notes the configuration for commands without the daemon.
func (d *daemon) remember(context.Context) error {
	if err := rememberConfig(d.settings.get().DataDir, d.app.configFile); err != nil {
		return fmt.Errorf("note the configuration for commands without the daemon: %w", err)
	}
	return nil
}

// rememberConfig notes the configuration file that a daemon serves dir with, ""
// for none. It survives a power failure: a note that was lost would lift the
// protection. One that is there already is left alone, so that a daemon starts
// on a full disk.
func rememberConfig(dir, configFile string) error {
	if configFile != "" {
		abs, err := filepath.Abs(configFile)
		if err != nil {
			return err
		}
		configFile = abs
	}
	path := filepath.Join(dir, rememberedName)
	note := configFile + "\n"
	if b, err := os.ReadFile(path); err == nil && string(b) == note {
		return nil
	}
	return writeFile(path, true, func(w io.Writer) error {
		if f, ok := w.(*os.File); ok {
			if err := boltstore.GiveToOwner(f); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, note)
		return err
	})
}

// remembered returns the configuration for a command without --config: that of
// the directory's daemon if it had one, else cfg. The data directory stays.
func remembered(cfg config.Config) (config.Config, error) {
	b, err := os.ReadFile(filepath.Join(cfg.DataDir, rememberedName))
	path := strings.TrimSuffix(string(b), "\n")
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && path == "":
		return cfg, nil
	case errors.Is(err, fs.ErrPermission):
		return cfg, fmt.Errorf("no daemon answers in %s, and without one the store can be used by its owner alone%s: %w", cfg.DataDir, asOwner(cfg.DataDir), err)
	case err != nil:
		return cfg, fmt.Errorf("look for the configuration of the daemon: %w; want a data directory that can be read", err)
	}
	loaded, err := config.Load(path)
	if err != nil {
		return cfg, &exitError{code: exitConfig, err: fmt.Errorf(
			"the daemon of %s was served with a configuration that this command cannot use; want it, or another by --config: %w", cfg.DataDir, err)}
	}
	loaded.DataDir = cfg.DataDir
	return loaded, nil
}

// asOwner says how to become the owner of dir; nothing where that is not known.
func asOwner(dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	name := fmt.Sprintf("'#%d'", of.Uid) // as sudo takes a number
	if u, err := user.LookupId(strconv.FormatUint(uint64(of.Uid), 10)); err == nil {
		name = u.Username
	}
	return fmt.Sprintf("; start the daemon, or use sudo -u %s purger --data-dir %s", name, dir)
}
