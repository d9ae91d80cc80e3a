package scheduler

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// pass is one call of the runner.
type pass struct {
	ticket   *Ticket
	began    time.Time
	report   purge.Report
	err      error
	returned bool // the runner did; else it panicked or ended the goroutine
}

// startPass begins the pass that waits, if one does, and returns a channel that
// gets its error: nil unless the store failed.
func (s *Scheduler) startPass(ctx context.Context) <-chan error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		return nil
	}
	p := &pass{ticket: s.waiting, began: s.wall()}
	s.waiting, s.running, s.since = nil, p.ticket, p.began
	s.retries.at = time.Time{}
	ended := make(chan error, 1) // nobody is there after a drain that timed out
	go func() {
		defer func() { ended <- s.endPass(ctx, p, recover()) }()
		p.report, p.err = s.runner.Run(ctx, p.ticket.trigger)
		p.returned = true
	}()
	return ended
}

// endPass resolves the pass's ticket and returns what ends the scheduler.
func (s *Scheduler) endPass(ctx context.Context, p *pass, panicked any) error {
	if !p.returned {
		s.contain(p, panicked)
	}
	s.mu.Lock()
	s.running = nil
	s.retries.passed(p.began, s.wall(), resumes(p.report, p.err))
	s.makeUp.missed = s.makeUp.missed || refuses(p.ticket.trigger, p.report)
	next := s.times.next
	s.mu.Unlock()
	p.ticket.resolve(p.report, p.err)

	trigger := zap.String("trigger", string(p.ticket.trigger))
	switch {
	case !p.returned: // contain has logged it
	case p.err == nil:
		s.log.Debug("purge pass ended", trigger, zap.String("result", string(p.report.Result)),
			zap.Int64("tenants", p.report.Totals.Tenants), zap.Time("next_run", next))
	case ctx.Err() != nil && errors.Is(p.err, ctx.Err()):
		s.log.Info("purge pass was interrupted", trigger)
	case storeFailed(p.err):
		return fmt.Errorf("purge pass (%s): the store failed: %w", p.ticket.trigger, p.err)
	default:
		s.log.Error("purge pass could not be made", trigger, zap.Error(p.err), zap.Time("next_run", next))
	}
	return nil
}

// contain makes an error of a pass that did not return. The runner cannot have
// reported its end, so it is counted here.
func (s *Scheduler) contain(p *pass, panicked any) {
	trigger, now := p.ticket.trigger, s.wall()
	if panicked == nil {
		panicked = "runtime.Goexit was called"
	}
	p.err = store.Errorf(store.Internal, "the purge pass panicked: %v", panicked)
	p.report = purge.Report{
		Trigger: trigger, StartedAt: store.Timestamp{Time: p.began}, FinishedAt: store.Timestamp{Time: now},
		Result: purge.ResultError, Tenants: []purge.Row{}, Error: p.err.Error(),
	}
	s.metrics.RunFinished(string(trigger), string(purge.ResultError), p.began, now)
	s.log.Error("purge pass panicked; the next one runs as planned", zap.String("trigger", string(trigger)),
		zap.String("panic", fmt.Sprint(panicked)), zap.ByteString("stack", debug.Stack()))
}

// storeFailed reports whether err says that the store takes nothing any more. A
// closed gate has the code Unavailable too, and is no failure. Nor is a defect
// of some records: leaving would only end what still works.
func storeFailed(err error) bool {
	var gate *store.GateError
	if errors.As(err, &gate) {
		return false
	}
	return store.CodeOf(err) == store.Unavailable
}
