package api

import (
	"strings"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// The header fields of a confirmation, as they are told.
const (
	confirmHeader     = client.HeaderConfirm
	qlikConfirmHeader = "qlik-confirm-hostname"
)

// confirmation is what a request says about the host name of its tenant, so that
// a wrong id does not end the service of another one.
type confirmation struct {
	names    map[string][]string // by header field
	required bool                // for a tenant that has a host name
}

// confirmationOf reads the confirmation of a request that may have one.
func confirmationOf(r *request) confirmation {
	return confirmation{names: map[string][]string{
		confirmHeader: r.Header.Values(confirmHeader), qlikConfirmHeader: r.Header.Values(qlikConfirmHeader),
	}}
}

// confirmed reads the confirmation of a request that must have one, unless the
// configuration says otherwise.
func (s *server) confirmed(r *request) confirmation {
	c := confirmationOf(r)
	c.required = !s.policy().HostnameOptional
	return c
}

// check refuses, with Invalid about the header field, a confirmation that is not
// that of t.
func (c confirmation) check(t *store.Tenant) error {
	there := false
	for _, header := range []string{qlikConfirmHeader, confirmHeader} {
		for _, name := range c.names[header] {
			if !sameHost(name, t.Hostname) {
				return parameterf(header, "%s %s: it is not the host name of tenant %q", header, store.Quote(name), t.ID)
			}
			there = true
		}
	}
	if c.required && !there && t.Hostname != "" {
		return parameterf(qlikConfirmHeader, "tenant %q has a host name: want it in the header %s or %s", t.ID, qlikConfirmHeader, confirmHeader)
	}
	return nil
}

// sameHost compares a host name, which may end in a dot, with that of a tenant.
// The lengths are compared, too, since a letter beyond ASCII may fold to one of it.
func sameHost(name, of string) bool {
	name, of = strings.TrimSuffix(name, "."), strings.TrimSuffix(of, ".")
	return len(name) == len(of) && strings.EqualFold(name, of)
}
