package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/tenantpurge/purger/store/boltstore"
)

// The limits of size.
const (
	mostHeap = 64.0 // MiB
	mostOpen = 50 * time.Millisecond
)

// giant purges one tenant with many users, with the file in the page cache and
// by turns not.
func (b *bench) giant(ctx context.Context) error {
	l := giantOf(b.sizes.users)
	from, err := b.store(ctx, "giant", l)
	if err != nil {
		return err
	}
	took, longest := map[bool][]time.Duration{}, map[bool]time.Duration{}
	var heap, alive uint64
	for range b.rounds {
		for _, cached := range []bool{true, false} {
			err := b.with(ctx, from, cached, func(s *boltstore.Store) error {
				began := time.Now()
				peak, live, err := heapPeak(func() error { return pass(ctx, s, b.sizes.users) })
				took[cached] = append(took[cached], time.Since(began))
				longest[cached] = max(longest[cached], s.LongestTx())
				heap, alive = max(heap, peak), max(alive, live)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	warm, cold := median(took[true]), median(took[false])
	b.table.note("giant: one tenant", float64(b.sizes.users), "%.0f", "users")
	b.table.took("giant: purged, file cached", warm)
	b.table.took("giant: purged, file dropped from the page cache", cold)
	b.table.atMost("giant: cold against cached", cold.Seconds()/warm.Seconds(), mostCold, "%.2f", "x")
	b.table.atMost("giant: peak of the heap", mib(heap), mostHeap, "%.0f", "MiB")
	b.table.note("giant: of it live", mib(alive), "%.0f", "MiB")
	b.table.within("giant: longest write transaction, warm", longest[true], longWarm)
	b.table.within("giant: longest write transaction, cold", longest[false], longCold)
	return nil
}

// open opens the store of the giant, stopped and killed, with the file in the
// page cache and not, full and with most of its pages free.
func (b *bench) open(ctx context.Context) error {
	from, err := b.store(ctx, "giant", giantOf(b.sizes.users))
	if err != nil {
		return err
	}
	stopped, killed := filepath.Join(b.dir, "purged"), filepath.Join(b.dir, "killed")
	if err := errors.Join(os.Mkdir(stopped, 0o700), os.Mkdir(killed, 0o700)); err != nil {
		return err
	}
	file := func(dir string) string { return filepath.Join(dir, boltstore.FileName) }
	if err := copyFile(file(from), file(stopped), true); err != nil {
		return err
	}
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: stopped})
	if err != nil {
		return err
	}
	// What a kill leaves is what is on disk between two transactions.
	err = errors.Join(pass(ctx, s, b.sizes.users), copyFile(file(stopped), file(killed), true), s.Close())
	if err != nil {
		return err
	}
	info, err := os.Stat(file(from))
	if err != nil {
		return err
	}
	b.table.note("open: size of the file", mib(uint64(info.Size())), "%.0f", "MiB")
	for _, c := range []struct {
		what, from string
		cached     bool
		limit      time.Duration
	}{
		{"open: after a stop", from, true, mostOpen},
		{"open: after a stop, file dropped from the page cache", from, false, mostOpen},
		{"open: after a stop, pages free, cached", stopped, true, mostOpen},
		{"open: after a stop, pages free, dropped", stopped, false, mostOpen},
		{"open: after a kill, read ahead, cached", killed, true, 0},
		{"open: after a kill, read ahead, dropped", killed, false, 0},
	} {
		var took []time.Duration
		for range b.rounds {
			dir, err := b.fresh(c.from, c.cached)
			if err != nil {
				return err
			}
			began := time.Now()
			s, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
			took = append(took, time.Since(began))
			if err == nil {
				err = s.Close()
			}
			if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
				return err
			}
		}
		if c.limit > 0 {
			b.table.within(c.what, median(took), c.limit)
		} else {
			b.table.took(c.what, median(took))
		}
	}
	return nil
}
