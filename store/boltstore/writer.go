package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// class says how urgent a change is.
type class int

const (
	// foreground changes are made by a person who waits.
	foreground class = iota
	// background changes are steps of purges and imports: many, and each of
	// some size.
	background
	numClasses
)

// maxShared bounds the changes that share one transaction.
const maxShared = 1024

// The states of an op.
const (
	opQueued int32 = iota
	opTaken
	opWithdrawn
)

// op is a change that waits for its transaction.
type op struct {
	// run makes the change. It may run more than once, in different
	// transactions, of which at most one is committed. An error undoes what it
	// wrote; a refusal that writes something returns nil and leaves its error
	// in a variable of the caller.
	run   func(*wtx) error
	class class
	state atomic.Int32
	done  chan error // buffered
}

// writeAt is write for a change that is made at an instant.
func (s *Store) writeAt(ctx context.Context, c class, at time.Time, run func(*wtx) error) error {
	if err := store.CheckClock(at); err != nil {
		return err
	}
	return s.write(ctx, c, func(w *wtx) error {
		if at.After(w.at) {
			w.at = at
		}
		return run(w)
	})
}

// write queues a change and waits until it is durable.
func (s *Store) write(ctx context.Context, c class, run func(*wtx) error) error {
	return s.writeQueued(ctx, c, nil, run)
}

// writeQueued is write that calls queued, unless it is nil, once the change has
// its place among others of its class.
func (s *Store) writeQueued(ctx context.Context, c class, queued func(), run func(*wtx) error) error {
	if err := ctx.Err(); err != nil {
		return store.Errorf(store.Unavailable, "withdrawn: %w", err)
	}
	o := &op{run: run, class: c, done: make(chan error, 1)}
	s.queueMu.Lock()
	if s.closing {
		s.queueMu.Unlock()
		return errClosed()
	}
	s.queue[c] = append(s.queue[c], o)
	s.queueMu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	if queued != nil {
		queued()
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		if o.state.CompareAndSwap(opQueued, opWithdrawn) {
			return store.Errorf(store.Unavailable, "withdrawn: %w", ctx.Err())
		}
		return <-o.done
	}
}

// exclusive runs fn on the writer's goroutine, between transactions.
func (s *Store) exclusive(fn func() error) error {
	done := make(chan error, 1)
	s.queueMu.Lock()
	if s.closing {
		s.queueMu.Unlock()
		return errClosed()
	}
	s.alone = append(s.alone, func() { done <- fn() })
	s.queueMu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return <-done
}

// loop is the writer's goroutine. It ends when the store is closing and nothing
// is queued.
func (s *Store) loop() {
	defer close(s.loopDone)
	for {
		s.queueMu.Lock()
		idle := len(s.queue[foreground]) == 0 && len(s.queue[background]) == 0 && len(s.alone) == 0
		closing := s.closing
		s.queueMu.Unlock()
		switch {
		case idle && closing:
			return
		case idle:
			<-s.wake
			continue
		}
		s.runBatch()
		if fn := s.takeAlone(); fn != nil {
			fn()
		}
	}
}

func (s *Store) takeAlone() func() {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	if len(s.alone) == 0 {
		return nil
	}
	fn := s.alone[0]
	s.alone = s.alone[1:]
	return fn
}

// take removes the next op of a class from its queue; nil when there is none.
func (s *Store) take(c class) *op {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	for len(s.queue[c]) > 0 {
		o := s.queue[c][0]
		s.queue[c][0] = nil
		s.queue[c] = s.queue[c][1:]
		if o.state.CompareAndSwap(opQueued, opTaken) {
			return o
		}
	}
	return nil
}

// runBatch runs what is queued in one transaction: the changes of people, then
// background work for as long as the pace allows, and then the changes of those
// who came meanwhile, so that neither waits for more than one transaction and
// all share an fsync. When one op fails after it wrote something, the others are
// run again without it.
func (s *Store) runBatch() {
	var working time.Time // since when there is background work
	next := func(n int) *op {
		if n >= maxShared {
			return nil
		}
		first := working.IsZero() // however short the pace, there is some progress
		if first {
			if n < maxShared/2 {
				if o := s.take(foreground); o != nil {
					return o
				}
			}
			working = time.Now()
			s.pace.granted = s.pace.target(working, s.opt.TxTarget)
		}
		if first || time.Since(working) < s.pace.granted {
			if o := s.take(background); o != nil {
				return o
			}
		}
		return s.take(foreground)
	}
	first := next(0)
	if first == nil {
		return
	}
	batch := []*op{first}
	retry := s.runTx(&batch, next)
	for len(retry) > 0 {
		again := retry
		retry = s.runTx(&again, func(int) *op { return nil })
	}
}

