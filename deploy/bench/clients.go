package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// The limits of deactivations.
const (
	manyClients = 64
	leastShared = 7.0
	mostP99     = 4.0
	leastPurge  = 2.0 / 3
)

// deactivate runs clients that each deactivate a tenant of their own, again and
// again, until stop is closed, each at least once, and returns how long each call
// took.
func deactivate(ctx context.Context, s *boltstore.Store, clients int, stop <-chan struct{}) ([]time.Duration, error) {
	actor := store.Actor{ID: "bench"}
	var (
		mu   sync.Mutex
		all  []time.Duration
		errs []error
		wg   sync.WaitGroup
	)
	for c := range clients {
		id := fmt.Sprintf("client-%03d", c)
		_, err := s.Create(ctx, store.Tenant{ID: id}, store.Origin{Actor: actor, At: time.Now()})
		if err != nil && store.CodeOf(err) != store.Conflict {
			return nil, err
		}
		wg.Go(func() {
			var took []time.Duration
			var err error
			for days, ended := 30, false; err == nil && !ended; days ^= 1 { // so that each changes something
				begun := time.Now()
				_, err = s.Update(ctx, id, store.Update{
					Origin: store.Origin{Actor: actor, At: begun}, Change: store.Deactivate(days, store.Grace{}, nil),
				})
				took = append(took, time.Since(begun))
				select {
				case <-stop:
					ended = true
				default:
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, took...), append(errs, err)
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

// deactivateFor is deactivate for a time.
func deactivateFor(ctx context.Context, s *boltstore.Store, clients int, d time.Duration) ([]time.Duration, error) {
	stop := make(chan struct{})
	defer time.AfterFunc(d, func() { close(stop) }).Stop()
	return deactivate(ctx, s, clients, stop)
}

// commit compares one client with many that share fsyncs.
func (b *bench) commit(ctx context.Context) error {
	from, err := b.store(ctx, "small", forestOf(1))
	if err != nil {
		return err
	}
	rates := map[int][]float64{}
	err = b.with(ctx, from, true, func(s *boltstore.Store) error {
		for range b.rounds {
			for _, clients := range []int{1, manyClients} {
				began := time.Now()
				took, err := deactivateFor(ctx, s, clients, b.sizes.second)
				if err != nil {
					return err
				}
				rates[clients] = append(rates[clients], float64(len(took))/time.Since(began).Seconds())
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	one, many := median(rates[1]), median(rates[manyClients])
	b.table.note("commit: deactivations, 1 client", one, "%.0f", "/s")
	b.table.note("commit: deactivations, 64 clients", many, "%.0f", "/s")
	b.table.atLeast("commit: 64 clients against 1", many/one, leastShared, "%.1f", "x")
	return nil
}

// beside measures both sides of deactivations beside a purge: clients idle and
// beside it, and the purge alone and beside them, by turns.
func (b *bench) beside(ctx context.Context) error {
	l := forestOf(b.sizes.besideRoots)
	resources := l.all() - 6*l.roots
	from, err := b.store(ctx, fmt.Sprintf("forest of %d", l.roots), l)
	if err != nil {
		return err
	}
	for _, clients := range []int{1, manyClients} {
		var idle, busy []time.Duration
		var alone, beside []time.Duration
		for range b.rounds {
			err := b.with(ctx, from, true, func(s *boltstore.Store) error {
				took, err := deactivateFor(ctx, s, clients, b.sizes.second)
				if err != nil {
					return err
				}
				idle = append(idle, took...)
				var purged atomic.Int64
				var failed error
				stop := make(chan struct{})
				go func() {
					defer close(stop)
					began := time.Now()
					failed = pass(ctx, s, resources)
					purged.Store(int64(time.Since(began)))
				}()
				took, err = deactivate(ctx, s, clients, stop)
				busy = append(busy, took...)
				beside = append(beside, time.Duration(purged.Load()))
				return errors.Join(err, failed)
			})
			if err != nil {
				return err
			}
			err = b.with(ctx, from, true, func(s *boltstore.Store) error {
				began := time.Now()
				err := pass(ctx, s, resources)
				alone = append(alone, time.Since(began))
				return err
			})
			if err != nil {
				return err
			}
		}
		who := fmt.Sprintf("beside: %d clients", clients)
		if clients == 1 {
			who = "beside: 1 client"
		}
		p99, p99Busy := quantile(idle, 0.99), quantile(busy, 0.99)
		b.table.took(who+", median of a deactivation, idle", median(idle))
		b.table.took(who+", median of a deactivation beside a purge", median(busy))
		b.table.took(who+", p99 of a deactivation, idle", p99)
		b.table.took(who+", p99 of a deactivation beside a purge", p99Busy)
		b.table.atMost(who+", p99 beside a purge against idle", p99Busy.Seconds()/p99.Seconds(), mostP99, "%.1f", "x")
		b.table.atLeast(who+", throughput of the purge against alone", median(alone).Seconds()/median(beside).Seconds(), leastPurge, "%.2f", "x")
	}
	return nil
}
