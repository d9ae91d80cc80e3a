package boltstore

import (
	"context"
	"errors"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// errHostsUnknown says that who has which host name is not in memory.
var errHostsUnknown = errors.New("host names are not loaded")

// withHosts runs change, and once more with all host names in memory if it has asked
// for them.
func (s *Store) withHosts(ctx context.Context, change func() error) error {
	err := change()
	if !errors.Is(err, errHostsUnknown) {
		return err
	}
	if err := s.LoadAccess(ctx); err != nil {
		return err
	}
	return change()
}

// hostIsFree refuses a host name, unless it is "", that another tenant than the one
// with the id has. The index knows what is committed, and the changes of this
// transaction come on top of it.
func (w *wtx) hostIsFree(id, host string) error {
	if !w.s.opt.UniqueHosts || host == "" {
		return nil
	}
	if w.access == nil || w.access != w.s.accessReady.Load() {
		return errHostsUnknown
	}
	host = strings.ToLower(host)
	holds := map[string]bool{}
	for i := range w.accessChanges {
		switch c := &w.accessChanges[i]; host {
		case c.host:
			holds[c.id] = true
		case c.oldHost:
			holds[c.id] = false
		}
	}
	for other, has := range holds {
		if has && other != id {
			return hostTaken(other)
		}
	}
	if other := w.access.otherWith(host, id, holds); other != "" {
		return hostTaken(other)
	}
	return nil
}

// hostTaken names the tenant that has a host name. The name itself would get into
// the log.
func hostTaken(by string) error {
	return store.Errorf(store.Conflict, "hostname: tenant %q has it; want one that no other tenant has", by).At("hostname")
}

// otherWith returns a tenant with a host name that is not id, and of which left does
// not say that it has given the name up; "" for none.
func (x *accessIndex) otherWith(host, id string, left map[string]bool) string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for n := x.hosts[host]; n != 0; n = x.node(n).next {
		other := x.node(n).id
		if has, changed := left[other]; other != id && (has || !changed) {
			return other
		}
	}
	return ""
}
