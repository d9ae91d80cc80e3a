package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// A compaction writes transactions of compactTx bytes to a file that grows in
// steps of compactAlloc bytes.
const (
	compactTx    = 4 << 20
	compactAlloc = 64 << 10
)

// Compact implements [store.Compacter]: it copies what is live into a new file,
// makes that durable and gives it the store's name.
func (s *Store) Compact(ctx context.Context) (store.Compaction, error) {
	var c store.Compaction
	err := s.exclusive(func() error {
		if err := s.failure(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return store.Errorf(store.Unavailable, "withdrawn: %w", err)
		}
		var err error
		c, err = s.compact(ctx)
		return err
	})
	return c, err
}

func (s *Store) compact(ctx context.Context) (store.Compaction, error) {
	began := time.Now()
	before, err := os.Stat(s.path)
	if err != nil {
		return store.Compaction{}, store.Errorf(store.Unavailable, "compact: %w", err)
	}
	live, err := s.live()
	if err == nil {
		err = noRoom(s.shortOf(0, live*9/8+leastRoom)) // pages are not filled as they were
	}
	if err != nil {
		return store.Compaction{}, fmt.Errorf("compact: %w", err)
	}
	tmp, err := os.CreateTemp(s.opt.Dir, FileName+".compact-*")
	if err != nil {
		return store.Compaction{}, store.Errorf(store.Unavailable, "compact: %w", err)
	}
	name := tmp.Name()
	if err := errors.Join(keepOwner(tmp, before), tmp.Close()); err != nil {
		return store.Compaction{}, store.Errorf(store.Unavailable, "compact: %w", errors.Join(err, os.Remove(name)))
	}
	dst, held, err := s.copyLive(ctx, name)
	if err != nil {
		return store.Compaction{}, store.Errorf(store.Unavailable, "compact: %w", errors.Join(err, os.Remove(name)))
	}
	if err := os.Rename(name, s.path); err != nil {
		return store.Compaction{}, store.Errorf(store.Unavailable, "compact: %w", errors.Join(err, dst.Close(), os.Remove(name)))
	}
	s.dbMu.Lock()
	old := s.db
	s.db, s.held, s.pageSize = dst, held, pageSizeOf(dst)
	s.dbMu.Unlock()
	s.memMu.Lock()
	s.erased = time.Time{}
	s.memMu.Unlock()
	if err := syncDir(s.opt.Dir); err != nil {
		s.fail(err) // after a power failure the old file may be back
		return store.Compaction{}, errors.Join(err, old.Close())
	}
	if err := old.Close(); err != nil {
		s.log.Warn("closing the file before compaction", zap.Error(err))
	}
	after, err := os.Stat(s.path)
	if err != nil {
		return store.Compaction{}, store.Errorf(store.Unavailable, "compact: %w", err)
	}
	c := store.Compaction{Before: before.Size(), After: after.Size()}
	s.log.Info("store compacted", zap.Int64("before_bytes", c.Before), zap.Int64("after_bytes", c.After),
		zap.Duration("took", time.Since(began)))
	return c, nil
}

// live returns the size of the pages that are in use.
func (s *Store) live() (int64, error) {
	st := s.db.Stats()
	var size int64
	err := s.guarded(func() error {
		return s.db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	})
	return size - int64(st.FreePageN+st.PendingPageN)*s.pageSize, err
}

// copyLive copies what is live into a new database, which it leaves open.
func (s *Store) copyLive(ctx context.Context, name string) (*bolt.DB, os.FileInfo, error) {
	dst, held, err := openBolt(name, s.path, s.opt)
	if err != nil {
		return nil, nil, err
	}
	// One sync at the end is enough: a torn copy is thrown away. The file grows
	// by little, so that it has no more than it needs.
	alloc := dst.AllocSize
	dst.NoSync, dst.NoGrowSync, dst.AllocSize = true, true, compactAlloc
	err = guard(func() error { return bolt.Compact(dst, s.db, compactTx) })
	if err == nil {
		err = dst.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyErased) })
	}
	if err == nil {
		err = dst.Sync()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, nil, errors.Join(err, dst.Close())
	}
	dst.NoSync, dst.NoGrowSync, dst.AllocSize = false, false, alloc
	return dst, held, nil
}

// ErasedSince returns when the oldest deletion happened whose bytes may still
// be in the file; zero when there is none. Compaction makes it zero.
func (s *Store) ErasedSince() time.Time {
	s.memMu.Lock()
	defer s.memMu.Unlock()
	return s.erased
}

// Backup implements [store.Store]. It holds a read transaction while it writes,
// so w should be quick: a file, not a connection.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	var n int64
	err := s.view(ctx, func(tx *bolt.Tx) error {
		var err error
		if n, err = tx.WriteTo(&cancelWriter{ctx.Err, w}); err != nil {
			return store.Errorf(store.Unavailable, "back up: %w", err)
		}
		return nil
	})
	return n, err
}

// cancelWriter stops writing once its context has ended.
type cancelWriter struct {
	ended func() error
	w     io.Writer
}

func (c *cancelWriter) Write(b []byte) (int, error) {
	if err := c.ended(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}
