package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// external is what the configuration names outside the store.
type external struct {
	targets []*purge.GuardedTarget
	source  purge.Source // nil for none
	syncer  *purge.Syncer
	close   []io.Closer
	// inUse are the secrets that targets and source were made with.
	inUse []inUse
	// unmade is what a lenient open could not make, as openExternal would have told
	// it; nil when everything was made. unmadeSource is the source's part of it.
	unmade, unmadeSource error
}

// externalOptions are what external systems are opened with.
type externalOptions struct {
	store   *boltstore.Store
	metrics *metrics.Metrics // may be nil
	logger  *zap.Logger
	// lenient puts a target in the place of one that cannot be made, such as for
	// want of a credential, that refuses to count and to remove: whoever asks for
	// the status needs no targets. Nobody begins a purge without them: external.unmade
	// is for whoever might.
	lenient bool
	// checkOnly makes what writes nothing and needs no store.
	checkOnly bool
	// file is that of the configuration, for the lines in errors; "" tells none.
	file string
	// synced is the Good of the syncer.
	synced func(before time.Time)
}

// openExternal makes targets and source, and calls nobody. Its error tells all
// that is wrong with the configuration.
func openExternal(cfg config.Config, o externalOptions) (*external, error) {
	x := &external{}
	secrets := secretsOf()
	errs := x.openTargets(cfg, secrets, o)
	errs = append(errs, o.wrong("source", "", x.openSource(cfg, secrets, o))...)
	if len(errs) > 0 {
		return nil, &exitError{code: exitConfig, err: errors.Join(append(errs, x.Close())...)}
	}
	x.noteUnmade(o)
	return x, nil
}

// noteUnmade notes what could not be made, and why.
func (x *external) noteUnmade(o externalOptions) {
	var errs []error
	for i, t := range x.targets {
		if u, ok := purge.As[unmade](t); ok {
			errs = append(errs, o.wrong(fmt.Sprintf("targets[%d]", i), u.name, u.why)...)
		}
	}
	if u, ok := x.source.(unmadeSource); ok {
		of := o.wrong("source", "", u.why)
		x.unmadeSource = &exitError{code: exitConfig, err: errors.Join(of...)}
		errs = append(errs, of...)
	}
	if len(errs) > 0 {
		x.unmade = &exitError{code: exitConfig, err: errors.Join(errs...)}
	}
}

// checkExternal returns an error if a daemon could not make its targets and its
// source, for want of a secret, too. It calls nobody.
func checkExternal(cfg config.Config, file string) error {
	x, err := openExternal(cfg, externalOptions{logger: zap.NewNop(), checkOnly: true, file: file})
	if err != nil {
		return err
	}
	return x.Close()
}

// openTargets makes the targets and returns all that is wrong with them.
func (x *external) openTargets(cfg config.Config, secrets config.Secrets, o externalOptions) []error {
	var errs []error
	for i, t := range cfg.Targets {
		if t.Options == nil {
			continue // the file could not be read so far, which is told already
		}
		path := fmt.Sprintf("targets[%d]", i)
		target, err := x.newTarget(cfg, t, fmt.Sprintf("%s (%s)", path, t.Name), secrets, o)
		if err != nil && o.lenient {
			target, err = unmade{t.Name, err}, nil
		}
		if err != nil {
			errs = append(errs, o.wrong(path, t.Name, err)...)
			continue
		}
		if c, ok := target.(io.Closer); ok {
			x.close = append(x.close, c)
		}
		policy, err := t.Policy.Parsed()
		if err == nil {
			var g *purge.GuardedTarget
			g, err = purge.Guarded(target, policy, purge.GuardOptions{Observer: o.metrics, Logger: o.logger.Named(t.Name)})
			x.targets = append(x.targets, g)
		}
		errs = append(errs, o.wrong(path+".policy", "", err)...)
	}
	return errs
}

// wrong puts where it is, the line, the path in the configuration and a target's
// name, in front of each error that err joins; none for nil.
func (o externalOptions) wrong(path, name string, err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		at := config.Problem{File: o.file, Field: path}
		if name != "" {
			at.Field += " (" + name + ")"
		}
		if o.file != "" {
			at.Line = config.Line(o.file, path+"."+fieldOf(err))
		}
		return []error{fmt.Errorf("%s: %w", at, err)}
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, o.wrong(path, name, err)...)
	}
	return errs
}

// fieldOf returns the field that an error names; "" for none.
func fieldOf(err error) string {
	var e *store.Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}

