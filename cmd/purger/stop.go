package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// stopStack stops what was started, the last one first. The zero value needs a
// logger. It is not safe for concurrent use.
type stopStack struct {
	logger *zap.Logger
	steps  []stopStep
}

// stopStep is one thing to stop.
type stopStep struct {
	name  string
	bound time.Duration
	stop  func(context.Context) error
}

// push adds a step. stop gets a context that ends after bound; if it has not
// returned by then it is left behind, and that is its error.
func (s *stopStack) push(name string, bound time.Duration, stop func(context.Context) error) {
	s.steps = append(s.steps, stopStep{name, bound, stop})
}

// unwind runs every step, whatever becomes of the others, and returns their
// errors, joined. Afterwards the stack is empty.
func (s *stopStack) unwind() error {
	var errs []error
	for len(s.steps) > 0 {
		step := s.steps[len(s.steps)-1]
		s.steps = s.steps[:len(s.steps)-1]
		began := time.Now()
		s.logger.Debug("stopping", zap.String("step", step.name), zap.Duration("bound", step.bound))
		if err := step.run(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", step.name, err))
			s.logger.Warn("stopped with an error", zap.String("step", step.name), zap.Duration("took", time.Since(began)), zap.Error(err))
			continue
		}
		s.logger.Debug("stopped", zap.String("step", step.name), zap.Duration("took", time.Since(began)))
	}
	return errors.Join(errs...)
}

// run calls the step and waits for it no longer than its bound.
func (s stopStep) run() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.bound, fmt.Errorf("did not end within %s", s.bound))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.stop(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select { // a step that ends just at its bound has ended
	case err := <-done:
		return err
	default:
		return context.Cause(ctx)
	}
}
