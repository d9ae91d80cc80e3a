package main

import (
	"context"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

// startHousekeeping starts what goes on beside the passes: the status line and
// the watchdog of the service manager, the report of SIGUSR2, and compaction.
func (d *daemon) startHousekeeping(ctx context.Context) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { d.tellStatus(run) })
	work.Go(func() { d.report(run) })
	if interval := d.notify.watchdogInterval(); interval > 0 {
		work.Go(func() { d.notify.watch(run, interval, d.scheduler.Status) })
	}
	d.stop.push("housekeeping", upkeepBound, func(context.Context) error {
		cancel()
		work.Wait()
		return nil
	})
}

// report logs the plan at every SIGUSR2, beside the main loop, since a plan of
// many tenants takes its time.
func (d *daemon) report(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.app.signals.report:
			d.logPlan(ctx)
		}
	}
}

// tellStatus keeps the status line of the service manager. As often it forgets what
// has expired, and compacts when it is time.
func (d *daemon) tellStatus(ctx context.Context) {
	tick := time.NewTicker(statusPeriod)
	defer tick.Stop()
	for {
		stats, err := d.store.Stats(ctx, time.Now())
		if err != nil {
			d.notify.status("the store cannot be read: %v", err)
		} else {
			s := d.scheduler.Status()
			d.passes.tellStatus(statusLine(stats, s.NextRun, s.NextRetry) + d.closedText(ctx))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.passes.ended:
		}
		d.forget(ctx)
		d.compactInTime(ctx)
	}
}

// closedText says which gate is closed, "" for none.
func (d *daemon) closedText(ctx context.Context) string {
	gates, err := d.store.Gates(ctx)
	if err != nil {
		return "" // whoever works with the store will tell
	}
	closed := gates.Closed(time.Now())
	if len(closed) == 0 {
		return ""
	}
	return "; purging is stopped: " + gateText(closed[0])
}

// statusLine sums up the daemon in a line.
func statusLine(s store.Stats, next, retry time.Time) string {
	var kept, blocked int64
	for status, n := range s.Tenants {
		if status != store.StatusDeleted {
			kept += n
		}
	}
	for _, n := range s.Blocked {
		blocked += n
	}
	line := plural(kept, "tenant") + ", " + number(s.Due) + " due, " + number(blocked) + " blocked, " +
		number(s.Tenants[store.StatusFailed]) + " failed, " + number(s.Tenants[store.StatusDeleted]) + " purged"
	if !next.IsZero() {
		line += "; next pass " + timeText(next)
	}
	if !retry.IsZero() {
		line += "; next retry " + timeText(retry)
	}
	return line
}
