package purge

import (
	"context"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

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
