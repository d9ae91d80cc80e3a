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

// maxRetryPause bounds the wait before something is tried again that a pass
// could not resume although its time had come.
const maxRetryPause = time.Hour

// retries knows when a pass can resume a purge that was claimed before. The
// schedule may be rare, and next attempts, leases and people are not bound to
// it.
type retries struct {
	// at is when such a pass begins; zero: there is none to begin, as far as is
	// known, or a pass runs.
	at time.Time
	// tried is when the last pass began that tried what was resumable then, and
	// ended when a pass last ended.
	tried, ended time.Time
	// again says that at is for something that a pass tried in vain, and vain
	// how often in a row a pass was begun for that.
	again bool
	vain  int
}

// pause returns how long to wait after a pass with what it tried in vain: such
// a purge has no next attempt to wait for, since its record could not be
// written, and must not keep the daemon busy.
func (r *retries) pause(heartbeat time.Duration) time.Duration {
	p := heartbeat
	for range r.vain {
		if p *= 2; p >= maxRetryPause {
			break
		}
	}
	return min(p, maxRetryPause)
}

// passed takes the end of a pass.
func (r *retries) passed(began, now time.Time, tried bool) {
	r.ended = now
	if tried {
		r.tried = began
	}
}

// findRetry asks the store when there is something to resume. It is called
// while no pass runs; one that does looks by itself. Its error says that the
// store failed.
func (s *Scheduler) findRetry(ctx context.Context) error {
	s.mu.Lock()
	now := s.wall()
	if now.Before(s.retries.tried) { // the clock was set back
		s.retries.tried = now
	}
	r := s.retries
	s.mu.Unlock()
	err := s.lookUpRetry(ctx, &r, now)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil
	case storeFailed(err):
		return fmt.Errorf("look for purges to resume: the store failed: %w", err)
	default: // a defect: passes report it, and what it concerns
		s.log.Error("the store does not tell when a purge is to be resumed; a scheduled pass will look", zap.Error(err))
		r.at, r.again = time.Time{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retries = r
	return nil
}

// lookUpRetry sets at, again and vain.
func (s *Scheduler) lookUpRetry(ctx context.Context, r *retries, now time.Time) error {
	r.at, r.again = time.Time{}, false
	next, err := s.store.NextAttempt(ctx, r.tried)
	if err != nil {
		return err
	}
	first := next
	if !r.tried.IsZero() {
		if first, err = s.store.NextAttempt(ctx, time.Time{}); err != nil {
			return err
		}
	}
	switch {
	case first.IsZero() || first.After(r.tried):
		r.vain = 0
	default:
		if again := r.ended.Add(r.pause(s.heartbeat)); next.IsZero() || again.Before(next) {
			next, r.again = again, true
		}
	}
	if next.IsZero() {
		return nil
	}
	// A halt, a pause and a full disk stop resuming too. Without this look a pass would begin
	// as soon as the one before it had ended at the gate.
	gates, err := s.store.Gates(ctx)
	if err != nil {
		return err
	}
	for _, g := range gates.Closed(now) {
		switch {
		case g.Reason == store.GateHalted || g.Reason == store.GatePaused && gates.Pause.Until.IsZero():
			return nil // a person has to open it
		case g.Reason == store.GateSpace:
			return nil // nobody knows when there is room; each heartbeat looks
		case g.Reason == store.GatePaused && next.Before(gates.Pause.Until.Time):
			next = gates.Pause.Until.Time
		}
	}
	r.at = next
	return nil
}

// lookForRetry asks for a pass when something can be resumed, unless one waits
// anyway. While one runs, at is zero. The lock is held.
func (s *Scheduler) lookForRetry(now time.Time) {
	r := &s.retries
	if r.at.IsZero() || now.Before(r.at) || s.waiting != nil {
		return
	}
	if r.again {
		r.vain++
	}
	s.queue(purge.TriggerRetry)
}

// resumes reports whether a pass that ended so tried what was resumable when it
// began. One that a gate ended did not.
func resumes(r purge.Report, err error) bool {
	var gate *store.GateError
	return !errors.As(err, &gate) && r.Result != purge.ResultPaused && r.Result != purge.ResultHalted
}

// Wake makes the scheduler look around at once. It does so by itself within a
// heartbeat; a caller that has just made a purge resumable need not wait.
func (s *Scheduler) Wake() { s.poke() }
