package commandtarget

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// Config is what a target is made of. A zero field is its default.
type Config struct {
	// Name is that of the target; required.
	Name string
	// Kinds are the kinds that the program knows; required.
	Kinds []string
	// Command is the absolute path of the program; required. It must be there.
	Command string
	// Args are its arguments, the same for every call; none. Others on the machine
	// see them, secrets among them, too: Env is the place for those.
	Args []string `config:"secret"`
	// Env is its whole environment; empty. Values may be secrets.
	Env map[string]string `config:"secret"`
	// Dir is its working directory, absolute; "/".
	Dir string
	// User and Group are the names of whom it runs as; those of the daemon, and
	// the user's own group. It is in no other group. Both need root, and Group a
	// User.
	User, Group string
	// Timeout bounds one run, 100 ms to 1 h; 30 s. A policy's own counts too.
	Timeout time.Duration
	// KillAfter is the time between SIGTERM and SIGKILL, up to 4 s; 2 s. The
	// engine leaves a call behind that does not end within 5 s.
	KillAfter time.Duration
	// MaxOutput bounds its standard output in bytes, and ends a run that exceeds
	// it; 64 KiB. MaxLog bounds what of its standard error goes to the log; 16
	// KiB a run.
	MaxOutput, MaxLog int64
	// Limits are those of its processes.
	Limits Limits
}

// Limits are resource limits of the program and all that it starts, see
// setrlimit(2). A field that is 0 is left as it is for the daemon.
type Limits struct {
	CPU       time.Duration // of each process, whole seconds
	Memory    int64         // address space of each process, bytes
	Files     int64         // descriptors of each process
	Processes int64         // of the user; without effect on root
	FileSize  int64         // of a file that is written, bytes
}

// Options is what a target reports to.
type Options struct {
	Logger *zap.Logger // may be nil
}

const (
	defaultTimeout   = 30 * time.Second
	defaultKillAfter = 2 * time.Second
	defaultMaxOutput = 64 << 10
	defaultMaxLog    = 16 << 10
)

// withDefaults returns c with its defaults, and validates it but for the user. The errors
// are joined.
func (c Config) withDefaults() (Config, []store.Kind, error) {
	c.Dir = cmp.Or(c.Dir, "/")
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.KillAfter = cmp.Or(c.KillAfter, defaultKillAfter)
	c.MaxOutput = cmp.Or(c.MaxOutput, defaultMaxOutput)
	c.MaxLog = cmp.Or(c.MaxLog, defaultMaxLog)
	var errs []error
	if err := store.CheckID("name", c.Name); err != nil {
		errs = append(errs, err)
	}
	var kinds []store.Kind
	for _, s := range c.Kinds {
		k, err := store.ParseKind(s)
		if err == nil && slices.Contains(kinds, k) {
			err = fmt.Errorf("%q is there twice", s)
		}
		if err != nil {
			errs = append(errs, store.Errorf(store.Invalid, "kinds: %w", err).At("kinds"))
		}
		kinds = append(kinds, k)
	}
	if len(kinds) == 0 {
		errs = append(errs, store.Errorf(store.Invalid, "kinds: want at least one kind").At("kinds"))
	}
	for _, key := range slices.Sorted(maps.Keys(c.Env)) {
		if key == "" || strings.ContainsAny(key, "=\x00") {
			errs = append(errs, store.Errorf(store.Invalid, "env: %q is no name of a variable", key).At("env"))
		}
		if strings.Contains(c.Env[key], "\x00") { // its value may be a secret
			errs = append(errs, store.Errorf(store.Invalid, "env: the value of %q has a zero byte", key).At("env."+key))
		}
	}
	return c, kinds, errors.Join(append(errs, c.checkProgram(), c.checkDir(), c.checkBounds())...)
}

// checkProgram looks at the program and its arguments.
func (c Config) checkProgram() error {
	for _, a := range c.Args {
		if strings.Contains(a, "\x00") {
			return store.Errorf(store.Invalid, "args: an argument has a zero byte").At("args")
		}
	}
	if !filepath.IsAbs(c.Command) || filepath.Clean(c.Command) != c.Command || strings.Contains(c.Command, "\x00") {
		return store.Errorf(store.Invalid, "command %q: want an absolute path without detours", c.Command).At("command")
	}
	info, err := os.Stat(c.Command)
	switch {
	case err != nil:
		return store.Errorf(store.Invalid, "command %q: %w", c.Command, err).At("command")
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return store.Errorf(store.Invalid, "command %q: want an executable file, it is %s", c.Command, info.Mode()).At("command")
	}
	return nil
}

// checkDir looks at the working directory.
func (c Config) checkDir() error {
	if !filepath.IsAbs(c.Dir) {
		return store.Errorf(store.Invalid, "dir %q: want an absolute path", c.Dir).At("dir")
	}
	info, err := os.Stat(c.Dir)
	switch {
	case err != nil:
		return store.Errorf(store.Invalid, "dir %q: %w", c.Dir, err).At("dir")
	case !info.IsDir():
		return store.Errorf(store.Invalid, "dir %q: want a directory", c.Dir).At("dir")
	}
	return nil
}

// checkBounds looks at what has a least or a largest value.
func (c Config) checkBounds() error {
	var errs []error
	for _, b := range []struct {
		ok    bool
		key   string
		value any
		want  string
	}{
		{c.Timeout >= 100*time.Millisecond && c.Timeout <= time.Hour, "timeout", c.Timeout, "100ms to 1h"},
		{c.KillAfter > 0 && c.KillAfter <= 4*time.Second, "killAfter", c.KillAfter, "more than 0, up to 4s"},
		{c.MaxOutput >= 256 && c.MaxOutput <= 64<<20, "maxOutput", c.MaxOutput, "256 to 67108864 (bytes)"},
		{c.MaxLog >= 256 && c.MaxLog <= 64<<20, "maxLog", c.MaxLog, "256 to 67108864 (bytes)"},
		{c.Limits.CPU >= 0 && c.Limits.CPU%time.Second == 0, "limits.cpu", c.Limits.CPU, "whole seconds"},
		{c.Limits.Memory >= 0, "limits.memory", c.Limits.Memory, "0 (no limit) or more (bytes)"},
		{c.Limits.Files == 0 || c.Limits.Files >= 3, "limits.files", c.Limits.Files, "0 (no limit) or 3 and more"},
		{c.Limits.Processes >= 0, "limits.processes", c.Limits.Processes, "0 (no limit) or more"},
		{c.Limits.FileSize >= 0, "limits.fileSize", c.Limits.FileSize, "0 (no limit) or more (bytes)"},
		{c.Group == "" || c.User != "", "group", c.Group, "a user beside it"},
	} {
		if !b.ok {
			errs = append(errs, store.Errorf(store.Invalid, "%s %v: want %s", b.key, b.value, b.want).At(b.key))
		}
	}
	return errors.Join(errs...)
}

// environment returns Env as a program gets it; never nil, which would mean the
// environment of the daemon.
func (c Config) environment() []string {
	env := make([]string, 0, len(c.Env))
	for k, v := range c.Env {
		env = append(env, k+"="+v)
	}
	slices.Sort(env)
	return env
}
