package purge

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// SyncOptions is what a syncer is made of.
type SyncOptions struct {
	// Store is required. It has to implement [store.SourceKeeper] and
	// [store.Importer] too.
	Store store.Store
	// Source is required.
	Source Source
	// TempDir is where snapshots are put in order, about 100 bytes a tenant: a
	// directory on a disk, not in memory. "" is that of [os.TempDir]. The files
	// have no names.
	TempDir string
	// Metrics and Logger may be nil.
	Metrics *metrics.Metrics
	Logger  *zap.Logger
	// Settings must be valid; begin with [DefaultSyncSettings].
	Settings SyncSettings
	// Good, unless nil, is called after each sync that was good, with the instant at
	// which the one before it had ended, zero for none: a pass may have found that
	// too long ago.
	Good func(before time.Time)
}

// Syncer makes what is kept what a source says. It is safe for concurrent use;
// one sync is made at a time.
//
// A snapshot that was not read to its end changes nothing. One that would change
// too much is refused as a whole and put on record, until a later one is good or
// a person accepts exactly that one. Tenants that the source no longer lists are
// marked, and never purged for that.
//
// The changes are made tenant by tenant, with an audit entry each, in an order in
// which no tenant becomes due before its sub-tenants are what the source says.
// An interrupted sync is completed by the next.
type Syncer struct {
	store    store.Store
	keeper   store.SourceKeeper
	importer store.Importer
	source   Source
	tempDir  string
	metrics  *metrics.Metrics
	log      *zap.Logger
	good     func(before time.Time) // nil for none
	settings atomic.Pointer[syncSettings]
	running  sync.Mutex
}

// NewSyncer returns a syncer. Errors: Invalid.
func NewSyncer(o SyncOptions) (*Syncer, error) {
	if o.Store == nil || o.Source == nil {
		return nil, store.Errorf(store.Invalid, "purge.SyncOptions: want a store and a source")
	}
	s := &Syncer{store: o.Store, source: o.Source, tempDir: o.TempDir, metrics: o.Metrics, log: o.Logger, good: o.Good}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	keeper, ok := o.Store.(store.SourceKeeper)
	importer, ok2 := o.Store.(store.Importer)
	if !ok || !ok2 {
		return nil, store.Errorf(store.Invalid, "purge.SyncOptions.Store: this store cannot be filled from a source")
	}
	s.keeper, s.importer = keeper, importer
	if err := checkSource(o.Source); err != nil {
		return nil, err
	}
	return s, s.Configure(o.Settings)
}

// Configure replaces the settings; a sync keeps those with which it began.
// Invalid settings change nothing.
func (s *Syncer) Configure(v SyncSettings) error {
	if err := v.Validate(); err != nil {
		return err
	}
	n := &syncSettings{SyncSettings: v, protected: make(map[string]struct{}, len(v.Protected))}
	for _, id := range v.Protected {
		n.protected[id] = struct{}{}
	}
	s.settings.Store(n)
	return nil
}

// Status returns what is on record of the source.
func (s *Syncer) Status(ctx context.Context) (store.SourceState, error) { return s.keeper.Source(ctx) }

// Accept accepts the refused sync with the digest, of which the first 12 digits
// do. The next sync, if the source says the same then, is carried out; if it says
// something else that needs a person, that one is refused, and this acceptance is
// forgotten. Errors: see [store.AcceptSync].
func (s *Syncer) Accept(ctx context.Context, digest string, o store.Origin) (store.SourceState, error) {
	return s.keeper.ChangeSource(ctx, store.AcceptSync(digest), o)
}

