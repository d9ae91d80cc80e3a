package api

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// How many deletions are remembered, and for how long after their end, since what
// is remembered has the name of a tenant that is purged.
const (
	keptDeletions = 1000
	keptFor       = 24 * time.Hour
)

// Deletions carries out deletions beyond the requests that asked for them, and
// remembers them for GET /purges/{id}. It is safe for concurrent use.
type Deletions struct {
	logger  *zap.Logger
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	list   []*deletion // the oldest first
}

// NewDeletions returns deletions for all servers of a process. A nil logger logs
// nothing.
func NewDeletions(l *zap.Logger) *Deletions {
	if l == nil {
		l = zap.NewNop()
	}
	return &Deletions{logger: l}
}

// deletion is one that runs or has ended.
type deletion struct {
	id, tenantID string
	began        time.Time
	stop         context.CancelCauseFunc
	done         chan struct{} // closed once what follows is set
	ended        time.Time
	result       client.Deletion
	err          error
}

// over reports whether the deletion has ended.
func (d *deletion) over() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// begin carries out a deletion. It goes on when ctx ends, whose values it has.
// Errors: Unavailable when too many run, and after Close.
func (ds *Deletions) begin(ctx context.Context, tenantID string, run func(context.Context) (client.Deletion, error)) (*deletion, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, store.Errorf(store.Internal, "name the deletion: %w", err)
	}
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	d := &deletion{id: id.String(), tenantID: tenantID, began: time.Now(), stop: stop, done: make(chan struct{})}
	if err := ds.keep(d); err != nil {
		stop(nil)
		return nil, err
	}
	go func() {
		defer ds.running.Done()
		defer stop(nil)
		defer close(d.done)
		d.result, d.err = ds.guarded(ctx, run)
		d.ended = time.Now()
	}()
	return d, nil
}

// guarded calls run. A panic of it is an error and a log line.
func (ds *Deletions) guarded(ctx context.Context, run func(context.Context) (client.Deletion, error)) (out client.Deletion, err error) {
	defer func() {
		if p := recover(); p != nil {
			ds.logger.Error("a deletion panicked", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			out, err = client.Deletion{}, store.Errorf(store.Internal, "the deletion panicked; the log has the details")
		}
	}()
	return run(ctx)
}

// keep remembers a deletion that begins, and forgets the oldest ones that have
// ended.
func (ds *Deletions) keep(d *deletion) error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.closed {
		return store.Errorf(store.Unavailable, "the daemon is about to stop: no deletion begins")
	}
	kept := ds.list[:0]
	surplus := len(ds.list) + 1 - keptDeletions
	for _, old := range ds.list {
		if old.over() && (surplus > 0 || d.began.Sub(old.ended) >= keptFor) {
			surplus--
			continue
		}
		kept = append(kept, old)
	}
	clear(ds.list[len(kept):])
	ds.list = kept
	if len(kept) >= keptDeletions {
		return store.Errorf(store.Unavailable, "%d deletions are under way; try again later", len(kept))
	}
	ds.list = append(ds.list, d)
	ds.running.Add(1)
	return nil
}

// get returns a deletion that is remembered. A nil ds remembers none.
func (ds *Deletions) get(id string) (*deletion, bool) {
	if ds == nil {
		return nil, false
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for _, d := range ds.list {
		if d.id == id && (!d.over() || time.Since(d.ended) < keptFor) {
			return d, true
		}
	}
	return nil, false
}

// Close stops the deletions under way as a pass is stopped, so that the next one
// goes on with them, and waits for them until ctx ends. No other begins.
func (ds *Deletions) Close(ctx context.Context) error {
	ds.mu.Lock()
	ds.closed = true
	for _, d := range ds.list {
		d.stop(context.Canceled)
	}
	ds.mu.Unlock()
	done := make(chan struct{})
	go func() {
		ds.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the deletions under way: %w", context.Cause(ctx))
	}
}
