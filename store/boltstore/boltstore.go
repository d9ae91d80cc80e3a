package boltstore

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// FileName is the name of the store's file within its directory.
const FileName = "purger.db"

// Defaults of [Options].
const (
	DefaultTxTarget = 10 * time.Millisecond
	DefaultMmapSize = 4 << 30
)

// Options say where the store is and how it works. All but Dir may be zero.
type Options struct {
	// Dir holds the file. It is created, with mode 0700, when it is missing.
	Dir string
	// MustExist refuses to create a store.
	MustExist bool
	// LockTimeout is how long to wait for another process that has the store
	// open; 0 is one second. The error is then [ErrLocked].
	LockTimeout time.Duration
	// TxTarget is how long a transaction of purging or importing should take
	// at the most; 0 is DefaultTxTarget.
	TxTarget time.Duration
	// MmapSize is the address space, in bytes, that is reserved for the file.
	// A file that outgrows it makes changes wait for reads that are under way.
	// 0 is DefaultMmapSize. It takes no memory.
	MmapSize int64
	// UniqueHosts makes Create and Update refuse, with Conflict, a host name that
	// another tenant has. The first of them that gives a tenant a host name makes
	// LoadAccess read all tenants into memory, unless that was done before. What is
	// imported, and what is there already, may share names.
	UniqueHosts bool
	// Logger may be nil.
	Logger *zap.Logger
}

// ErrLocked is wrapped by the error of [Open] when another process has the
// store open.
var ErrLocked = errors.New("another process has the store open")

// Store implements [store.Store], [store.Directory], [store.Importer],
// [store.Compacter], [store.Gatekeeper], [store.Approver], [store.Replayer],
// [store.Forgetter] and [store.SourceKeeper].
type Store struct {
	opt Options
	log *zap.Logger

	// dbMu is held for reading by everything that uses db outside the writer's
	// goroutine, and for writing while compaction replaces it.
	dbMu sync.RWMutex
	db   *bolt.DB
	// pageSize is that of db, in bytes, known without a look at a file that may
	// have been cut.
	pageSize int64

	path string      // of the file
	held os.FileInfo // the file behind db; the writer's goroutine alone uses it
	made made        // by Open

	queueMu  sync.Mutex
	queue    [numClasses][]*op
	alone    []func()
	closing  bool
	wake     chan struct{} // buffered(1)
	loopDone chan struct{}
	pace     pace // the writer's goroutine alone uses it
	closed   sync.Once
	closeErr error
	failOnce sync.Once
	failedCh chan struct{} // closed once failed is set
	failed   error

	// memMu guards what follows: the committed state in memory. The writer's
	// goroutine alone changes it, and reads it without the lock.
	memMu    sync.Mutex
	totals   totals
	head     store.AuditRef
	gates    store.Gates
	gatesNow atomic.Pointer[store.Gates] // a copy, for who does not hold memMu
	erased   time.Time
	dueCount dueCount
	window   window
	claims   claims

	// access is told of every commit once LoadAccess has begun; the writer's
	// goroutine alone uses it. accessReady is the same once it is complete.
	access      *accessIndex
	accessReady atomic.Pointer[accessIndex]
	accessMu    sync.Mutex // held by LoadAccess

	hostKey hostKey // of the file
	session [8]byte // of this Open: calls that began in another one never end
	// freeSpace is the function of that name but in tests.
	freeSpace func(dir string) (int64, error)

	ahead   ahead
	erasing erasures
	// longestTx is the longest write transaction since it was asked for.
	longestTx atomic.Int64

	// fenceAtOpen is the newest fence of earlier owners, whose leases are over.
	fenceAtOpen uint64
}

// The interfaces that a Store implements.
var (
	_ store.Store      = (*Store)(nil)
	_ store.Directory  = (*Store)(nil)
	_ store.Importer   = (*Store)(nil)
	_ store.Compacter  = (*Store)(nil)
	_ store.Gatekeeper = (*Store)(nil)
	_ store.Approver   = (*Store)(nil)
	_ store.Replayer   = (*Store)(nil)
	_ store.Forgetter  = (*Store)(nil)
)

// view runs fn in a read transaction.
func (s *Store) view(ctx context.Context, fn func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return store.Errorf(store.Unavailable, "withdrawn: %w", err)
	}
	if err := s.failure(); err != nil {
		return err
	}
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	if s.db == nil {
		return errClosed()
	}
	return s.guarded(func() error { return s.db.View(fn) })
}

// viewPublished is view of a state that memory describes or is ahead of: that
// of no commit that is not published yet.
func (s *Store) viewPublished(ctx context.Context, fn func(*bolt.Tx) error) error {
	// See Stats for why the lock comes first.
	s.memMu.Lock()
	unlock := sync.OnceFunc(s.memMu.Unlock)
	defer unlock()
	return s.view(ctx, func(tx *bolt.Tx) error {
		unlock()
		return fn(tx)
	})
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.closed.Do(func() {
		s.queueMu.Lock()
		s.closing = true
		s.queueMu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
		<-s.loopDone
		s.accessReady.Store(nil)
		s.ahead.end()
		s.dbMu.Lock()
		defer s.dbMu.Unlock()
		// Without room the next Open has to look for the free pages.
		if s.failure() == nil && s.short(s.db, leastRoom) == nil {
			s.closeErr = s.guarded(func() error { return syncFreelist(s.db) })
		}
		if err := s.closeBolt(); err != nil && s.closeErr == nil {
			s.closeErr = store.Errorf(store.Internal, "close the store: %w", err)
		}
		s.db = nil
	})
	return s.closeErr
}

// closeBolt closes the database. One that panicked may hold its own locks: then
// the process has to end for the file to be unlocked.
func (s *Store) closeBolt() error {
	db, done := s.db, make(chan error, 1)
	go func() { done <- db.Close() }()
	if s.failure() == nil {
		return <-done
	}
	select {
	case err := <-done:
		return err
	case <-time.After(time.Second):
		return errors.New("bbolt does not close after a fault")
	}
}

// syncFreelist writes the list of free pages, which other transactions leave
// out, so that the next Open need not look for them in the whole file.
func syncFreelist(db *bolt.DB) error {
	db.NoFreelistSync = false
	defer func() { db.NoFreelistSync = true }()
	return db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketMeta)
		return b.Put(keySchema, b.Get(keySchema))
	})
}
