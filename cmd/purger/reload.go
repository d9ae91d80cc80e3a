package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
)

// reload loads the configuration again and applies it. A bad one changes
// nothing: every problem is logged, and the error tells them all. ctx is that of the
// daemon; once it has ended nothing is changed, and its cause is the error. It is safe
// for concurrent use.
func (d *daemon) reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if err := d.whileServing(ctx, d.notify.reloading); err != nil {
		return err // it ended while another reload was waited for
	}
	defer func() { _ = d.whileServing(ctx, d.notify.ready) }()
	err := d.apply(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return err
	}
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

// whileServing calls f unless ctx has ended, whose cause is then the error; ending
// waits for it. So f must not wait for a file.
func (d *daemon) whileServing(ctx context.Context, f func()) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f()
	return nil
}

// ending ends the context of reloads and tells the service manager: afterwards no
// reload tells it anything, or changes the daemon, which would be one that drains.
func (d *daemon) ending(end context.CancelCauseFunc) {
	d.changing.Lock()
	defer d.changing.Unlock()
	end(store.Errorf(store.Unavailable, "the daemon ends"))
	d.notify.stopping()
}

// reconsider lets purges go on that wait for a target which may be called earlier
// by now. When ctx ends, that is left to the first pass of the next start.
func (d *daemon) reconsider(ctx context.Context) {
	n, err := d.engine.Reconsider(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		d.logger.Error("purges that wait for a target go on when they were to, whatever its policy is now", zap.Error(err))
	}
	if n > 0 {
		d.logger.Info("purges that waited for a target go on earlier, by its new policy", zap.Int64("tenants", n))
		d.scheduler.Wake()
	}
}

// apply reads everything before it changes anything, which it does not when ctx has
// ended meanwhile; the error is then its cause.
func (d *daemon) apply(ctx context.Context) error {
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
	ended := d.whileServing(ctx, func() { err = d.change(next, schedule, admit) })
	if err := cmp.Or(ended, err); err != nil {
		return err
	}
	d.reconsider(ctx)
	d.tellSecrets(ctx, next)
	return nil
}

// change puts in force what apply has read.
func (d *daemon) change(next config.Config, schedule scheduler.Schedule, admit func()) error {
	now := d.settings.get()
	if err := d.engine.Configure(next.PurgeSettings()); err != nil {
		return err
	}
	if err := d.external.configure(next); err != nil {
		return err
	}
	admit()
	if next.Purge.Schedule != now.Purge.Schedule {
		d.scheduler.SetSchedule(schedule)
	}
	d.level.SetLevel(zapLevel(next.Log.Level))
	if keys := restartOnly(now, next); len(keys) > 0 {
		d.logger.Warn("these fields have changed and take effect only after a restart", zap.Strings("fields", keys))
	}
	d.settings.set(keepRestartOnly(now, next))
	return nil
}
