package main

import (
	"io"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/purge/restsource"
	"github.com/tenantpurge/purger/store"
)

// openSource makes the source and what syncs it.
func (x *external) openSource(cfg config.Config, secrets config.Secrets, o externalOptions) error {
	if cfg.Source == nil {
		return nil
	}
	src, err := x.newSource(cfg, secrets, o)
	if err != nil && o.lenient {
		src, err = unmadeSource{err}, nil
	}
	if err != nil {
		return err
	}
	if c, ok := src.(io.Closer); ok {
		x.close = append(x.close, c)
	}
	if o.checkOnly {
		return nil
	}
	x.source = src
	x.syncer, err = purge.NewSyncer(purge.SyncOptions{
		Store: o.store, Source: src, TempDir: cfg.Store.ImportTempDir, Metrics: o.metrics, Logger: o.logger.Named("source"),
		Settings: syncSettings(cfg), Good: o.synced,
	})
	return err
}

// syncSettings returns what the configuration says about syncs.
func syncSettings(cfg config.Config) purge.SyncSettings {
	return purge.SyncSettings{
		Timeout:   cfg.Source.SyncTimeout,
		MaxChange: cfg.Source.MaxChange, Floor: cfg.Source.MaxChangeFloor,
		Grace: cfg.Tenants.GracePeriod, Protected: cfg.Tenants.Protected,
	}
}

// newSource makes the source.
func (x *external) newSource(cfg config.Config, secrets config.Secrets, o externalOptions) (purge.Source, error) {
	options, err := config.Resolve(secrets, cfg.Source.Options)
	if err != nil {
		return nil, err
	}
	x.inUse = append(x.inUse, inUse{"source", "", cfg.Source.Options, options})
	log := o.logger.Named("source")
	switch c := options.(type) {
	case postgressource.Config:
		return madeSource(postgressource.New(c, postgressource.Options{Logger: log}))
	case restsource.Config:
		return madeSource(restsource.New(c, restsource.Options{}))
	}
	return nil, store.Errorf(store.Internal, "type %q is in the configuration and not in the daemon", cfg.Source.Type)
}

// madeSource keeps a source that is nil from being one that is not.
func madeSource[S purge.Source](s S, err error) (purge.Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
