package scheduler

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
)

// phase is where in its life a scheduler is.
type phase uint8

const (
	phaseNew phase = iota
	phaseRunning
	phaseEnded // begins no pass any more
)

// Scheduler runs purge passes when it is time. Its methods are safe for
// concurrent use.
type Scheduler struct {
	runner       Runner
	store        Store
	heartbeat    time.Duration
	drainTimeout time.Duration
	log          *zap.Logger
	metrics      *metrics.Metrics
	// now reads the wall clock. It is time.Now but in tests that set the clock.
	now  func() time.Time
	wake chan struct{} // of capacity 1: the loop has something to look at

	mu       sync.Mutex
	phase    phase
	times    timetable
	retries  retries
	makeUp   makeUp
	waiting  *Ticket // the pass that begins next
	running  *Ticket // the pass that runs
	since    time.Time
	lastBeat time.Time
}

// New returns a scheduler that does nothing until Run. Its errors are Invalid
// and name the option.
func New(o Options) (*Scheduler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Scheduler{
		runner: o.Runner, store: o.Store, metrics: o.Metrics, log: o.Logger,
		heartbeat: o.Heartbeat, drainTimeout: o.DrainTimeout,
		now: time.Now, wake: make(chan struct{}, 1),
		times: timetable{schedule: o.Schedule},
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.heartbeat == 0 {
		s.heartbeat = DefaultHeartbeat
	}
	if s.drainTimeout == 0 {
		s.drainTimeout = DefaultDrainTimeout
	}
	return s, nil
}

// SetSchedule replaces the schedule at once, also while Run runs. The pass that
// runs or waits is not touched. nil changes nothing, and is logged as an error.
func (s *Scheduler) SetSchedule(schedule Schedule) {
	if schedule == nil {
		s.log.Error("there is no schedule to change to; the schedule stays as it is")
		return
	}
	s.mu.Lock()
	if s.phase != phaseRunning {
		s.times.schedule = schedule
		s.mu.Unlock()
		return
	}
	now := s.wall()
	s.look(now) // a run of the old schedule that has come is not lost
	s.times.set(schedule, now)
	next := s.times.next
	s.poke()
	s.mu.Unlock()
	s.tellNext(schedule, next)
}

// Status is what a scheduler does at one instant.
type Status struct {
	Running bool
	Since   time.Time     // when the running pass began; zero when none runs
	Trigger purge.Trigger // of the running pass; "" when none runs
	// NextRun is when the next pass begins that takes all that is due: by the
	// schedule, or earlier because a pause ends that refused one. It is zero
	// before Run, after its end, and when neither will come.
	NextRun  time.Time
	Schedule string
	// NextRetry is when a pass begins that only resumes what was claimed before,
	// if none of another kind comes first; zero when there is nothing to resume,
	// purging is stopped, or a pass runs.
	NextRetry time.Time
	// LastBeat is when the loop was last alive: it advances at least once a
	// heartbeat, whether or not a pass runs, and not by anything but the loop.
	// It is zero before Run. It has a monotonic reading: time.Since(LastBeat)
	// is right even when the clock was set.
	LastBeat time.Time
}

// Status returns what the scheduler does now.
func (s *Scheduler) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Schedule: s.times.schedule.String(), LastBeat: s.lastBeat}
	if s.phase == phaseRunning {
		st.NextRun, st.NextRetry = s.nextRun(), s.retries.at
	}
	if s.running != nil {
		st.Running, st.Since, st.Trigger = true, s.since, s.running.trigger
	}
	return st
}

// wall returns the wall clock, without the monotonic reading that would
// otherwise be what comparisons look at.
func (s *Scheduler) wall() time.Time { return s.now().Round(0).UTC() }

// poke makes the loop look around.
func (s *Scheduler) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it will anyway
	}
}

// tellNext makes the next run known.
func (s *Scheduler) tellNext(schedule Schedule, next time.Time) {
	s.metrics.NextRun(next)
	if next.IsZero() {
		s.log.Error("the schedule has no next run: only triggers begin passes", zap.String("schedule", schedule.String()))
		return
	}
	s.log.Info("next scheduled run", zap.String("schedule", schedule.String()), zap.Time("next_run", next))
}
