package purge_test

import (
	"context"
	"slices"
	"sync"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// biller is a target that knows about subscriptions and holds no resources.
type biller struct {
	name string
	// off says that it is not set up to be asked.
	off bool
	// ask, unless nil, is called ahead of an answer, and may refuse it.
	ask func(ctx context.Context, id string) error

	mu       sync.Mutex
	active   map[string]int64
	asks     []string
	now, top int // questions under way, and the most of them
}

func newBiller(active map[string]int64) *biller { return &biller{name: "billing", active: active} }

func (b *biller) Name() string              { return b.name }
func (*biller) Kinds() []store.Kind         { return nil }
func (b *biller) CountsSubscriptions() bool { return !b.off }

func (*biller) Count(context.Context, string, store.Kind) (int64, error) {
	panic("it holds nothing")
}

func (*biller) Purge(context.Context, purge.Request) (purge.Removed, error) {
	panic("it holds nothing")
}

func (b *biller) ActiveSubscriptions(ctx context.Context, id string) (int64, error) {
	b.mu.Lock()
	b.asks = append(b.asks, id)
	b.now++
	b.top = max(b.top, b.now)
	ask := b.ask
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
	}()
	if ask != nil {
		if err := ask(ctx, id); err != nil {
			return 0, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active[id], nil
}

// set changes how the target answers.
func (b *biller) set(active map[string]int64, ask func(context.Context, string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active, b.ask = active, ask
}

// asked returns about whom it was asked since the last call, in order of ids, and
// how often at a time at the most.
func (b *biller) asked() (ids []string, together int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids = slices.Sorted(slices.Values(b.asks))
	together = b.top
	b.asks, b.top = nil, 0
	return ids, together
}

// assessor is a store that counts what a pass asks it before it claims.
type assessor struct {
	store.Store
	mu sync.Mutex
	n  int
}

func (a *assessor) Assess(ctx context.Context, id string, r store.ClaimRequest) (store.Assessment, error) {
	a.mu.Lock()
	a.n++
	a.mu.Unlock()
	return a.Store.Assess(ctx, id, r)
}
