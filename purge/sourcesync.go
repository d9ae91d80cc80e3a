package purge

import (
	"context"
	"errors"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// SyncSettings is what may be changed while a syncer runs. A zero field is not a
// default: begin with [DefaultSyncSettings].
type SyncSettings struct {
	// MaxChange is the share, 0 to 1, of the tenants that are kept, and Floor the
	// number at the least, of which a sync may find so many vanished, and give so
	// many a purge date or an earlier one. One that exceeds either is refused.
	MaxChange float64
	Floor     int64
	// Timeout bounds how long the source may take for a snapshot; what is read so far
	// is then of no use.
	Timeout time.Duration
	// Grace bounds the grace periods that the source may give.
	Grace store.Grace
	// Protected are the ids of tenants that are never disabled.
	Protected []string
}

// DefaultSyncSettings is 20 %, but at least 50 tenants, and an hour.
func DefaultSyncSettings() SyncSettings {
	return SyncSettings{MaxChange: 0.20, Floor: 50, Timeout: time.Hour, Grace: store.DefaultGrace()}
}

// Validate returns all that is wrong, joined, or nil. Each error is
// [store.Invalid] and has the configuration key in its field.
func (s SyncSettings) Validate() error {
	var errs []error
	if math.IsNaN(s.MaxChange) || s.MaxChange < 0 || s.MaxChange > 1 {
		errs = append(errs, store.Errorf(store.Invalid, "source.maxChange %v: want 0 to 1", s.MaxChange).At("source.maxChange"))
	}
	if s.Floor < 0 {
		errs = append(errs, store.Errorf(store.Invalid, "source.maxChangeFloor %d: want 0 or more", s.Floor).At("source.maxChangeFloor"))
	}
	if s.Timeout <= 0 {
		errs = append(errs, store.Errorf(store.Invalid, "source.syncTimeout %s: want more than 0s", s.Timeout).At("source.syncTimeout"))
	}
	if _, err := s.Grace.Check(0); err != nil {
		errs = append(errs, err)
	}
	for _, id := range s.Protected {
		if err := store.CheckID("tenants.protected", id); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// syncSettings is SyncSettings in the form in which decisions use it.
type syncSettings struct {
	SyncSettings
	protected map[string]struct{}
}

func (s *syncSettings) isProtected(id string) bool {
	_, ok := s.protected[id]
	return ok
}

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

// outcome is what a sync leaves to the record, beside what it returns.
type outcome struct {
	before  store.SourceState // as far as it got to that
	letters []store.DeadLetter
	lately  []store.SourceHour
}

// goodBefore returns when the last good sync of a source before this one had ended,
// zero for none.
func (o *outcome) goodBefore(source string) time.Time {
	if o.before.LastGood == nil || o.before.Name != source {
		return time.Time{}
	}
	return o.before.LastGood.FinishedAt.Time
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
	accepted := st.Accepted
	begun := accepted != nil && accepted.Begun
	d, err := s.diff(ctx, now, snapshot, nameless.n, st.Lately, begun)
	if err != nil {
		return came, err
	}
	defer func() { d.close() }()
	if begun && d.refusal() != "" { // there is more now: a person accepts all of it, or nothing
		more, err := s.diff(ctx, now, snapshot, nameless.n, st.Lately, false)
		if err != nil {
			return came, err
		}
		d.close()
		d = more
	}
	r.Digest = d.sum()
	why := d.refusal()
	if accepted != nil && !begun && accepted.Digest == r.Digest {
		why = ""
	} else if !begun {
		accepted = nil
	}
	if why == "" {
		err = d.apply(ctx, accepted)
		r.Result = store.SyncGood
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

// record puts a sync on record.
func (s *Syncer) record(ctx context.Context, now time.Time, r store.Sync, came outcome) (store.SourceState, error) {
	c := store.SourceChange{}
	detail := map[string]string{"digest": r.Digest}
	switch n := &r.Counts; r.Result {
	case store.SyncGood:
		if n.New+n.Changed+n.Reactivated+n.Later+n.Disabled+n.Sooner+n.Vanished > 0 {
			c.Action = store.ActionSync
			for name, v := range map[string]int64{"new": n.New, "changed": n.Changed, "reactivated": n.Reactivated, "later": n.Later,
				"disabled": n.Disabled, "sooner": n.Sooner, "vanished": n.Vanished} {
				detail[name] = strconv.FormatInt(v, 10)
			}
		}
	case store.SyncRefused:
		detail["why"] = r.Why
		if old := came.before.LastRefused; old == nil || old.Digest != r.Digest {
			c.Action = store.ActionSourceRefuse
		}
	}
	c.Apply = func(st *store.SourceState, _ store.Origin) (map[string]string, error) {
		if name := s.source.Name(); st.Name != name {
			st.Name, st.LastGood = name, nil // that of another one says nothing of this one
		}
		switch r.Result {
		case store.SyncGood:
			st.LastGood, st.LastRefused, st.LastFailed, st.Accepted, st.DeadLetters, st.Lately = &r, nil, nil, nil, came.letters, came.lately
		case store.SyncRefused:
			if st.Accepted != nil && st.Accepted.Digest != r.Digest {
				st.Accepted = nil
			}
			st.LastRefused, st.LastFailed, st.DeadLetters = &r, nil, came.letters
		default:
			st.LastFailed = &r
		}
		return detail, nil
	}
	st, err := s.change(ctx, now, c)
	if err == nil && r.Result == store.SyncGood {
		err = s.forgetAllowed(ctx, now)
	}
	return st, err
}

// change changes what is on record.
func (s *Syncer) change(ctx context.Context, now time.Time, c store.SourceChange) (store.SourceState, error) {
	return s.keeper.ChangeSource(ctx, c, s.origin(now))
}

func (s *Syncer) origin(now time.Time) store.Origin {
	return store.Origin{Actor: sourceActor(s.source), At: now}
}

// tell reports a sync to metrics and log.
func (s *Syncer) tell(r *store.Sync, st *store.SourceState, err error, took time.Duration) {
	s.metrics.SourceSynced(*r, took)
	if st.Name != "" { // it could be put on record
		s.metrics.SourceState(*st)
	}
	n := &r.Counts
	fields := []zap.Field{
		zap.String("source", s.source.Name()), zap.String("result", string(r.Result)), zap.Int64("rows", n.Rows),
		zap.Int64("new", n.New), zap.Int64("changed", n.Changed), zap.Int64("reactivated", n.Reactivated),
		zap.Int64("later", n.Later), zap.Int64("disabled", n.Disabled), zap.Int64("sooner", n.Sooner), zap.Int64("due", n.Due),
		zap.Int64("overruled", n.Overruled), zap.Int64("vanished", n.Vanished), zap.Int64("rejected", n.Rejected), zap.Int64("unplaced", n.Unplaced),
		zap.Int64("tooLate", n.TooLate), zap.Duration("took", took),
	}
	switch {
	case err != nil:
		s.log.Error("the source could not be taken over", append(fields, zap.String("error", printable(err)))...)
	case r.Result == store.SyncRefused:
		s.log.Error("a sync of the source is refused: it would change too much; a person has to accept it",
			append(fields, zap.String("digest", r.Digest), zap.String("why", r.Why))...)
	case n.Rejected > 0:
		s.log.Warn("source synced, without the rows that cannot be understood", fields...)
	case n.New+n.Changed+n.Reactivated+n.Later+n.Disabled+n.Sooner+n.Vanished+n.Overruled > 0:
		s.log.Info("source synced", fields...)
	default:
		s.log.Debug("source synced", fields...)
	}
}