// newTarget makes one target.
func (x *external) newTarget(cfg config.Config, t config.Target, where string, secrets config.Secrets, o externalOptions) (purge.Target, error) {
	options, err := config.Resolve(secrets, t.Options)
	if err != nil {
		return nil, err
	}
	x.inUse = append(x.inUse, inUse{where, t.Name, t.Options, options})
	log := o.logger.Named(t.Name)
	switch c := options.(type) {
	case postgrestarget.Config:
		c.Name = t.Name
		return made(postgrestarget.New(c, postgrestarget.Options{Logger: log, Beside: beside(cfg, t)}))
	case resttarget.Config:
		c.Name = t.Name
		return made(resttarget.New(c, resttarget.Options{Logger: log}))
	case scimtarget.Config:
		c.Name = t.Name
		return made(scimtarget.New(c, scimtarget.Options{Logger: log}))
	case commandtarget.Config:
		c.Name = t.Name
		return made(commandtarget.New(c, commandtarget.Options{Logger: log}))
	case oauthtarget.Config:
		c.Name = t.Name
		c.Journal = cmp.Or(c.Journal, filepath.Join(cfg.DataDir, "oauth-"+t.Name+".journal"))
		opt := oauthtarget.Options{Logger: log}
		if c.Clients == "" {
			opt.Registry = oauthtarget.FromDirectory(o.store)
		}
		if said, ok := t.Options.(oauthtarget.Config); ok && strings.HasPrefix(said.Clients, "${credential:") {
			log.Warn("systemd copies a credential at the start, and clients that are registered later are not in it; want ${file:/path} for clients", zap.String("clients", said.Clients))
		}
		if o.checkOnly { // its journal is a file, and the daemon may have it open
			c.Journal, opt.Journal = "", noJournal{}
		}
		return made(oauthtarget.New(c, opt))
	}
	return nil, store.Errorf(store.Internal, "type %q is in the configuration and not in the daemon", t.Type)
}

// beside returns the other targets with the same DSN, as it stands in the file, and
// without it.
func beside(cfg config.Config, t config.Target) []postgrestarget.Config {
	mine, _ := t.Options.(postgrestarget.Config)
	var others []postgrestarget.Config
	for _, other := range cfg.Targets {
		if c, ok := other.Options.(postgrestarget.Config); ok && other.Name != t.Name && c.DSN == mine.DSN {
			c.Name, c.DSN = other.Name, ""
			others = append(others, c)
		}
	}
	return others
}

// made keeps a target that is nil from being one that is not.
func made[T purge.Target](t T, err error) (purge.Target, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

// all returns the targets as the engine takes them.
func (x *external) all() []purge.Target {
	list := make([]purge.Target, len(x.targets))
	for i, t := range x.targets {
		list[i] = t
	}
	return list
}

// check returns what configure must not apply: a policy that does not go with what its
// target was made with, and goes on with until a restart. The error is a
// [*config.Problems].
func (x *external) check(cfg config.Config, file string) error {
	var problems []config.Problem
	for i, t := range cfg.Targets {
		made := slices.IndexFunc(x.inUse, func(u inUse) bool { return u.target == t.Name })
		policy, err := t.Policy.Parsed()
		if made < 0 || err != nil { // which configure says
			continue
		}
		if c, ok := x.inUse[made].resolved.(postgrestarget.Config); ok && c.CheckPolicy(policy) != nil {
			inForce := "its default"
			if c.StatementTimeout > 0 {
				inForce = c.StatementTimeout.String()
			}
			path := fmt.Sprintf("targets[%d].policy.timeout", i)
			problems = append(problems, config.Problem{File: file, Line: config.Line(file, path), Field: path, Value: policy.Timeout.String(),
				Want: fmt.Sprintf("want more than the statementTimeout of the start, %s, which goes on until a restart", inForce)})
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &config.Problems{List: problems}
}

// configure applies what of a configuration may change while the daemon runs.
func (x *external) configure(cfg config.Config) error {
	for _, t := range cfg.Targets {
		i := slices.IndexFunc(x.targets, func(g *purge.GuardedTarget) bool { return g.Name() == t.Name })
		if i < 0 {
			continue // it is new, and takes a restart
		}
		policy, err := t.Policy.Parsed()
		if err == nil {
			err = x.targets[i].SetPolicy(policy)
		}
		if err != nil {
			return err
		}
	}
	if x.syncer != nil && cfg.Source != nil {
		return x.syncer.Configure(syncSettings(cfg))
	}
	return nil
}

// Close releases what targets and source hold, of all of them at a time: each may have
// something to wait for.
func (x *external) Close() error {
	errs := make([]error, len(x.close))
	var all sync.WaitGroup
	for i, c := range x.close {
		all.Go(func() { errs[i] = c.Close() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// noJournal is the journal of a target that is never used.
type noJournal struct{}

// Entry implements oauthtarget.Journal.
func (noJournal) Entry(key string) oauthtarget.Entry { return oauthtarget.Entry{Key: key} }

// Sent implements oauthtarget.Journal.
func (noJournal) Sent(string) []oauthtarget.Entry { return nil }

// Record implements oauthtarget.Journal.
func (noJournal) Record(oauthtarget.Entry) error {
	return store.Errorf(store.Precondition, "this target is only looked at")
}
