package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// rememberedName is the file in the data directory that names the configuration
// file of its daemon. Without it, a command on the store itself would purge what
// the daemon protects, whenever the daemon is down.
const rememberedName = "served-with"

// rememberConfig notes the configuration file that a daemon serves dir with, ""
// for none.
func rememberConfig(dir, configFile string) error {
	if configFile != "" {
		abs, err := filepath.Abs(configFile)
		if err != nil {
			return err
		}
		configFile = abs
	}
	path := filepath.Join(dir, rememberedName)
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(configFile+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// remembered returns the configuration for a command without --config: that of
// the directory's daemon if it had one, else cfg. The data directory stays.
func remembered(cfg config.Config) (config.Config, error) {
	b, err := os.ReadFile(filepath.Join(cfg.DataDir, rememberedName))
	path := strings.TrimSuffix(string(b), "\n")
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && path == "":
		return cfg, nil
	case err != nil:
		return cfg, err
	}
	loaded, err := config.Load(path)
	if err != nil {
		return cfg, &exitError{code: exitConfig, err: fmt.Errorf(
			"the daemon of %s was served with a configuration that this command cannot use; want it, or another by --config: %w", cfg.DataDir, err)}
	}
	loaded.DataDir = cfg.DataDir
	return loaded, nil
}
