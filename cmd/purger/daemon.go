package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// How long the steps of a start and of a stop may take.
const (
	lockTimeout  = 10 * time.Second // for a command that has the store open
	serverBound  = 5 * time.Second  // for the requests under way
	drainMargin  = 5 * time.Second  // beyond purge.drainTimeout
	closeBound   = 60 * time.Second // for the last transaction of the store
	upkeepBound  = 60 * time.Second // for a compaction
	statusPeriod = 30 * time.Second // of the status line for the service manager
)

// daemon is what serve runs. Its fields are set in the order of the start.
type daemon struct {
	app      *app
	flags    serveFlags
	settings settings
	logger   *zap.Logger
	level    zap.AtomicLevel
	notify   notifier
	stop     stopStack

	store     *boltstore.Store
	metrics   *metrics.Metrics
	external  *external
	engine    *purge.Engine
	scheduler *scheduler.Scheduler
	passes    *passWatcher
	callers   *callers
	gate      *api.Gate
	deletions *api.Deletions
	// operations serves metrics and health.
	operations http.Handler
	compaction compaction
	addresses  []string    // of metrics and health
	reloading  sync.Mutex  // one reload at a time
	changing   sync.Mutex  // see whileServing; taken after reloading
	secrets    secretsLook // of reloads
	// failed takes the errors of what runs beside the main loop; the first one
	// ends the daemon.
	failed chan error
}

// openStore opens the store, after making sure that no other daemon serves it.
func (d *daemon) openStore(ctx context.Context) error {
	cfg := d.settings.get()
	if c, err := client.Dial(ctx, filepath.Join(cfg.DataDir, client.SocketName)); err == nil {
		return &exitError{code: exitTryAgain, err: errors.Join(
			fmt.Errorf("another purger serves %s; want one daemon for each data directory", cfg.DataDir), c.Close())}
	}
	o := storeOptions(cfg, d.logger.Named("store"), false)
	o.LockTimeout = lockTimeout
	st, err := boltstore.Open(ctx, o)
	if err != nil {
		return unusable(err)
	}
	d.store = st
	d.stop.push("store", closeBound, func(context.Context) error { return st.Close() })
	return nil
}

// unusable gives the error of a store that is foreign, damaged or not for this
// user to write an exit code of its own: other than a lock, a full disk or a want
// of memory, that does not pass by itself, and to start again would only read the
// file again.
func unusable(err error) error {
	switch store.CodeOf(err) {
	case store.Precondition, store.Internal:
		return &exitError{code: exitStore, err: err}
	}
	return err
}

// buildEngine makes everything that passes need, and what watches them.
func (d *daemon) buildEngine(ctx context.Context) error {
	cfg, build := d.settings.get(), readBuildInfo()
	var err error
	if d.callers, err = newCallers(cfg, d.logger.Named("auth")); err != nil {
		return err
	}
	d.deletions = api.NewDeletions(d.logger.Named("api"))
	reg := metrics.NewRegistry()
	d.metrics = metrics.New(reg, metrics.Build{Version: build.Version, Revision: build.Revision, GoVersion: build.GoVersion})
	d.metrics.WatchStore(d.store)
	d.metrics.ConfigReloaded(true, time.Now())
	d.external, err = openExternal(cfg, externalOptions{store: d.store, metrics: d.metrics, logger: d.logger.Named("external"), file: d.app.configFile, synced: d.synced})
	if err != nil {
		return err
	}
	d.stop.push("targets and source", closeBound, func(context.Context) error { return d.external.Close() })
	d.engine, err = purge.New(purge.Options{
		Store: d.store, Targets: d.external.all(), Source: d.external.source,
		Metrics: d.metrics, Logger: d.logger.Named("purge"), Settings: cfg.PurgeSettings(),
	})
	if err != nil {
		return err
	}
	schedule, err := scheduler.ParseSchedule(cfg.Purge.Schedule)
	if err != nil {
		return &exitError{code: exitConfig, err: err}
	}
	d.passes = newPassWatcher(d)
	d.scheduler, err = scheduler.New(scheduler.Options{
		Runner: d.passes, Store: d.store, Schedule: schedule,
		Heartbeat: heartbeat(d.notify.watchdogInterval()), DrainTimeout: cfg.Purge.DrainTimeout,
		Logger: d.logger.Named("scheduler"), Metrics: d.metrics,
	})
	if err != nil {
		return err
	}
	d.operations = api.OperationsHandler(api.OperationsOptions{
		Gatherer: reg, Store: d.store, Scheduler: d.scheduler,
		Reload:       func(context.Context) error { return d.reload(ctx) }, // also when who asked has gone
		Authenticate: d.callers.onTCP,
		Version:      build.Version, Logger: d.logger, Metrics: d.metrics,
	})
	return nil
}

