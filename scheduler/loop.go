package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// ErrDrainTimeout is what Run returns when a pass outlived the drain.
var ErrDrainTimeout = errors.New("the running pass did not end in time")

// missedAfter is how late a run of the schedule is called missed: the machine
// slept, or its clock was set.
const missedAfter = time.Minute

// Run runs passes until ctx ends; when something is due, it begins with one.
//
// Then it drains: triggers that wait get [ErrStopped], the running pass sees
// its context end, and Run waits for it, up to the drain timeout. It returns
// nil, or [ErrDrainTimeout], wrapped; that pass may still be running then.
//
// It returns earlier, with the error, when the store failed. A scheduler runs
// once: running it again is an error with the code Conflict.
func (s *Scheduler) Run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	if err := s.startUp(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var pass <-chan error // of the pass that runs; nil while none does
	for ctx.Err() == nil {
		if pass == nil {
			if err := s.findRetry(ctx); err != nil {
				return err
			}
			if err := s.findMakeUp(ctx); err != nil {
				return err
			}
		}
		timer.Reset(s.beat())
		if pass == nil {
			pass = s.startPass(ctx)
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
		case err := <-pass:
			if err != nil {
				return err
			}
			pass = nil
		}
	}
	s.end()
	return s.drain(pass)
}

// begin enters phaseRunning.
func (s *Scheduler) begin() error {
	s.mu.Lock()
	if s.phase != phaseNew {
		s.mu.Unlock()
		return store.Errorf(store.Conflict, "the scheduler runs or has run already")
	}
	s.phase = phaseRunning
	s.lastBeat = time.Now()
	s.times.set(s.times.schedule, s.wall())
	schedule, next := s.times.schedule, s.times.next
	s.mu.Unlock()
	s.tellNext(schedule, next)
	return nil
}

// startUp asks for a pass when there is something to do for one: a tenant that
// is due or was blocked, or a purge that an earlier process left unfinished.
func (s *Scheduler) startUp(ctx context.Context) error {
	stats, err := s.store.Stats(ctx, s.wall())
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("look for due tenants at start-up: %w", err)
	}
	unfinished := stats.Tenants[store.StatusPurging]
	// What stood in a tenant's way may have ended while nobody looked.
	var blocked int64
	for _, n := range stats.Blocked {
		blocked += n
	}
	if stats.Due > 0 || unfinished > 0 || blocked > 0 {
		s.log.Info("purge pass at start-up", zap.Int64("due", stats.Due), zap.Int64("blocked", blocked), zap.Int64("unfinished", unfinished))
		s.Trigger(purge.TriggerStartup)
	}
	return nil
}

// beat shows that the loop is alive, looks at the clock, and returns how long
// the loop may sleep.
func (s *Scheduler) beat() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastBeat = time.Now()
	now := s.wall()
	s.look(now)
	s.lookForMakeUp(now)
	s.lookForRetry(now)
	sleep := s.heartbeat
	for _, next := range []time.Time{s.times.next, s.makeUp.at, s.retries.at} {
		if !next.IsZero() && next.After(now) {
			sleep = min(sleep, next.Sub(now))
		}
	}
	return sleep
}

// look asks for a pass when a run of the schedule has come. The lock is held.
func (s *Scheduler) look(now time.Time) {
	late, ok := s.times.passed(now)
	s.metrics.NextRun(s.times.next)
	if !ok {
		return
	}
	trigger := purge.TriggerSchedule
	if late >= missedAfter {
		trigger = purge.TriggerCatchUp
		s.log.Warn("a scheduled run was missed; it is made up at once",
			zap.Duration("late", late), zap.Time("next_run", s.times.next))
	}
	s.queue(trigger)
}

// end enters phaseEnded; what waits is told so.
func (s *Scheduler) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseEnded {
		return
	}
	s.phase = phaseEnded
	if s.waiting != nil {
		s.waiting.resolve(purge.Report{}, ErrStopped)
		s.waiting = nil
	}
	s.metrics.NextRun(time.Time{})
}

// drain waits for the pass, whose context has ended.
func (s *Scheduler) drain(pass <-chan error) error {
	if pass == nil {
		return nil
	}
	s.log.Info("stopping: waiting for the running purge pass", zap.Duration("timeout", s.drainTimeout))
	limit := time.NewTimer(s.drainTimeout)
	defer limit.Stop()
	alive := time.NewTicker(s.heartbeat)
	defer alive.Stop()
	for {
		select {
		case err := <-pass:
			return err
		case <-alive.C:
			s.mu.Lock()
			s.lastBeat = time.Now()
			s.mu.Unlock()
		case <-limit.C:
			return fmt.Errorf("stop: %w: %s after its context ended; what is left is resumed by a later pass",
				ErrDrainTimeout, s.drainTimeout)
		}
	}
}
