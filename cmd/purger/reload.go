package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/scheduler"
)

// reload loads the configuration again and applies it. A bad one changes
// nothing: every problem is logged, and the error tells them all. ctx is that of the
// daemon; once it has ended nothing is changed. It is safe for concurrent use.
func (d *daemon) reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if ctx.Err() != nil { // while another reload was waited for
		return context.Cause(ctx)
	}
	d.notify.reloading()
	err := d.apply(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer d.notify.ready()
	d.metrics.ConfigReloaded(err == nil, time.Now())
	if err == nil {
		d.logger.Info("the configuration was loaded again", zap.String("config", d.app.configFile))
		return nil
	}
	var problems *config.Problems
	if !errors.As(err, &problems) {
		d.logger.Error("the configuration is bad and nothing was changed", zap.String("config", d.app.configFile), zap.Error(err))
		return err
	}
	for _, p := range problems.List {
		d.logger.Error("the configuration is bad and nothing was changed",
			zap.String("file", p.File), zap.Int("line", p.Line), zap.String("field", p.Field),
			zap.String("value", p.Value), zap.String("want", p.Want))
	}
	return err
}

// reconsider lets purges go on that wait for a target which may be called earlier
// by now.
func (d *daemon) reconsider() {
	n, err := d.engine.Reconsider(context.Background()) // a reload is not interrupted
	if err != nil {
		d.logger.Error("purges that wait for a target go on when they were to, whatever its policy is now", zap.Error(err))
	}
	if n > 0 {
		d.logger.Info("purges that waited for a target go on earlier, by its new policy", zap.Int64("tenants", n))
		d.scheduler.Wake()
	}
}

// apply reads everything before it changes anything, which it does not when ctx has
// ended meanwhile.
func (d *daemon) apply(ctx context.Context) error {
	now := d.settings.get()
	next, err := d.app.serveConfig(d.flags)
	if err != nil {
		return err
	}
	schedule, err := scheduler.ParseSchedule(next.Purge.Schedule)
	if err != nil {
		return err
	}
	admit, err := d.callers.prepare(next)
	if err != nil {
		return err
	}
	if err := d.external.check(next, d.app.configFile); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.engine.Configure(next.PurgeSettings()); err != nil {
		return err
	}
	if err := d.external.configure(next); err != nil {
		return err
	}
	d.reconsider()
	admit()
	if next.Purge.Schedule != now.Purge.Schedule {
		d.scheduler.SetSchedule(schedule)
	}
	d.level.SetLevel(zapLevel(next.Log.Level))
	if keys := restartOnly(now, next); len(keys) > 0 {
		d.logger.Warn("these fields have changed and take effect only after a restart", zap.Strings("fields", keys))
	}
	d.settings.set(keepRestartOnly(now, next))
	d.tellSecrets(next)
	return nil
}
