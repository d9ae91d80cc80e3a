package postgrestarget

import (
	"fmt"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// advised returns an error about the set-up with where to look for more: what a pass
// runs into is one thing, and all that is wrong is told by Diagnose.
func (t *Target) advised(err error) error {
	advice := "purger doctor " + t.cfg.Name
	if err == nil || strings.Contains(err.Error(), advice) {
		return err
	}
	return fmt.Errorf("%w; for more see: %s", err, advice)
}

// ifForbidden is [Target.advised] for an error about rights.
func (t *Target) ifForbidden(err error) error {
	if store.CodeOf(err) == store.Forbidden {
		return t.advised(err)
	}
	return err
}
