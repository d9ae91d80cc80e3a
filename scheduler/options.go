package scheduler

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// The defaults of [Options].
const (
	DefaultHeartbeat    = time.Minute
	DefaultDrainTimeout = 30 * time.Second
)

// Runner makes passes; *purge.Engine is one.
type Runner interface {
	// Run makes one pass. It is not called while a call runs. It returns soon
	// after ctx ends, leaving the rest to a later pass. An error means that the
	// pass could not be made; one with the code Unavailable means that the
	// store failed, and ends the scheduler.
	Run(ctx context.Context, trigger purge.Trigger) (purge.Report, error)
}

// Store tells whether something is due at the start, and when a purge that was
// claimed can be resumed; every store.Store does.
type Store interface {
	Stats(ctx context.Context, now time.Time) (store.Stats, error)
	NextAttempt(ctx context.Context, after time.Time) (time.Time, error)
	Gates(ctx context.Context) (store.Gates, error)
}

// Options are what a scheduler is made of. Runner, Store and Schedule are
// required.
type Options struct {
	Runner   Runner
	Store    Store
	Schedule Schedule
	// Heartbeat is the longest time between two looks at the wall clock, and so
	// the longest delay of a run that suspend or a clock step hid. 0: 60 s.
	Heartbeat time.Duration
	// DrainTimeout is how long Run waits, once its context has ended, for the
	// pass that runs. 0: 30 s.
	DrainTimeout time.Duration
	Logger       *zap.Logger      // nil: none
	Metrics      *metrics.Metrics // nil: none
}

// validate returns an [store.Invalid] error that names the option at fault.
func (o *Options) validate() error {
	switch {
	case o.Runner == nil:
		return store.Errorf(store.Invalid, "scheduler: Runner is missing").At("Runner")
	case o.Store == nil:
		return store.Errorf(store.Invalid, "scheduler: Store is missing").At("Store")
	case o.Schedule == nil:
		return store.Errorf(store.Invalid, "scheduler: Schedule is missing").At("Schedule")
	case o.Heartbeat < 0:
		return store.Errorf(store.Invalid, "scheduler: Heartbeat %s: want 0 or more", o.Heartbeat).At("Heartbeat")
	case o.DrainTimeout < 0:
		return store.Errorf(store.Invalid, "scheduler: DrainTimeout %s: want 0 or more", o.DrainTimeout).At("DrainTimeout")
	}
	return nil
}