// runTx runs ops in one transaction, taking more from next, and answers them.
// It returns the ops that have to run again because another one spoilt the
// transaction.
func (s *Store) runTx(batch *[]*op, next func(n int) *op) []*op {
	if err := isStill(s.path, s.held); err != nil {
		s.fail(err)
	}
	if err := s.failure(); err != nil {
		answer(*batch, nil, err)
		return nil
	}
	if err := s.room(s.db, leastRoom); err != nil {
		answer(*batch, nil, err)
		return nil
	}
	began := time.Now()
	var tx *bolt.Tx
	if err := s.guarded(func() (err error) {
		tx, err = s.db.Begin(true)
		return err
	}); err != nil {
		answer(*batch, nil, store.Errorf(store.Unavailable, "begin a transaction: %w", err))
		return nil
	}
	w := s.newWtx(tx)
	var people time.Duration // that their changes took
	results := make([]error, 0, len(*batch))
	for i := 0; ; i++ {
		if i == len(*batch) {
			o := next(i)
			if o == nil {
				break
			}
			*batch = append(*batch, o)
		}
		o := (*batch)[i]
		writes := w.writes
		w.target = s.pace.granted
		start := time.Now()
		err := s.guarded(func() error { return o.run(w) })
		if o.class == foreground {
			s.pace.last = time.Now()
			people += s.pace.last.Sub(start)
		}
		if s.failure() != nil { // it panicked: pages cannot be read
			rollback(tx)
			answer(*batch, nil, s.failure())
			return nil
		}
		if err != nil && w.writes != writes {
			rollback(tx)
			o.done <- err
			others := append([]*op(nil), (*batch)[:i]...)
			return append(others, (*batch)[i+1:]...)
		}
		results = append(results, err)
	}
	if w.writes == 0 {
		rollback(tx)
		answer(*batch, results, nil)
		return nil
	}
	committing := time.Now()
	if err := guard(func() error { return s.commit(w) }); err != nil {
		s.fail(err)
		// After a panic bbolt still has its lock, and Close would wait for it.
		_ = guard(func() error { rollback(tx); return nil })
		answer(*batch, nil, s.failure())
		return nil
	}
	if people > 0 {
		s.pace.learn(people + time.Since(committing))
	}
	s.longestTx.Store(max(s.longestTx.Load(), int64(time.Since(began))))
	answer(*batch, results, nil)
	return nil
}

// LongestTx returns how long the longest write transaction took, its commit
// included, since the last call; 0 when there was none.
func (s *Store) LongestTx() time.Duration { return time.Duration(s.longestTx.Swap(0)) }

// commit makes the transaction durable and its effects on memory visible, as
// one step for those who read both.
func (s *Store) commit(w *wtx) error {
	if err := w.flush(); err != nil {
		rollback(w.tx)
		return err
	}
	s.memMu.Lock()
	defer s.memMu.Unlock()
	if err := w.tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.publish()
	return nil
}

// answer gives each op its result, or all of them err when it is not nil. People
// go first, and go on, before the many goroutines of a purge are woken.
func answer(ops []*op, results []error, err error) {
	for c := range numClasses {
		woken := false
		for i, o := range ops {
			if o.class != c {
				continue
			}
			woken = true
			if err != nil {
				o.done <- err
			} else {
				o.done <- results[i]
			}
		}
		if woken && c == foreground {
			runtime.Gosched()
		}
	}
}

// rollback undoes a transaction; bbolt reports only that it was closed before.
func rollback(tx *bolt.Tx) {
	if err := tx.Rollback(); err != nil && !errors.Is(err, berrors.ErrTxClosed) {
		panic(fmt.Sprintf("boltstore: rollback: %v", err))
	}
}

// guard turns a panic into an error: bbolt panics on a damaged page, and a file
// that is cut under the memory map raises SIGBUS, which [debug.SetPanicOnFault]
// makes a panic.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = store.Errorf(store.Internal, "the store is damaged: %v", r)
		}
	}()
	return fn()
}

// guarded is guard that fails the store after a panic: bbolt may hold its locks
// for ever then.
func (s *Store) guarded(fn func() error) error {
	panicked := true
	err := guard(func() error {
		err := fn()
		panicked = false
		return err
	})
	if panicked {
		s.fail(err)
	}
	return err
}

// fail makes the store refuse everything from now on.
func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		s.failed = store.Errorf(store.Unavailable,
			"the outcome of a write may be unknown and the store must be opened again: %w", err)
		close(s.failedCh)
		s.log.Error("store failed; it must be opened again", zap.Error(err))
	})
}

// failure returns the error of a store that has failed, or nil.
func (s *Store) failure() error {
	select {
	case <-s.failedCh:
		return s.failed
	default:
		return nil
	}
}

// Failure returns the error of a store that has failed, and nil for one that has
// not.
func (s *Store) Failure() error { return s.failure() }

// Failed is closed when a write failed in a way that leaves its outcome unknown.
// From then on the store refuses everything; whoever owns it should close it
// and open it again, best in a new process.
func (s *Store) Failed() <-chan struct{} { return s.failedCh }

func errClosed() error { return store.Errorf(store.Unavailable, "the store is closed") }
