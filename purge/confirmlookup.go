package purge

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/store"
)

// lookUp asks the source about tenants. Those that are missing do not exist.
func (e *Engine) lookUp(ctx context.Context, s *settings, list []kin) (map[string]SourceRow, error) {
	if b, ok := e.source.(BatchSource); ok && len(list) > 1 {
		ids := make([]string, len(list))
		for i, k := range list {
			ids[i] = k.id
		}
		return askSource(ctx, e, s.CallTimeout, func(ctx context.Context) (map[string]SourceRow, error) {
			return b.TenantsByID(ctx, ids)
		})
	}
	rows := make([]*SourceRow, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sourceTogether)
	for i, k := range list {
		g.Go(func() error {
			t, err := askSource(ctx, e, s.CallTimeout, func(ctx context.Context) (SourceTenant, error) {
				return e.source.Tenant(ctx, k.id)
			})
			switch store.CodeOf(err) {
			case "":
				rows[i] = &SourceRow{Tenant: t}
			case store.NotFound:
			case store.Invalid: // it answered
				rows[i] = &SourceRow{Err: err}
			default:
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found := make(map[string]SourceRow, len(list))
	for i, k := range list {
		if rows[i] != nil {
			found[k.id] = *rows[i]
		}
	}
	return found, nil
}

// askSource makes one call of the source, which must not bring the process down.
func askSource[T any](ctx context.Context, e *Engine, timeout time.Duration, fn func(context.Context) (T, error)) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = store.Errorf(store.Internal, "source %s panicked: %v", e.source.Name(), r)
		}
	}()
	return fn(ctx)
}
