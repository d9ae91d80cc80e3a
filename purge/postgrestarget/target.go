package postgrestarget

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Target is a database that holds resources of tenants. It implements
// [purge.GroupTarget], [purge.Accountant], [purge.Witness],
// [purge.SubscriptionCounter], [purge.Checker], [purge.Doctor],
// [purge.Initializer] and [purge.Closer]. It is safe for concurrent use.
type Target struct {
	cfg   Config
	log   *zap.Logger
	pool  *pgxpool.Pool
	kinds []store.Kind
	// Others on the same database, see [Options.Beside].
	beside []Config

	catalog  catalog
	counts   *gatherer[int64]
	removals *gatherer[purge.Removed]
	walks    walks
	widths   widths
	pace     pace
	pooler   pooler
	// Of statements of the operator's own.
	allowances memory[allowance]
	proven     proven
	closed     atomic.Bool
	underway   underway
}

var (
	_ purge.GroupTarget = (*Target)(nil)
	_ purge.Accountant  = (*Target)(nil)
	_ purge.Witness     = (*Target)(nil)
	_ purge.Checker     = (*Target)(nil)
	_ purge.Doctor      = (*Target)(nil)
	_ purge.Initializer = (*Target)(nil)
	_ purge.Closer      = (*Target)(nil)
)

// SeesAll implements [purge.Witness]: what is counted and what is deleted are the
// same rows of one primary.
func (t *Target) SeesAll() bool { return true }

// New returns a target. It checks all that can be checked without a
// connection, and makes none: errors are [store.Invalid], joined, and name their fields.
func New(cfg Config, opt Options) (*Target, error) {
	cfg = cfg.withDefaults()
	p, err := cfg.poolConfig()
	if err = errors.Join(cfg.validate(), err); err != nil {
		return nil, err
	}
	// A statement whose caller has gone is cancelled at the server, too.
	p.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &canceller{conn: c}
	}
	if opt.Pool != nil {
		opt.Pool(p)
	}
	t := &Target{cfg: cfg, log: opt.Logger, catalog: catalog{turn: make(chan struct{}, 1)}}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	t.pooler.told = toldExecMode(cfg.DSN)
	t.pooler.attach(p, t.log.With(zap.String("target", cfg.Name)))
	if t.pool, err = pgxpool.NewWithConfig(context.Background(), p); err != nil {
		return nil, store.Errorf(store.Invalid, "dsn: %s", dsnProblem(err)).At("dsn")
	}
	t.beside = opt.Beside
	t.counts, t.removals = newGatherer(t.countGroup), newGatherer(t.removeGroup)
	for _, kind := range store.Kinds() {
		if _, ok := cfg.Kinds[kind]; ok {
			t.kinds = append(t.kinds, kind)
		}
	}
	return t, nil
}

// Name implements [purge.Target].
func (t *Target) Name() string { return t.cfg.Name }

// Kinds implements [purge.Target].
func (t *Target) Kinds() []store.Kind { return t.kinds }

// Count implements [purge.Target]: it asks the tables, never the ledger.
func (t *Target) Count(ctx context.Context, tenantID string, kind store.Kind) (int64, error) {
	if err := t.known(kind); err != nil {
		return 0, err
	}
	n, err := t.counts.do(ctx, call{tenants: []string{tenantID}, kind: kind})
	return n, t.ifForbidden(err)
}

// GroupSize implements [purge.GroupTarget]. What a statement of the operator's
// own takes for one tenant is not known, and so it is run for one.
func (t *Target) GroupSize(kind store.Kind) int {
	if t.cfg.Kinds[kind].Table == "" {
		return 1
	}
	return maxGroup / 4
}

// CountGroup implements [purge.GroupTarget].
func (t *Target) CountGroup(ctx context.Context, tenantIDs []string, kind store.Kind) (int64, error) {
	if err := t.known(kind); err != nil || len(tenantIDs) == 0 {
		return 0, err
	}
	n, err := t.counts.do(ctx, call{tenants: tenantIDs, kind: kind})
	return n, t.ifForbidden(err)
}

// Purge implements [purge.Target].
func (t *Target) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	return t.PurgeGroup(ctx, []string{r.TenantID}, r)
}

// PurgeGroup implements [purge.GroupTarget].
func (t *Target) PurgeGroup(ctx context.Context, tenantIDs []string, r purge.Request) (purge.Removed, error) {
	if err := t.known(r.Kind); err != nil || len(tenantIDs) == 0 {
		return purge.Removed{}, err
	}
	if r.Limit < 1 {
		return purge.Removed{}, store.Errorf(store.Invalid, "limit %d; want 1 or more", r.Limit).At("limit")
	}
	did, err := t.removals.do(ctx, call{
		tenants: tenantIDs, kind: r.Kind, limit: min(r.Limit, math.MaxInt32), purge: r.PurgeID, subtree: r.Subtree, onAccount: r.OnAccount,
	})
	return did, t.ifForbidden(err)
}

// known refuses a kind that is not configured, and every call after Close.
func (t *Target) known(kind store.Kind) error {
	if t.closed.Load() {
		return store.Errorf(store.Unavailable, "target %s is closed", t.cfg.Name)
	}
	if _, ok := t.cfg.Kinds[kind]; !ok {
		return purge.Permanent(store.Errorf(store.Invalid, "target %s has no %q", t.cfg.Name, string(kind)))
	}
	return nil
}

// closing bounds how long Close waits for what it has cancelled to come to an end.
const closing = 10 * time.Second

// Close cancels what is under way, at the server, too, and ends every connection. A
// COMMIT that was sent is waited for. What does not end within 10 s is left behind,
// which is an error, [store.Unavailable]. So is a call that follows.
func (t *Target) Close() error {
	if !t.closed.CompareAndSwap(false, true) {
		return nil
	}
	t.underway.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.pool.Close()
	}()
	timer := time.NewTimer(closing)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return store.Errorf(store.Unavailable, "target %s: not all connections were closed within %s", t.cfg.Name, closing)
	}
}