// Sync reads a snapshot and takes it over. A refused sync is no error: see the
// result. Errors: Conflict while another one is made; Unavailable while an import
// is not complete; those of the source, the store and ctx, which are also put on
// record, if they can be.
func (s *Syncer) Sync(ctx context.Context) (store.Sync, error) {
	if !s.running.TryLock() {
		return store.Sync{}, store.Errorf(store.Conflict, "a sync is being made already")
	}
	defer s.running.Unlock()
	now := time.Now()
	if err := store.CheckClock(now); err != nil {
		return store.Sync{}, err
	}
	r := store.Sync{StartedAt: store.Timestamp{Time: store.Trim(now)}, Result: store.SyncFailed}
	came, err := s.sync(ctx, now, &r)
	r.FinishedAt = store.Timestamp{Time: store.Trim(time.Now())}
	if err != nil {
		r.Result, r.Why = store.SyncFailed, printable(err)
	}
	st, kept := s.record(context.WithoutCancel(ctx), now, r, came)
	if kept != nil && err == nil {
		err, r.Result = kept, store.SyncFailed
	}
	s.tell(&r, &st, err, time.Since(now))
	if r.Result == store.SyncGood && s.good != nil {
		s.good(came.goodBefore(s.source.Name()))
	}
	return r, err
}

// sync is Sync without the record.
func (s *Syncer) sync(ctx context.Context, now time.Time, r *store.Sync) (came outcome, err error) {
	gates, err := s.store.Gates(ctx)
	if err != nil {
		return came, err
	}
	if gates.Import != nil {
		return came, store.Errorf(store.Unavailable, "an import is not complete; nothing is taken over from the source meanwhile")
	}
	snapshot, err := newSpool(s.tempDir)
	if err != nil {
		return came, err
	}
	defer snapshot.close()
	nameless, err := s.read(ctx, snapshot, r)
	if err != nil {
		return came, err
	}
	st, err := s.keeper.Source(ctx) // now: a person may have accepted meanwhile
	if err != nil {
		return came, err
	}
	came.before = st
	d, accepted, why, err := s.decide(ctx, now, snapshot, nameless.n, &st)
	if err != nil {
		return came, err
	}
	defer d.close()
	r.Digest = d.sum()
	if why == "" {
		r.Result = store.SyncGood
		err = d.apply(ctx, accepted)
	} else {
		r.Result, r.Why = store.SyncRefused, why
		err = d.markUnread(ctx, true)
	}
	if err == nil {
		err = d.markTooLate(ctx, why != "")
	}
	rows := r.Counts.Rows
	r.Counts = d.counts
	r.Counts.Rows = rows
	r.Counts.Rejected += nameless.n
	r.Counts.Unplaced += nameless.unplaced
	came.letters = append(nameless.letters, d.letters...)
	if accepted == nil { // or else it begins anew
		came.lately = addLately(st.Lately, now, lately{sooner: d.sooner, vanished: d.vanishing - d.back})
	}
	return came, err
}

// decide compares a snapshot. It returns with that what of it a person accepted, nil
// for nothing, and why it is refused, "" if it is not. The caller closes the
// comparison.
func (s *Syncer) decide(ctx context.Context, now time.Time, snapshot *spool, nameless int64, st *store.SourceState) (*diff, *store.Acceptance, string, error) {
	accepted := st.Accepted
	begun := accepted != nil && accepted.Begun
	d, err := s.diff(ctx, now, snapshot, nameless, st.Lately, begun)
	if err == nil && begun && d.refusal() != "" { // there is more now: a person accepts all of it, or nothing
		d.close()
		d, err = s.diff(ctx, now, snapshot, nameless, st.Lately, false)
	}
	if err != nil {
		return nil, nil, "", err
	}
	why := d.refusal()
	switch {
	case begun:
	case accepted != nil && accepted.Digest == d.sum():
		why = ""
	default:
		accepted = nil
	}
	return d, accepted, why, nil
}

// diff compares a snapshot, in which so many rows were nameless.
func (s *Syncer) diff(ctx context.Context, now time.Time, snapshot *spool, nameless int64, before []store.SourceHour, accepted bool) (*diff, error) {
	d, err := s.newDiff(ctx, now, before, accepted)
	if err != nil {
		return nil, err
	}
	d.nameless = nameless
	d.noteRejected(strconv.FormatInt(nameless, 10))
	if err := d.compare(ctx, snapshot); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}
