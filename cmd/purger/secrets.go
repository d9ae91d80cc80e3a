package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// inUse is what a target, or the source, was made of.
type inUse struct {
	where  string // such as "targets[0] (crm)"
	target string // its name; "" for the source
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

// secretsBound is how long a reload waits for secrets to be read. That is beside what
// it does: a mount that is dead keeps nobody from changing a policy.
const secretsBound = 10 * time.Second

// tellSecrets logs what the secrets of a configuration, as they are now, mean for the
// next start. Targets and source are made once: a purge that is half done would
// otherwise go on with an account that may see other rows. It does not wait beyond the
// end of ctx.
func (d *daemon) tellSecrets(ctx context.Context, next config.Config) {
	select {
	case <-d.secrets.look(next, d.lookAtSecrets):
	case <-ctx.Done():
	case <-time.After(secretsBound):
		d.logger.Warn("the secrets could not be read in time: what has changed in them is told when they are", zap.Duration("within", secretsBound))
	}
}

// secretsLook looks at the secrets of one configuration at a time: on a mount that is
// dead no look ends, and there might be one more with each reload. The zero value is
// ready. It is safe for concurrent use.
type secretsLook struct {
	mu   sync.Mutex
	next *config.Config // the newest, to be looked at after the one under way
	done chan struct{}  // not nil while one is under way
}

// look has the secrets of a configuration looked at by at. The channel is closed when
// that has been done, or a newer one was looked at in its place.
func (l *secretsLook) look(cfg config.Config, at func(config.Config)) (done <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = &cfg
	if l.done == nil {
		l.done = make(chan struct{})
		go func() {
			for next := l.take(); next != nil; next = l.take() {
				at(*next)
			}
		}()
	}
	return l.done
}

// take returns what to look at next, nil at the end.
func (l *secretsLook) take() *config.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.next
	if l.next = nil; next == nil {
		close(l.done)
		l.done = nil
	}
	return next
}

// lookAtSecrets reads the secrets and logs what they mean.
func (d *daemon) lookAtSecrets(next config.Config) {
	if changed := d.external.changedSecrets(); len(changed) > 0 {
		d.logger.Warn("these secrets have changed and take effect only after a restart", zap.Strings("secretsOf", changed))
	}
	if err := checkExternal(next, d.app.configFile); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.logger.Warn("with targets and source as they are now the daemon would not start again", zap.String("error", printable(line)))
		}
	}
	d.warnOfExposed(next)
}

// exposedSecrets returns a line for each file of a secret that others may read or
// change, with where it is needed.
func exposedSecrets(cfg config.Config, file string) []string {
	var lines []string
	tell := func(path, name string, options any) {
		at := config.Problem{File: file, Field: path}
		if name != "" {
			at.Field += " (" + name + ")"
		}
		for _, text := range config.Exposed(options) {
			if file != "" {
				at.Line = config.Line(file, path)
			}
			lines = append(lines, at.String()+": "+text)
		}
	}
	for i, t := range cfg.Targets {
		tell(fmt.Sprintf("targets[%d]", i), t.Name, t.Options)
	}
	if cfg.Source != nil {
		tell("source", "", cfg.Source.Options)
	}
	return lines
}

// warnOfExposed tells the log of exposedSecrets.
func (d *daemon) warnOfExposed(cfg config.Config) {
	for _, line := range exposedSecrets(cfg, d.app.configFile) {
		d.logger.Warn("a secret can be read or changed by others", zap.String("secret", printable(line)))
	}
}