// openGate reads into memory who may be served.
func (d *daemon) openGate(ctx context.Context) error {
	began := time.Now()
	if err := d.store.LoadAccess(ctx); err != nil {
		return fmt.Errorf("read the tenants for the gate: %w", err)
	}
	d.logger.Debug("the gate knows the tenants", zap.Duration("took", time.Since(began)))
	d.gate = api.NewGate(api.GateOptions{
		Keeper: d.store, Authenticate: d.callers.onTCP, Logger: d.logger.Named("gate"), Metrics: d.metrics,
		Policy: func() api.GatePolicy {
			gate := d.settings.get().API.Gate
			return api.GatePolicy{AllowUnknown: gate.Unknown == "allow", Anonymous: gate.Anonymous}
		},
	})
	return nil
}

// serveSocket serves the API on the Unix socket.
func (d *daemon) serveSocket(context.Context) error {
	path := filepath.Join(d.settings.get().DataDir, client.SocketName)
	l, err := api.ListenUnix(path)
	if err != nil {
		return err
	}
	o := d.apiOptions()
	o.Scheduler, o.Metrics = d.scheduler, d.metrics
	o.Authenticate, o.Tokens, o.Gate = d.callers.onSocket, d.callers.local, d.gate
	srv := api.NewHTTPServer(api.New(o), d.logger.Named("api"))
	d.runServer("socket", srv, func() error { return srv.Serve(l) })
	d.logger.Info("serving the API", zap.String("socket", path))
	return nil
}

// apiOptions returns what the API is served with.
func (d *daemon) apiOptions() api.Options {
	cfg := d.settings.get()
	return api.Options{
		Store: d.store, Engine: d.engine, DataDir: cfg.DataDir, TempDir: cfg.Store.ImportTempDir,
		Version: readBuildInfo().Version, Logger: d.logger,
		Deletions: d.deletions, Policy: d.policy,
		Approvals: func() api.Approvals { return api.Approvals(d.settings.get().API.Approvals) },
		Targets:   d.external.targets, Syncer: d.external.syncer,
	}
}

// policy returns what the configuration says about calls.
func (d *daemon) policy() api.Policy {
	cfg := d.settings.get().API
	return api.Policy{HostnameOptional: cfg.ConfirmHostname == "optional", SyncTimeout: cfg.SyncTimeout}
}

// allowDeletions puts the end of deletions under way on the stop stack, above the
// servers: who waits for one is to be told.
func (d *daemon) allowDeletions(context.Context) error {
	d.stop.push("deletions", d.settings.get().Purge.DrainTimeout+drainMargin, d.deletions.Close)
	return nil
}

// runServer runs serve, and puts the end of srv on the stop stack.
func (d *daemon) runServer(name string, srv *http.Server, serve func() error) {
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("serve %s: %w", name, err)
		}
	}()
	d.stop.push(name, 2*serverBound, func(context.Context) error {
		ctx, cancel := context.WithTimeout(context.Background(), serverBound)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			// Whoever reads this slowly has had his time.
			return srv.Close()
		}
		return nil
	})
}

// startScheduler begins to purge. It comes last, so that the first pass can be
// watched, and is stopped first, so that the drain can be too.
func (d *daemon) startScheduler(ctx context.Context) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := d.scheduler.Run(run)
		if err != nil && run.Err() == nil {
			d.failed <- fmt.Errorf("the scheduler ended: %w", err)
			err = nil // it was told
		}
		done <- err
	}()
	d.stop.push("scheduler", d.settings.get().Purge.DrainTimeout+drainMargin, func(ctx context.Context) error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return d.firstBeat(ctx)
}

// firstBeat waits until the scheduler's loop turns: only then is the daemon
// ready, and does it know when the next pass is.
func (d *daemon) firstBeat(ctx context.Context) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for d.scheduler.Status().LastBeat.IsZero() {
		select {
		case <-look.C:
		case err := <-d.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
