package scheduler

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// makeUp knows of a pass that a pause refused. It is made up when the pause ends
// by itself: the next run of the schedule may be far away. A person who lifts it
// decides what follows.
type makeUp struct {
	missed bool      // a pass that takes all that is due was refused
	at     time.Time // when the pause ends; zero: nothing is missed, or a person has to lift it
}

// refuses reports whether a pass was refused by a pause, or ended by one, and
// would have taken what came due.
func refuses(t purge.Trigger, r purge.Report) bool {
	return t != purge.TriggerRetry && r.Result == purge.ResultPaused
}

// findMakeUp asks the store when the pause ends that refused a pass. It is
// called while no pass runs. Its error says that the store failed.
func (s *Scheduler) findMakeUp(ctx context.Context) error {
	s.mu.Lock()
	missed := s.makeUp.missed
	s.mu.Unlock()
	if !missed {
		return nil
	}
	gates, err := s.store.Gates(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil
	case storeFailed(err):
		return fmt.Errorf("look for the end of the pause: the store failed: %w", err)
	default:
		s.log.Error("the store does not tell when the pause ends; a scheduled pass will look", zap.Error(err))
		gates = store.Gates{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeUp = makeUp{}
	if gates.Pause != nil {
		s.makeUp = makeUp{missed: true, at: gates.Pause.Until.Time}
	}
	return nil
}

// lookForMakeUp asks for a pass when the pause has ended that refused one. The
// lock is held.
func (s *Scheduler) lookForMakeUp(now time.Time) {
	if s.makeUp.at.IsZero() || now.Before(s.makeUp.at) {
		return
	}
	s.makeUp = makeUp{}
	s.log.Info("the pause has ended: a pass that it refused is made up")
	s.queue(purge.TriggerCatchUp)
}

// nextRun returns when a pass begins next that takes all that is due. The lock
// is held.
func (s *Scheduler) nextRun() time.Time {
	next, at := s.times.next, s.makeUp.at
	if !at.IsZero() && (next.IsZero() || at.Before(next)) {
		return at
	}
	return next
}
