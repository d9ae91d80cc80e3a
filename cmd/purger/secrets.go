package main

import (
	"os"
	"reflect"
	"strings"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// inUse is what a target, or the source, was made of.
type inUse struct {
	where string // such as "targets[0] (crm)"
	// record is what the configuration says, with references to secrets; resolved
	// has the secrets in their place.
	record, resolved any
}

// secretsOf finds the secrets that a process is given.
func secretsOf() config.Secrets {
	return config.Secrets{Directory: os.Getenv("CREDENTIALS_DIRECTORY")}
}

// changedSecrets returns where other secrets can be read now than are in use. What
// cannot be read is left out; see checkExternal.
func (x *external) changedSecrets() []string {
	var changed []string
	for _, u := range x.inUse {
		now, err := config.Resolve(secretsOf(), u.record)
		if err == nil && !reflect.DeepEqual(now, u.resolved) {
			changed = append(changed, u.where)
		}
	}
	return changed
}

// tellSecrets logs what the secrets of a configuration, as they are now, mean for the
// next start. Targets and source are made once: a purge that is half done would
// otherwise go on with an account that may see other rows.
func (d *daemon) tellSecrets(next config.Config) {
	if changed := d.external.changedSecrets(); len(changed) > 0 {
		d.logger.Warn("these secrets have changed and take effect only after a restart", zap.Strings("secretsOf", changed))
	}
	if err := checkExternal(next, d.app.configFile); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.logger.Warn("with targets and source as they are now the daemon would not start again", zap.String("error", printable(line)))
		}
	}
}
