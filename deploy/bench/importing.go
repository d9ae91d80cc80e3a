package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/tenantpurge/purger/store/boltstore"
)

// importing imports lines into an empty store, and then some more into a copy of
// it whose file was dropped from the page cache.
func (b *bench) importing(ctx context.Context) error {
	l := forestOf(0)
	l.roots = b.sizes.lines / l.perRoot()
	dir := filepath.Join(b.dir, "imported")
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
	if err != nil {
		return err
	}
	began := time.Now()
	peak, live, err := heapPeak(func() error { return b.fill(ctx, s, l) })
	took := time.Since(began)
	longest := s.LongestTx()
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	b.table.note("import: input", float64(l.all()), "%.0f", "lines")
	b.table.note("import: into an empty store, durable", float64(l.all())/took.Seconds(), "%.0f", "lines/s")
	b.table.atMost("import: peak of the heap", mib(peak), mostHeap, "%.0f", "MiB")
	b.table.note("import: of it live", mib(live), "%.0f", "MiB")
	b.table.within("import: longest write transaction, warm", longest, longWarm)

	more := forestOf(max(l.roots/20, 1))
	more.prefix = "also" // before what is there, in the order of ids
	err = b.with(ctx, dir, false, func(s *boltstore.Store) error {
		err := b.fill(ctx, s, more)
		longest = s.LongestTx()
		return err
	})
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	b.table.within("import: longest write transaction, into a store dropped from the page cache", longest, longCold)
	return nil
}
