package purge

import (
	"context"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// confirmSynced adds to c that the tenant has to wait when no sync was good for too
// long: what came below it in the source since is not known here.
func (e *Engine) confirmSynced(ctx context.Context, s *settings, top string, c *confirmation) error {
	if s.SourceMaxAge == 0 {
		return nil
	}
	// One that is known of is good for all tenants until it is too old: the record has
	// letters and more, and is not read for each.
	if age(e.synced.Load()) <= s.SourceMaxAge {
		return nil
	}
	st, err := e.keeper.Source(ctx)
	if err != nil {
		return err
	}
	last := zap.String("lastGoodSync", "never")
	if st.LastGood != nil && st.Name == e.source.Name() {
		at := st.LastGood.FinishedAt.Time
		e.synced.Store(&at)
		if age(&at) <= s.SourceMaxAge {
			return nil
		}
		last = zap.String("lastGoodSync", store.FormatTime(at))
	}
	e.log.Debug("a tenant that is due waits for a good sync of the source", zap.String("tenant", top),
		zap.String("source", e.source.Name()), last, zap.Duration("maxAge", s.SourceMaxAge))
	c.waits(top, checkStale, &store.Block{Reason: store.BlockSourceDown, By: top})
	return nil
}

// age returns how long ago an instant was; that of none, which is nil, is the longest.
func age(at *time.Time) time.Duration {
	if at == nil {
		return math.MaxInt64
	}
	return time.Since(*at)
}
