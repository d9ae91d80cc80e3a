package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
)

// serveFlags are the flags of the command "serve".
type serveFlags struct {
	importFile string
	listen     []string // none: web.listenAddress of the configuration
	webConfig  string
	insecure   bool
}

// newServe returns the command "serve".
func newServe(a *app) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the daemon", GroupID: groupDaemon,
		Long: `serve runs the daemon: it keeps the store, purges what is due on the schedule, at
the start and when told to, and serves the API on a Unix socket in the data
directory and, with metrics and health, over HTTP.

Signals: SIGUSR1 begins a pass. SIGUSR2 logs the plan and every gate. SIGHUP loads
the configuration again; a bad one changes nothing. SIGTERM and SIGINT end the
running batch and then the daemon; a second SIGINT does not wait for it.`,
		Example: "  purger serve --import tenants.ndjson\n  purger serve --config /etc/purger/purger.yaml",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.here(cmd); err != nil {
				return err
			}
			return a.serve(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.importFile, "import", "", "NDJSON file to import first; what is in the store already is kept")
	cmd.Flags().StringArrayVar(&f.listen, "web.listen-address", nil, "address for the API, metrics and health (repeatable; default: web.listenAddress, 127.0.0.1:9464)")
	cmd.Flags().StringVar(&f.webConfig, "web.config.file", "", "exporter-toolkit file for TLS and basic auth")
	cmd.Flags().BoolVar(&f.insecure, "web.insecure", false, "listen without TLS beyond the loopback address, too")
	return cmd
}

// serve runs the daemon until ctx ends, which is a clean end, or until a part of
// it fails.
func (a *app) serve(ctx context.Context, f serveFlags) (err error) {
	cfg, err := a.serveConfig(f)
	if err != nil {
		return err
	}
	d := &daemon{app: a, flags: f, failed: make(chan error, 8)}
	d.settings.set(cfg)
	d.logger, d.level = newLogger(cfg.Log, a.stderr)
	d.notify = notifier{d.logger}
	d.stop = stopStack{logger: d.logger}
	build := readBuildInfo()
	d.logger.Info("purger starts", zap.String("version", build.Version), zap.String("revision", build.Revision),
		zap.Int("pid", os.Getpid()), zap.String("data_dir", cfg.DataDir), zap.String("config", a.configFile))
	ctx, end := context.WithCancelCause(ctx) // for a failed part to end what a signal does
	defer func() {
		d.ending(end)
		d.notify.status("ending the running batch; what is left goes on at the next start")
		err = errors.Join(err, d.stop.unwind())
		switch {
		case err == nil:
			d.logger.Info("purger ends")
		case !console(cfg.Log, a.stderr) && !toJournal(a.stderr):
			// A person and the journal get the error as text, which follows; a
			// machine does not read that.
			d.logger.Error("purger ends with an error", zap.Error(err))
		}
	}()
	d.warnOfUsers(cfg)
	d.warnOfExposed(cfg)
	d.notify.status("opening the store in %s", cfg.DataDir)
	for _, step := range []func(context.Context) error{
		d.openStore, d.buildEngine, d.importFirst, d.remember, d.openGate, d.serveSocket, d.serveWeb, d.allowDeletions, d.startSource, d.startScheduler,
	} {
		err := step(ctx)
		if ctx.Err() != nil {
			d.logger.Info("stopped while starting", zap.String("reason", context.Cause(ctx).Error()), zap.Error(err))
			return nil
		}
		if err != nil {
			return err
		}
	}
	d.startHousekeeping(ctx)
	d.notify.ready()
	d.logger.Info("purger is ready", zap.Strings("web", d.addresses))
	return d.loop(ctx)
}

// warnOfUsers tells the log what the users of basic auth take away.
func (d *daemon) warnOfUsers(cfg config.Config) {
	file, err := readWebConfig(cfg.Web.ConfigFile)
	if err != nil || len(file.Users) == 0 {
		return // serveConfig has read it
	}
	d.logger.Warn("basic_auth_users is set: basic auth and bearer tokens share one header, Authorization, so that nobody can send a token to the API on web.listenAddress, "+
		"and gateways have to send a user and a password; want client certificates (client_auth_type) in place of users, or the Unix socket",
		zap.String("file", cfg.Web.ConfigFile))
}

// storeFailure returns why the daemon leaves when a write has failed, nil while
// none has.
func (d *daemon) storeFailure() error {
	err := d.store.Failure()
	if err == nil {
		return nil
	}
	return &exitError{code: exitFailure, err: fmt.Errorf("the store has failed: %w; start purger anew", err)}
}

// reloads loads the configuration again at every SIGHUP until ctx ends, as it does when
// the daemon ends. It is beside the main loop: a file on a mount that is dead can neither
// be read nor given up, and the daemon ends without waiting for it.
func (d *daemon) reloads(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.app.signals.reload:
			// What is wrong with the configuration is logged there, and nothing
			// has changed.
			_ = d.reload(ctx)
		}
	}
}

// loop does what signals ask for until ctx ends or a part of the daemon fails.
func (d *daemon) loop(ctx context.Context) error {
	go d.reloads(ctx)
	for {
		select {
		case <-ctx.Done():
			d.logger.Info("draining", zap.String("reason", context.Cause(ctx).Error()))
			return nil
		case err := <-d.failed:
			// Whoever found out first that the store has failed.
			return cmp.Or(d.storeFailure(), err)
		case <-d.store.Failed():
			return d.storeFailure()
		case <-d.app.signals.trigger:
			d.logger.Info("a pass was asked for by signal")
			d.scheduler.Trigger(purge.TriggerSignal)
		}
	}
}
