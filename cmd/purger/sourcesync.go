package main

import (
	"context"
	"errors"
)

// startSource syncs the source, if there is one, until the daemon ends.
func (d *daemon) startSource(ctx context.Context) error {
	if d.external.syncer == nil {
		return nil
	}
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.external.syncer.Run(run, d.settings.get().Source.Every)
	}()
	d.stop.push("source", serverBound+closeBound, func(ctx context.Context) error {
		cancel(errors.New("the daemon ends"))
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return nil
}
