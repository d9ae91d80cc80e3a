package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store/boltstore"
)

// The limits of purging a forest.
const (
	bareTrees = 10 // a transaction
	leastBare = 0.7
	longWarm  = 150 * time.Millisecond
	longCold  = 500 * time.Millisecond
	mostCold  = 3.0
)

// forest purges everything through the engine, by turns with a bare DeleteBucket
// of each tree in a copy of the same file.
func (b *bench) forest(ctx context.Context) error {
	from, err := b.store(ctx, "forest", forestOf(b.sizes.roots))
	if err != nil {
		return err
	}
	resources := forestOf(b.sizes.roots).all() - 6*b.sizes.roots
	var bare, through []time.Duration
	var longest time.Duration
	for range b.rounds {
		took, err := b.bare(from)
		if err != nil {
			return err
		}
		bare = append(bare, took)
		err = b.with(ctx, from, true, func(s *boltstore.Store) error {
			began := time.Now()
			err := pass(ctx, s, resources)
			through = append(through, time.Since(began))
			longest = max(longest, s.LongestTx())
			return err
		})
		if err != nil {
			return err
		}
	}
	rate := func(d time.Duration) float64 { return float64(resources) / d.Seconds() / 1e6 }
	b.table.note("forest: trees of 6 tenants with 510 resources", float64(b.sizes.roots), "%.0f", "trees")
	b.table.note("forest: bare DeleteBucket, 10 trees a transaction", rate(median(bare)), "%.2f", "M/s")
	b.table.note("forest: purged by a pass, durable, with evidence", rate(median(through)), "%.2f", "M/s")
	b.table.atLeast("forest: the pass against the bare deletion", median(bare).Seconds()/median(through).Seconds(), leastBare, "%.2f", "x")
	b.table.within("forest: longest write transaction, warm", longest, longWarm)
	return nil
}

// bare drops every tree of a copy of a store, and nothing else.
func (b *bench) bare(from string) (time.Duration, error) {
	dir, err := b.fresh(from, true)
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := bolt.Open(filepath.Join(dir, boltstore.FileName), 0o600, &bolt.Options{
		NoFreelistSync: true, FreelistType: bolt.FreelistArrayType, InitialMmapSize: boltstore.DefaultMmapSize,
	})
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	var names [][]byte
	if err := db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("trees")).ForEachBucket(func(name []byte) error {
			names = append(names, append([]byte(nil), name...))
			return nil
		})
	}); err != nil {
		return 0, err
	}
	began := time.Now()
	for len(names) > 0 {
		some := names[:min(bareTrees, len(names))]
		names = names[len(some):]
		if err := db.Update(func(tx *bolt.Tx) error {
			trees := tx.Bucket([]byte("trees"))
			for _, name := range some {
				if err := trees.DeleteBucket(name); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// cold purges the same forest as the first thing after a start, with the file in
// the page cache and by turns not.
func (b *bench) cold(ctx context.Context) error {
	from, err := b.store(ctx, "forest", forestOf(b.sizes.roots))
	if err != nil {
		return err
	}
	resources := forestOf(b.sizes.roots).all() - 6*b.sizes.roots
	took := map[bool][]time.Duration{}
	var longest time.Duration
	for range b.rounds {
		for _, cached := range []bool{true, false} {
			err := b.with(ctx, from, cached, func(s *boltstore.Store) error {
				began := time.Now()
				err := pass(ctx, s, resources)
				took[cached] = append(took[cached], time.Since(began))
				if !cached {
					longest = max(longest, s.LongestTx())
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	warm, cold := median(took[true]), median(took[false])
	b.table.took("cold: first pass after a start, file cached", warm)
	b.table.took("cold: first pass after a start, file dropped from the page cache", cold)
	b.table.atMost("cold: cold against cached", cold.Seconds()/warm.Seconds(), mostCold, "%.2f", "x")
	b.table.within("cold: longest write transaction", longest, longCold)
	return nil
}
