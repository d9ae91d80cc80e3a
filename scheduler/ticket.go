package scheduler

import (
	"context"
	"fmt"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// ErrStopped is what tickets get whose pass was not begun before the scheduler
// stopped. Its code is [store.Unavailable].
var ErrStopped error = store.Errorf(store.Unavailable, "the scheduler has stopped: no pass begins")

// Ticket stands for one pass: one that begins after the trigger that it was
// given for. Triggers that share a pass share its ticket.
type Ticket struct {
	trigger purge.Trigger // the first one; see queue
	done    chan struct{} // closed once report and err are set
	report  purge.Report
	err     error
}

func newTicket(trigger purge.Trigger) *Ticket {
	return &Ticket{trigger: trigger, done: make(chan struct{})}
}

// Wait returns the pass's report when it has ended, with the error that
// [Runner.Run] returned. Errors of its own are [ErrStopped], one with the code
// Internal for a pass that panicked, and that of ctx, which ends the waiting
// and not the pass.
func (t *Ticket) Wait(ctx context.Context) (purge.Report, error) {
	select {
	case <-t.done:
		return t.report, t.err
	default:
	}
	select {
	case <-t.done:
		return t.report, t.err
	case <-ctx.Done():
		return purge.Report{}, fmt.Errorf("wait for the pass: %w", ctx.Err())
	}
}

// resolve ends the waiting. It is called once.
func (t *Ticket) resolve(report purge.Report, err error) {
	t.report, t.err = report, err
	close(t.done)
}

// Trigger asks for a pass, which begins when the one that runs has ended. While
// one waits already, the ticket is that one's. Trigger returns at once; before
// Run it waits for Run, and after the end the ticket has [ErrStopped].
func (s *Scheduler) Trigger(trigger purge.Trigger) *Ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue(trigger)
}

// queue is Trigger under the lock.
func (s *Scheduler) queue(trigger purge.Trigger) *Ticket {
	if s.phase == phaseEnded {
		t := newTicket(trigger)
		t.resolve(purge.Report{}, ErrStopped)
		return t
	}
	switch {
	case s.waiting == nil:
		s.waiting = newTicket(trigger)
		s.poke()
	case s.waiting.trigger == purge.TriggerRetry:
		// Whoever joins wants all that is due, and a retry leaves that out.
		s.waiting.trigger = trigger
	}
	return s.waiting
}
