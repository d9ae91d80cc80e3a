package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store/boltstore"
)

// The limits of what must not grow with what is kept.
const (
	fewKept   = 10_000
	mostNoise = 1.5
	mostIdle  = 100 * time.Microsecond
	idleCalls = 500 // a round
)

// idle compares a pass with nothing due, and a scrape, at few and at many kept
// tenants.
func (b *bench) idle(ctx context.Context) (err error) {
	var opened []*boltstore.Store
	defer func() {
		for _, s := range opened {
			err = errors.Join(err, s.Close())
		}
	}()
	sides := [2]int64{fewKept, b.sizes.kept}
	var passes, scrapes [2]func() error
	for i, n := range sides {
		from, err := b.store(ctx, fmt.Sprintf("kept-%d", n), keptOf(n))
		if err != nil {
			return err
		}
		s, err := boltstore.Open(ctx, boltstore.Options{Dir: from})
		if err != nil {
			return err
		}
		opened = append(opened, s)
		if passes[i], err = idlePass(ctx, s); err != nil {
			return err
		}
		reg := prometheus.NewRegistry()
		metrics.New(reg, metrics.Build{}).WatchStore(s)
		scrapes[i] = func() error {
			_, err := reg.Gather()
			return err
		}
	}
	for _, c := range []struct {
		what  string
		sides [2]func() error
		most  time.Duration
	}{
		{"idle: pass with nothing due", passes, mostIdle},
		{"idle: scrape", scrapes, 0},
	} {
		var took [2][]time.Duration
		for range b.rounds {
			for i, do := range c.sides {
				for range idleCalls {
					began := time.Now()
					if err := do(); err != nil {
						return err
					}
					took[i] = append(took[i], time.Since(began))
				}
			}
		}
		few, many := median(took[0]), median(took[1])
		b.table.took(fmt.Sprintf("%s, %d tenants kept", c.what, sides[0]), few)
		what := fmt.Sprintf("%s, %d tenants kept", c.what, sides[1])
		if c.most > 0 {
			b.table.within(what, many, c.most)
		} else {
			b.table.took(what, many)
		}
		b.table.atMost(c.what+", many kept against few", many.Seconds()/few.Seconds(), mostNoise, "%.2f", "x")
	}
	return nil
}

// idlePass returns a pass that finds nothing to do.
func idlePass(ctx context.Context, s *boltstore.Store) (func() error, error) {
	e, err := engine(s)
	if err != nil {
		return nil, err
	}
	return func() error {
		r, err := e.Run(ctx, purge.TriggerRun)
		if err == nil && (r.Result != purge.ResultOK || len(r.Tenants) > 0) {
			err = errors.New("something was due")
		}
		return err
	}, nil
}
