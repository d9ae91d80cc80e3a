package main

import (
	"context"
	"fmt"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/scheduler"
)

// notifier tells the service manager how the daemon is. Without one it does
// nothing.
type notifier struct {
	logger *zap.Logger
}

// send sends assignments, one a line.
func (n notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.logger.Warn("the service manager could not be told", zap.Error(err))
	}
}

// ready says that the daemon serves, or serves again after a reload.
func (n notifier) ready() { n.send(sd.SdNotifyReady) }

// reloading says that a reload began. ready ends it.
func (n notifier) reloading() {
	n.send(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec())
}

// stopping says that the daemon drains.
func (n notifier) stopping() { n.send(sd.SdNotifyStopping) }

// status sets the line that "systemctl status" shows.
func (n notifier) status(format string, args ...any) {
	n.send("STATUS=" + printable(fmt.Sprintf(format, args...)))
}

// watchdogInterval returns how often the service manager wants a sign of life;
// 0 is never.
func (n notifier) watchdogInterval() time.Duration {
	d, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		n.logger.Warn("the watchdog of the service manager is not fed", zap.Error(err))
		return 0
	}
	return d
}

// watch sends a sign of life twice in every interval, until ctx ends. It does
// so only while the scheduler's loop makes progress: a daemon that no longer
// looks at the clock purges nothing, and nobody would notice.
func (n notifier) watch(ctx context.Context, interval time.Duration, status func() scheduler.Status) {
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	var last time.Time
	for {
		if beat := status().LastBeat; beat.After(last) {
			last = beat
			n.send(sd.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// heartbeat returns how often the scheduler's loop has to turn so that watch
// finds progress whenever it looks; 0 is the scheduler's own default.
func heartbeat(watchdog time.Duration) time.Duration {
	if watchdog <= 0 || watchdog/4 >= scheduler.DefaultHeartbeat {
		return 0
	}
	return watchdog / 4
}
