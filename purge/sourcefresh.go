package purge

import (
	"context"
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
	st, err := e.keeper.Source(ctx)
	if err != nil {
		return err
	}
	age := []zap.Field{zap.String("lastGoodSync", "never")}
	if st.LastGood != nil && st.Name == e.source.Name() {
		d := time.Since(st.LastGood.FinishedAt.Time)
		if d <= s.SourceMaxAge {
			return nil
		}
		age = []zap.Field{zap.String("lastGoodSync", store.FormatTime(st.LastGood.FinishedAt.Time)), zap.Duration("age", d)}
	}
	e.log.Warn("a tenant that is due waits for a good sync of the source", append(age, zap.String("tenant", top),
		zap.String("source", e.source.Name()), zap.Duration("maxAge", s.SourceMaxAge))...)
	c.waits(top, checkStale, &store.Block{Reason: store.BlockSourceDown, By: top})
	return nil
}
