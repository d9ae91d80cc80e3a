package main

import (
	"reflect"
	"slices"
	"sync"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// settings is the configuration in force. It is safe for concurrent use; the
// zero value has to be set first.
type settings struct {
	mu  sync.Mutex
	cfg config.Config
}

// get returns the configuration in force. Its lists must not be changed.
func (s *settings) get() config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// set replaces it.
func (s *settings) set(cfg config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
}

// serveConfig returns the configuration for the daemon: that of every command,
// and the flags of serve above it.
func (a *app) serveConfig(f serveFlags) (config.Config, error) {
	cfg, err := a.config()
	if err != nil {
		return cfg, err
	}
	for _, address := range f.listen {
		probe := config.Default()
		probe.Web.ListenAddress = address
		if err := probe.Validate(); err != nil {
			return cfg, usageErrorf("--web.listen-address %q: want an address and a port, such as 127.0.0.1:9464", address)
		}
	}
	if f.webConfig != "" {
		cfg.Web.ConfigFile = f.webConfig
	}
	cfg.Web.Insecure = cfg.Web.Insecure || f.insecure
	return cfg, checkWeb(cfg, f.listen)
}

// restartOnly returns the fields that differ between two configurations and
// take effect only at a start.
func restartOnly(a, b config.Config) []string {
	var keys []string
	for _, f := range []struct {
		key     string
		differs bool
	}{
		{"dataDir", a.DataDir != b.DataDir},
		{"log.format", a.Log.Format != b.Log.Format},
		{"web.listenAddress", a.Web.ListenAddress != b.Web.ListenAddress},
		{"web.configFile", a.Web.ConfigFile != b.Web.ConfigFile},
		{"web.insecure", a.Web.Insecure != b.Web.Insecure},
		{"purge.drainTimeout", a.Purge.DrainTimeout != b.Purge.DrainTimeout},
		{"store.transactionTarget", a.Store.TransactionTarget != b.Store.TransactionTarget},
		{"store.mmapSize", a.Store.MmapSize != b.Store.MmapSize},
		{"store.importTempDir", a.Store.ImportTempDir != b.Store.ImportTempDir},
		{"targets", !reflect.DeepEqual(unlimited(a.Targets), unlimited(b.Targets))},
		{"source", !reflect.DeepEqual(unbounded(a.Source), unbounded(b.Source))},
	} {
		if f.differs {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// unlimited returns targets without what may change while the daemon runs.
func unlimited(list []config.Target) []config.Target {
	list = slices.Clone(list)
	for i := range list {
		list[i].Policy = config.TargetPolicy{}
	}
	return list
}

// unbounded returns a source without what may change while the daemon runs.
func unbounded(s *config.Source) config.Source {
	if s == nil {
		return config.Source{}
	}
	return reloaded(*s, config.Source{})
}

// reloaded returns a source with what of next may change while the daemon runs.
func reloaded(s, next config.Source) config.Source {
	s.MaxChange, s.MaxChangeFloor = next.MaxChange, next.MaxChangeFloor
	s.SyncTimeout, s.MaxAge = next.SyncTimeout, next.MaxAge
	return s
}

// keepRestartOnly returns next with the fields of restartOnly as they are in
// now, which is what the daemon goes on to work with.
func keepRestartOnly(now, next config.Config) config.Config {
	next.DataDir = now.DataDir
	next.Log.Format = now.Log.Format
	next.Web = now.Web
	next.Purge.DrainTimeout = now.Purge.DrainTimeout
	compactAfter := next.Store.CompactAfter
	next.Store = now.Store
	next.Store.CompactAfter = compactAfter
	next.Targets = withPolicies(now.Targets, next.Targets)
	if now.Source == nil || next.Source == nil {
		next.Source = now.Source
		return next
	}
	src := reloaded(*now.Source, *next.Source)
	next.Source = &src
	return next
}

// withPolicies returns targets with the policies that those of the same name have
// in next.
func withPolicies(list, next []config.Target) []config.Target {
	list = slices.Clone(list)
	for i, t := range list {
		if n := slices.IndexFunc(next, func(v config.Target) bool { return v.Name == t.Name }); n >= 0 {
			list[i].Policy = next[n].Policy
		}
	}
	return list
}
